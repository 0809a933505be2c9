"""The benchmark of memory runs, and its figures fit together."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "speed" / "memory.py"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def run(*args):
    done = subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_is_measured_stage_by_stage():
    pytest.importorskip("transformers")
    output = run("--only=models", "--models=tinysec", "--work", "answers", "--items=2", "--new-tokens=4")
    stages = re.findall(r"^  (\w+) +(\d+) MiB, peak +(\d+)", output, re.MULTILINE)
    assert [name for name, _, _ in stages] == ["imports", "loading", "answers"]
    assert all(0 < int(end) <= int(peak) for _, end, peak in stages)
    weights = re.search(r"weights (\d+) MiB", output)
    beyond = re.search(r"(\d+) MiB beyond the imports at the peak", output)
    assert int(beyond[1]) >= int(weights[1]) > 0


def test_memory_of_imports_is_counted_for_the_package_that_adds_it(tmp_path):
    (tmp_path / "outer_package.py").write_text("import inner_package\nsmall = bytearray(b'x' * (4 << 20))\n")
    (tmp_path / "inner_package.py").write_text("large = bytearray(b'x' * (32 << 20))\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(SCRIPT.parent)!r}]; import memory\n"
        "memory.IMPORTS = ('outer_package',)\n"
        "found = memory.cost_by_package()\n"
        "print(*(found[name][0] >> 20 for name in ('outer_package', 'inner_package')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outer, inner = map(int, done.stdout.split())
    assert 4 <= outer < 16
    assert 32 <= inner < 48
