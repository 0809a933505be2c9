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
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

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


class Cost(NamedTuple):
    """What one process took: CPU seconds (user and system), and its peak of resident memory in bytes."""

    cpu_s: float
    peak_bytes: int


def cost(folder: Path, *args: str) -> Cost:
    """What one pytest process costs, with the package of this checkout."""
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    env = {**os.environ, "PYTHONPATH": path, "FREE_ENGINE_LOG": str(folder / "log"), "PYTEST_ADDOPTS": ""}
    env |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "byte_code")}  # as where it is installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=.", *args]
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read()[-4000:]}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def foreign(folder: Path, pairs: int) -> None:
    """Print what the installed plugin adds to a session that names no model."""
    test = folder / "test_foreign.py"
    test.write_text("def test_nothing():\n    pass\n")
    for_both = (test.name, "-p", "no:benchmark")  # pytest-benchmark comes with the plugin, but is not part of it
    cost(folder, *for_both)  # byte code is compiled once
    without, with_plugin = [], []
    for _ in range(pairs):
        without.append(cost(folder, *for_both, "-p", "no:slmsec").cpu_s)
        with_plugin.append(cost(folder, *for_both).cpu_s)
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
    samples: dict[str, list[Cost]] = {variant: [] for variant in variants}
    for _ in range(repeats):
        for variant, args in variants.items():
            samples[variant].append(cost(folder, *args))
    cpu = {variant: statistics.median(cost.cpu_s for cost in costs) for variant, costs in samples.items()}
    peak = {variant: statistics.median(cost.peak_bytes for cost in costs) for variant, costs in samples.items()}
    print(f"{n} items, {repeats} repeats: median CPU seconds (min .. max), peak memory in MB")
    for variant, costs in samples.items():
        least, most = min(costs).cpu_s, max(costs).cpu_s
        print(f"  {variant:16} {cpu[variant]:7.2f}  ({least:.2f} .. {most:.2f})  {peak[variant] / 1e6:6.0f}")
    print("over plain parametrised tests, an item:")
    for what, goal in (("collect", "goal: 20 us, 3 kB"), ("run", "goal: 400 us")):
        more_s = cpu[f"{what}, slmsec"] - cpu[f"{what}, plain"]
        more_bytes = peak[f"{what}, slmsec"] - peak[f"{what}, plain"]
        print(f"  {what}: {1e6 * more_s / n:.0f} us, {more_bytes / n / 1e3:.1f} kB ({goal})")


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
