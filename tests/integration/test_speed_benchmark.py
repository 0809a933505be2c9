"""The benchmark of speed runs, and holds its results against lm-eval's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SPEED = Path(__file__).parent.parent.parent / "benchmarks" / "speed"
pytest.importorskip("lm_eval")


def test_every_sort_of_case_agrees_with_lm_eval():
    command = [sys.executable, str(SPEED), "--items=6", "--answers=3", "--new-tokens=6", "--vocabularies=4096"]
    command += ["--cases", "letter-0", "text-5", "generate-varied", "generate-answered", "--dtypes=fp32"]
    env = {key: value for key, value in os.environ.items() if key != "SLMSEC_DATA"}
    done = subprocess.run([*command, "--batch-sizes=2"], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if re.match(r"(letter|text|generate)-", line)}
    assert list(rows) == ["letter-0", "text-5", "generate-varied", "generate-answered"]
    assert "3 of 3 texts (packed)" in rows["generate-varied"]
    assert "limit" in rows["generate-answered"]
    assert re.search(r"\de-0\d nats \(packed\)", rows["letter-0"])
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_products_laid_out_in_advance_are_timed_beside_plain_ones():
    code = "import linears; linears.SHAPES, linears.ROWS = ((8, 16),), (4,); linears.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=SPEED, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^fp32\s+8\s+16\s+4\s.*x$", done.stdout, re.MULTILINE)) == 1
    assert len(re.findall(r"^bf16\s+8\s+16\s+(?:4\s.*x|not to be had here)$", done.stdout, re.MULTILINE)) == 1
