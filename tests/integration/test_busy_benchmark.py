"""`benchmarks/speed/busy.py` runs pytest beside processes that compute."""

import re
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "speed" / "busy.py"


def run(*options):
    return subprocess.run(
        [sys.executable, BENCHMARK, "--load=1", "--repeats=1", "--benchmark=cti-taa", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_each_setting_has_a_line_and_the_best_is_once_itself():
    done = run("--settings", "plain pytest", "one thread")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(plain pytest|one thread) +([\d.]+) +([\d.]+) +([\d.]+)x$", done.stdout, re.MULTILINE)
    assert [name for name, *_ in lines] == ["plain pytest", "one thread"]
    assert min(float(times) for *_, times in lines) == 1.0


def test_a_run_that_fails_shows_what_it_said():
    done = run("--settings", "plain pytest", "--model=no-such-model")
    assert done.returncode != 0
    assert "no-such-model" in done.stderr.split("ended with")[1]
