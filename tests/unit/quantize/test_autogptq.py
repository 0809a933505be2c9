"""The package auto-gptq and this project's engine read the same checkpoint and agree (`tox run -e autogptq`)."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tinymodel
import torch

from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.store import ensure_quantized

PYTHON = os.environ.get("SLMSEC_AUTOGPTQ_PYTHON")
SCRIPT = Path(__file__).parents[2] / "autogptq_logprobs.py"
IDS = (0, 3, 40, 41, 90, 200, 17, 17, 300, 5)
KEYS = ("bits", "group_size", "desc_act", "sym")

pytestmark = pytest.mark.skipif(not PYTHON, reason="SLMSEC_AUTOGPTQ_PYTHON names no Python with auto-gptq")


@pytest.fixture(scope="session")
def untied(tmp_path_factory):
    """auto-gptq leaves the embeddings of models uninitialised whose head shares them."""
    return tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "untied", tied=False)


@pytest.fixture
def autogptq_layout(untied, spec, settings, calibration, tmp_path):
    """A checkpoint in the files and keys of auto-gptq 0.7.1, which itself quantises on GPUs only."""

    def make(quant):
        made = ensure_quantized(replace(spec(quant), location=str(untied)), settings, calibration)
        directory = shutil.copytree(made, tmp_path / quant)
        config = json.loads((directory / "config.json").read_text())
        stored = config.pop("quantization_config")
        (directory / "config.json").write_text(json.dumps(config))
        own = {key: stored[key] for key in KEYS}
        (directory / "quantize_config.json").write_text(json.dumps(own | {"true_sequential": True}))
        name = f"gptq_model-{stored['bits']}bit-{stored['group_size']}g.safetensors"
        (directory / "model.safetensors").rename(directory / name)
        (directory / "slmsec-manifest.json").unlink()
        return directory

    return make


@pytest.mark.parametrize("quant", ["gptq4", "gptq8"])
def test_both_give_the_same_log_probabilities(autogptq_layout, spec, settings, quant):
    directory = autogptq_layout(quant)
    question = json.dumps({"directory": str(directory), "ids": IDS})
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([PYTHON, str(SCRIPT)], input=question, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    assert theirs["layer"].startswith("auto_gptq.nn_modules.qlinear")
    engine: Any = make_engine(replace(spec(quant), quant=None, location=str(directory)), settings)
    assert engine.info.kernel == "gptqmodel.TorchLinear"
    with torch.inference_mode():
        logits = engine.network.model(input_ids=torch.tensor([IDS])).logits[0]
    ours = logits.float().log_softmax(-1)
    assert torch.allclose(ours, torch.tensor(theirs["logprobs"]), atol=1e-4)
