"""The package's imports: they point from outer to inner layers, run in no circle, and the root holds no new module."""

import ast
import graphlib
from itertools import pairwise
from pathlib import Path

import pytest

import pytest_slmsec

PACKAGE = Path(pytest_slmsec.__file__).parent
ROOT_MODULES = {"__init__", "hookspec", "plugin"}
LAYERS = [
    {"plugin", "cli", "sagemaker"},
    {"session", "gating", "reports", "distribute", "campaign", "synthesize"},
    {"execution", "collection"},
    {"hookspec", "finetune", "quantize", "replay", "sentinels", "config", "devices"},
    {"gates", "perturb", "tasks", "engines", "scoring"},
    {"core", "meters"},
]
"""Rooms (packages, and modules at the root) from the outermost layer to the innermost, as in docs/architecture.md."""
DEPTH = {room: depth for depth, layer in enumerate(LAYERS) for room in layer}


def module_name(path):
    """Dotted name below the package: ``core.items``; a package by its own name, the root as ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}


def imported_names(source):
    """Dotted names that a module imports anywhere: at its top, for types only, or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used in this package"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(sources):
    """Modules to the set of modules of the package that they import; the root, which holds the version, is left out."""
    prefix = f"{PACKAGE.name}."
    found = {name: set() for name in sources if name}
    for name in found:
        for imported in imported_names(sources[name]):
            inside = imported.removeprefix(prefix) if imported.startswith(prefix) else ""
            target = inside if inside in found else inside.rpartition(".")[0]
            if target in found and target != name:
                found[name].add(target)
    return found


def room(module):
    return module.partition(".")[0]


def between_rooms(modules):
    """The graph of rooms: which imports from which other."""
    found = {room(module): set() for module in modules}
    for module, imports in modules.items():
        found[room(module)] |= {room(target) for target in imports} - {room(module)}
    return found


def upward(modules):
    """'a imports b' for each import from an inner layer to an outer one."""
    return sorted(f"{module} imports {target}" for module, imports in modules.items() for target in imports
                  if DEPTH[room(target)] < DEPTH[room(module)])  # fmt: skip


def circle(edges):
    """One circle of a graph as 'a -> b -> a', or '' where there is none."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_the_root_holds_no_other_module():
    assert {path.stem for path in PACKAGE.glob("*.py")} == ROOT_MODULES


def test_each_room_stands_in_a_layer():
    assert {room(module) for module in graph(SOURCES)} == set(DEPTH)


def test_no_import_runs_from_an_inner_layer_to_an_outer_one():
    assert not upward(graph(SOURCES))


def test_no_modules_import_each_other_in_a_circle():
    assert not circle(graph(SOURCES))


def test_no_rooms_import_each_other_in_a_circle():
    assert not circle(between_rooms(graph(SOURCES)))


@pytest.mark.parametrize("name", ["core", "gates", "perturb", "scoring", "tasks"])
def test_pure_rooms_load_neither_pytest_nor_torch_when_they_are_imported(name):
    for module, source in SOURCES.items():
        if room(module) == name:
            tops = {imported.partition(".")[0] for node in ast.parse(source).body
                    for imported in imported_names(ast.unparse(node))
                    if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip
            assert not tops & {"pytest", "_pytest", "torch", "transformers"}, module


class TestTheChecks:
    """The functions above find what they look for."""

    SOURCES = {  # noqa: RUF012
        "": "from pytest_slmsec.core.items import Item",
        "core": "",
        "core.items": "def lazy():\n    from pytest_slmsec.engines import registry",
        "engines": "",
        "engines.registry": "from pytest_slmsec.core.items import Item\nimport pytest_slmsec.core.items",
    }

    def test_imports_inside_functions_count(self):
        assert graph(self.SOURCES)["core.items"] == {"engines.registry"}

    def test_an_import_to_an_outer_layer_is_named(self):
        assert upward(graph(self.SOURCES)) == ["core.items imports engines.registry"]

    def test_a_circle_is_named_in_the_order_of_its_imports(self):
        edges = graph(self.SOURCES)
        names = circle(edges).split(" -> ")
        assert set(names) == {"core.items", "engines.registry"}
        assert all(second in edges[first] for first, second in pairwise(names))
        assert circle(between_rooms(edges))
