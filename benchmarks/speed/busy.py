"""What a plain `pytest` loses on a machine that does other work.

    python benchmarks/speed/busy.py --repeats 3

One process a core computes without end. Beside them the same run is started with the plugin's own settings of OpenMP
and with others that a user may choose, in turns, on the project's own items. It prints the median of wall and CPU
seconds, and the wall seconds as a multiple of those of the best setting. "threads spin" is what OpenMP does by itself:
its threads spin a while before they sleep (`GOMP_SPINCOUNT`, manual of libgomp).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))
SETTINGS: dict[str, dict[str, str]] = {
    "plain pytest": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "threads sleep": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(CORES)},
    "threads spin": {"GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": str(CORES)},
}
LEFT_OUT = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "SLMSEC_DATA")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """As many processes that compute until the end of the block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in others:
            one.kill()
            one.wait()


def run(options: Sequence[str], variables: Mapping[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of one run of pytest.

    Raises:
        SystemExit: the run failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT} | dict(variables)
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-quiet", "-p", "no:cacheprovider", *options]
    wall, cpu = time.perf_counter(), children_cpu_s()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - wall, children_cpu_s() - cpu
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return taken


def children_cpu_s() -> float:
    """CPU seconds of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main(given: Sequence[str] | None = None) -> None:
    """Run every setting in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each setting; the median counts (default 3)")
    parser.add_argument("--model", default="tinysec", help="(default tinysec)")
    parser.add_argument("--benchmark", default="cti-mcq-choice", help="(default cti-mcq-choice)")
    parser.add_argument("--load", type=int, default=CORES,
                        help="processes that compute beside it (default: one a core)")  # fmt: skip
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=[*SETTINGS])
    args = parser.parse_args(given)
    options = ["benchmarks", f"--model={args.model}", f"--slmsec-benchmarks={args.benchmark}"]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in args.settings}
    with busy(args.load):
        for turn in range(args.repeats):
            for name, runs in taken.items():
                runs.append(run(options, SETTINGS[name]))
                print(f"run {turn + 1} of {args.repeats}, {name}: {runs[-1][0]:.1f} s", file=sys.stderr, flush=True)
    medians = {name: [statistics.median(one) for one in zip(*runs, strict=True)] for name, runs in taken.items()}
    best = min(wall for wall, _ in medians.values())
    print(f"{args.model} on {args.benchmark}, {args.load} other processes on {CORES} cores")
    print(f"{'setting':14} {'wall s':>7} {'CPU s':>7} {'wall, of the best':>18}")
    for name, (wall, cpu) in medians.items():
        print(f"{name:14} {wall:7.1f} {cpu:7.1f} {wall / best:17.2f}x")


if __name__ == "__main__":
    main()
