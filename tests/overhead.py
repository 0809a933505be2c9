"""What the plugin itself costs in CPU time, beside plain pytest.

    python tests/overhead.py [--items 30000] [--repeats 3] [--pairs 40] [--only foreign|items]

* foreign: a session that names no model, with the plugin and with ``-p no:slmsec``.
* items: collection, and a run with an engine that costs nothing, beside plain parametrised tests.

Each variant runs in a process of its own, variants in turn, so that a busy machine slows all of them alike. Figures are
CPU seconds (user and system) of whole processes; of the short sessions the least counts, since other work on the
machine only ever adds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLAIN = """
import pytest

@pytest.mark.parametrize("item", range({n}), ids=[f"alpha-item-{{i:05d}}" for i in range({n})])
def test_item(item):
    pass
"""
OURS = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [Item(f"item-{{i:05d}}", f"question {{i}} say: yes", "yes") for i in range({n})]

@pytest.mark.slmsec(Task("free", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_item(answer):
    pass
"""
CONFTEST = """
from free_engine import FreeEngine

def pytest_slmsec_models(config):
    return {"alpha": {"location": "/nowhere"}}

def pytest_slmsec_make_engine(config, spec, settings):
    return FreeEngine(spec)
"""


def cpu_seconds(folder: Path, *args: str) -> float:
    """CPU time of one pytest process, with the package of this checkout."""
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    env = {**os.environ, "PYTHONPATH": path, "FREE_ENGINE_LOG": str(folder / "log"), "PYTEST_ADDOPTS": ""}
    env |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "byte_code")}  # as where it is installed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.", *args]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def foreign(folder: Path, pairs: int) -> None:
    """Print what the installed plugin adds to a session that names no model."""
    test = folder / "test_foreign.py"
    test.write_text("def test_nothing():\n    pass\n")
    for_both = (test.name, "-p", "no:benchmark")  # pytest-benchmark comes with the plugin, but is not part of it
    cpu_seconds(folder, *for_both)  # byte code is compiled once
    without, with_plugin = [], []
    for _ in range(pairs):
        without.append(cpu_seconds(folder, *for_both, "-p", "no:slmsec"))
        with_plugin.append(cpu_seconds(folder, *for_both))
    least, extra = min(without), min(with_plugin) - min(without)
    middle = statistics.median(b - a for a, b in zip(without, with_plugin, strict=True))
    print(f"a session without --model, {pairs} pairs, CPU seconds")
    print(f"  least: {least:.3f} without the plugin, {least + extra:.3f} with it")
    print(f"  {1e3 * extra:.1f} ms more (goal: 15 ms), ratio {1 + extra / least:.3f}; "
          f"median difference of a pair {1e3 * middle:.1f} ms")  # fmt: skip


def items(folder: Path, n: int, repeats: int) -> None:
    """Print what collection and reporting cost an item, beside plain parametrised tests."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_plain.py").write_text(PLAIN.format(n=n))
    (folder / "test_ours.py").write_text(OURS.format(n=n))
    variants = {
        "collect, plain": ("test_plain.py", "--collect-only"),
        "collect, slmsec": ("test_ours.py", "--collect-only", "--model=alpha"),
        "run, plain": ("test_plain.py",),
        "run, slmsec": ("test_ours.py", "--model=alpha"),
    }
    samples: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(repeats):
        for variant, args in variants.items():
            samples[variant].append(cpu_seconds(folder, *args))
    median = {variant: statistics.median(values) for variant, values in samples.items()}
    print(f"{n} items, {repeats} repeats, CPU seconds: median (min .. max)")
    for variant, values in samples.items():
        print(f"  {variant:16} {median[variant]:7.2f}  ({min(values):.2f} .. {max(values):.2f})")
    extra = median["collect, slmsec"] - median["collect, plain"]
    print(f"collection over plain: {extra:.2f} s = {1e6 * extra / n:.1f} us an item (goal: 0.1 s + 40 us an item)")
    whole = median["run, slmsec"] / n * 1e3
    above = (median["run, slmsec"] - median["run, plain"]) / n * 1e3
    print(f"run with a free engine: {whole:.3f} ms an item in all, {above:.3f} ms over plain pytest (goal: 0.4 ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=30_000, metavar="N", help="items of the second part")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="of each variant of the second part")
    parser.add_argument("--pairs", type=int, default=40, metavar="N", help="pairs of sessions of the first part")
    parser.add_argument("--only", choices=("foreign", "items"), help="measure one part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.only != "items":
            foreign(Path(name), options.pairs)
        if options.only != "foreign":
            items(Path(name), options.items, options.repeats)


if __name__ == "__main__":
    main()
