"""The plugin needs no module that only Linux, or only Unix, has."""

import ast
from pathlib import Path

import pytest

import pytest_slmsec

UNIX_ONLY = (
    "crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog",
    "termios", "tty",
)  # fmt: skip
"""https://docs.python.org/3/library/unix.html, and modules that are missing on Windows for other reasons."""
HIDE = f"""
import builtins

HIDDEN = {UNIX_ONLY!r}
really_import = builtins.__import__

def refuse_hidden(name, scope=None, *args, **kwargs):
    importer = (scope or {{}}).get("__name__", "")
    if importer.startswith("pytest_slmsec") and name.partition(".")[0] in HIDDEN:
        raise ModuleNotFoundError(f"{{importer}} imports {{name}}")
    return really_import(name, scope, *args, **kwargs)

builtins.__import__ = refuse_hidden
"""
MODULES = sorted(Path(pytest_slmsec.__file__).parent.rglob("*.py"))


def imported_at_once(path):
    """Modules that are imported with a module: all imports outside of functions and of ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)


def test_no_module_imports_what_only_unix_has():
    found = {path.name: name for path in MODULES for name in imported_at_once(path) if name in UNIX_ONLY}
    assert found == {}
    assert len(MODULES) > 100


@pytest.mark.parametrize("args", [(), ("-n1",)])
def test_a_run_without_the_modules_of_unix(toy, args):
    if args:
        pytest.importorskip("xdist")
    toy.pytester.makepyfile(hide=HIDE)
    result = toy.run("-p", "hide", "--benchmark-json=out.json", *args, models=("alpha",), subprocess=True)
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    assert len(toy.asked) == 60
    assert (toy.pytester.path / "out.json").exists()
