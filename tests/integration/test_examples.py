"""What is in examples/ runs: the folders as their READMEs say, and the notebook."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture
def example(tmp_path):
    """Copies one folder of examples/ to where nothing else is, and returns the copy."""

    def copy(name):
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name))

    return copy


def run(folder, *command):
    """Runs a command there with this Python first on the path and our own items: (exit status, output)."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "SLMSEC_DATA": "fixture"}
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_a_benchmark_of_ones_own_is_measured_and_judged(example):
    folder = example("own_benchmark")
    status, output = run(folder, "pytest", "--model=tinysec", "--model=tinysec-bf16", "--slmsec-transcript=run.jsonl")
    assert status == 0, output
    rows = [json.loads(line) for line in (folder / "run.jsonl").read_text("utf-8").splitlines()]
    items = len((folder / "items.jsonl").read_text("utf-8").splitlines())
    assert len(rows) == 2 * items
    assert all(row["score"] is not None for row in rows)
    assert "log-fields" in output
    assert "slmsec gate" in output


def damaged_copy(folder):
    """tinysec with noise on the weights of its attention: it still answers, but worse."""
    shutil.copytree(ROOT / "fixtures" / "tinysec" / "model", folder)
    weights = load_file(folder / "model.safetensors")
    noise = torch.Generator().manual_seed(0)
    for name, weight in weights.items():
        if "self_attn" in name:
            weight += 1.5 * weight.std() * torch.randn(weight.shape, generator=noise).to(weight.dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_gate_in_ci_passes_an_equal_model_and_is_red_for_a_worse_one(example):
    folder = example("gate_in_ci")
    status, output = run(folder, "sh", "gate.sh", "tinysec", "tinysec-bf16")
    assert status == 0, output
    assert "SUITE: PASS" in output
    measured = (folder / "baseline.json").read_bytes()

    damaged_copy(folder / "worse")
    status, output = run(folder, "sh", "gate.sh", "tinysec", "./worse")
    assert status == 1, output
    assert "SUITE: FAIL" in output
    assert (folder / "flips.jsonl").read_text("utf-8").count("\n") > 10
    assert (folder / "baseline.json").read_bytes() == measured, "the base is measured once"


def test_the_workflow_runs_the_script():
    assert "run: sh gate.sh " in (EXAMPLES / "gate_in_ci" / "gate.yml").read_text("utf-8")


def test_the_notebook_runs_and_shows_tables_and_pictures(tmp_path, monkeypatch):
    nbformat, nbclient = (pytest.importorskip(name) for name in ("nbformat", "nbclient"))
    pytest.importorskip("ipykernel")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    (tmp_path / "examples").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    stored = nbformat.read(EXAMPLES / "compare.ipynb", as_version=4)
    assert all(cell.outputs for cell in stored.cells if cell.cell_type == "code"), "it is stored with what it shows"
    resources = {"metadata": {"path": str(tmp_path / "examples")}}
    made = nbclient.NotebookClient(stored, timeout=600, kernel_name="python3", resources=resources).execute()
    shown = [output.data for cell in made.cells if cell.cell_type == "code" for output in cell.outputs
             if output.output_type == "execute_result"]  # fmt: skip
    assert shown[0]["text/plain"] == "<stored runs: 2 models, 2 benchmarks, 80 answers>"
    assert "tinysec-bf16" in shown[1]["text/html"]
    pictures = [data["image/svg+xml"] for data in shown if "image/svg+xml" in data]
    assert len(pictures) == 5
    assert all(picture.startswith("<svg ") for picture in pictures)
