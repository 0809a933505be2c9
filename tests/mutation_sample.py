"""Mutation testing on a sample: how many of the changes that mutmut makes to the code are noticed by a test.

    python3 -m tox run -e mutation-sample -- --each 150
    python3 -m tox run -e mutation-sample -- "pytest_slmsec.scoring.cwe*"

draws mutants of each package at random, runs them with mutmut, and prints the mutants that live and the share killed
with its 95 % Wilson interval. The draw orders all mutants by a hash of seed and name, so the same seed draws the same
ones, and a larger sample contains the smaller. A mutant killed before is not run again while its function stays as it
was. A function that no test calls counts: its mutants live.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from mutmut.stats import status_by_exit_code
from scipy.stats import binomtest

PACKAGES = ["pytest_slmsec.gates.statistics", "pytest_slmsec.scoring", "pytest_slmsec.core"]
KILLED = ["killed", "timeout", "segfault"]
SMALL_MODULE = "pytest_slmsec.scoring.exact.*"


def main() -> None:
    arguments = parsed_arguments()
    run_mutmut([SMALL_MODULE])  # mutmut makes all mutants before it runs the ones it is asked for
    samples = [
        drawn(matching(statuses(), [f"{package}.*"], arguments.only), arguments.each, arguments.seed)
        for package in PACKAGES
    ]
    before = statuses()
    to_run = [name for sample in samples for name in sample if before[name] not in KILLED]
    if to_run:
        run_mutmut(to_run)
    print_table(samples, statuses())


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", default=["*"], metavar="PATTERN", help="draw among these mutants only")
    parser.add_argument("--each", type=int, default=150, metavar="N", help="mutants of each package (default: 150)")
    parser.add_argument("--seed", default="1", help="another seed draws other mutants (default: 1)")
    return parser.parse_args()


def run_mutmut(names: list[str]) -> None:
    """One mutant at a time, so that a busy machine does not turn slow tests into timeouts."""
    mutmut = Path(sys.executable).parent / "mutmut"
    subprocess.run([mutmut, "run", "--max-children", "1", *names], check=True)


def statuses() -> dict[str, str]:
    """What mutmut last found for each mutant: killed, survived, no tests, timeout, not checked, ..."""
    return {
        name: status_by_exit_code[code]
        for file in sorted(Path("mutants/pytest_slmsec").rglob("*.py.meta"))
        for name, code in json.loads(file.read_text())["exit_code_by_key"].items()
    }


def matching(names: Iterable[str], *groups: list[str]) -> list[str]:
    """The names that match a pattern of every group."""
    return [name for name in names if all(any(fnmatch(name, pattern) for pattern in group) for group in groups)]


def drawn(names: list[str], count: int, seed: str) -> list[str]:
    return sorted(names, key=lambda name: sha256(f"{seed} {name}".encode()).digest())[:count]


def print_table(samples: list[list[str]], status: dict[str, str]) -> None:
    for package, sample in zip(PACKAGES, samples, strict=True):
        for name in sorted(sample):
            if status[name] not in KILLED:
                print(f"{status[name]}: {name}")
        print_share(package, sample, status)


def print_share(title: str, sample: list[str], status: dict[str, str]) -> None:
    if not sample:
        return
    killed = sum(status[name] in KILLED for name in sample)
    interval = binomtest(killed, len(sample)).proportion_ci(method="wilson")
    share = f"{killed / len(sample):.1%} killed ({interval.low:.1%} to {interval.high:.1%})"
    print(f"{title:32} {killed:5} of {len(sample):5}  {share}")


if __name__ == "__main__":
    main()
