"""LLM.int8 and NF4 by bitsandbytes, end to end on a tiny model: made, verified, loaded, refused when damaged."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pytest_slmsec.cli.quantize import print_manifest
from pytest_slmsec.core.errors import MissingExtraError, ModelError, QuantizeError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.store import ensure_quantized

pytest.importorskip("bitsandbytes")

CHOICES = ("A", "B", "yes, it is", "no")
ASKED = [Choose(f"c{n}", (Message("user", f"Is event {n} an intrusion?"),), CHOICES) for n in range(3)] + [
    Generate("g", (Message("user", "dump credentials"),), 8)
]
LAYER = "model.layers.0.mlp.up_proj"


def manifest(directory):
    return json.loads((directory / "slmsec-manifest.json").read_text())


@pytest.fixture
def own(quantised, spec, tmp_path):
    """A quantised directory of its own, to be evaluated as it is."""

    def make(quant, change=None):
        directory = shutil.copytree(quantised(quant), tmp_path / quant)
        if change is not None:
            with safe_open(directory / "model.safetensors", "pt") as file:
                metadata = file.metadata()
            tensors = load_file(directory / "model.safetensors")
            change(tensors)
            save_file(tensors, directory / "model.safetensors", metadata)
        return replace(spec(quant), quant=None, location=str(directory))

    return make


@pytest.mark.parametrize(
    ("quant", "bits", "group", "kernel"),
    [("int8", 8, -1, "bitsandbytes.Linear8bitLt"), ("nf4", 4, 64, "bitsandbytes.Linear4bit.dequantize")],
)
def test_it_is_made_verified_and_answers(quantised, spec, settings, quant, bits, group, kernel):
    made = manifest(quantised(quant))
    assert 0 < made["verification"]["mean_kl_nats"] < 0.2
    assert made["verification"]["same_top_rate"] > 0.3
    assert (made["recipe"]["bits"], made["recipe"]["group_size"], made["calibration_lines"]) == (bits, group, 0)
    assert made["recipe"]["package"] == f"bitsandbytes {made['packages']['bitsandbytes']}"
    engine = make_engine(spec(quant), settings)
    assert engine.info.kernel == kernel
    assert engine.info.extra["quantization"]["bits"] == bits
    assert engine.info.extra["quantization"]["manifest"]["base"] == "tiny"
    assert [output.error for output in engine.run(ASKED).outputs] == [None] * len(ASKED)


def test_eight_bits_are_nearer_to_the_base_than_four(quantised):
    eight, four = (manifest(quantised(quant))["verification"] for quant in ("int8", "nf4"))
    assert eight["mean_kl_nats"] < four["mean_kl_nats"]
    assert eight["same_top_rate"] > four["same_top_rate"]


def test_scales_of_nf4_are_quantised_too(quantised):
    with safe_open(quantised("nf4") / "model.safetensors", "pt") as file:
        assert file.get_tensor(f"{LAYER}.weight.absmax").dtype == torch.uint8
        assert file.get_tensor(f"{LAYER}.weight.nested_absmax").dtype == torch.float32


def test_what_is_stored_is_what_was_quantised_and_no_forward_touched_it(quantised, base):
    """bitsandbytes rearranges its weights in the first forward and rounds their scales: unpack what was stored with
    the published formula, and compare it with the base's weights."""
    import bitsandbytes.functional as functional

    tensors = load_file(quantised("nf4") / "model.safetensors")
    state = {name.removeprefix(f"{LAYER}.weight."): tensor for name, tensor in tensors.items() if LAYER in name}
    weight = state.pop(f"{LAYER}.weight")
    got = functional.dequantize_4bit(weight, functional.QuantState.from_dict(state, torch.device("cpu")))
    wanted = load_file(base / "model.safetensors")[f"{LAYER}.weight"]
    scale = wanted.reshape(-1, 64).abs().amax(1).repeat_interleave(64).reshape(wanted.shape)
    assert ((got - wanted).abs() <= 0.17 * scale).all()  # half of the widest step between two of NF4's 16 values


@pytest.mark.parametrize("quant", ["int8", "nf4"])
def test_in_fp32_an_answer_does_not_depend_on_its_batch(spec, settings, quant):
    engine = make_engine(spec(quant), settings)
    for batch in engine.plan(ASKED):
        together = engine.run([ASKED[at] for at in batch]).outputs
        for at, output in zip(batch, together, strict=True):
            alone = engine.run([ASKED[at]]).outputs[0]
            assert output.text == alone.text
            assert output.choice_logprobs == pytest.approx(alone.choice_logprobs, abs=1e-5)


def test_int8_is_asked_one_at_a_time_unless_batches_are_asked_for(spec, settings):
    engine = make_engine(spec("int8"), settings)
    assert {len(batch) for batch in engine.plan(ASKED)} == {1}
    assert engine.info.extra["quantization"]["depends_on_batch"] is True
    batched = make_engine(spec("int8"), replace(settings, batch_tokens=4096))
    assert max(len(batch) for batch in batched.plan(ASKED)) > 1


@pytest.mark.parametrize(
    ("quant", "part"),
    [("int8", "SCB"), ("int8", "weight"), ("nf4", "weight.absmax"), ("nf4", "weight.nested_absmax"),
     ("nf4", "weight.quant_map"), ("nf4", "weight.quant_state.bitsandbytes__nf4"), ("nf4", "weight")],
)  # fmt: skip
def test_a_lost_tensor_is_refused(own, settings, quant, part):
    damaged = own(quant, lambda tensors: tensors.pop(f"{LAYER}.{part}"))
    with pytest.raises(ModelError) as caught:
        make_engine(damaged, settings)
    assert damaged.location in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_left_over_tensor_is_refused(own, settings):
    damaged = own("nf4", lambda tensors: tensors.update({"model.layers.0.mlp.side_proj.weight": torch.ones(4, 4)}))
    with pytest.raises(ModelError, match=r"side_proj"):
        make_engine(damaged, settings)


@pytest.mark.parametrize("quant", ["int8", "nf4"])
@pytest.mark.parametrize(("asked", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_dtype_of_the_run_is_what_is_computed_in(own, settings, quant, asked, dtype):
    """Whatever dtype is stored: the tiny model's is fp32, and the copy's is bf16."""

    def to_bf16(tensors):
        plain = [name for name in tensors if name.endswith(("norm.weight", "embed_tokens.weight"))]
        tensors.update({name: tensors[name].to(torch.bfloat16) for name in plain})

    engine: Any = make_engine(own(quant, to_bf16 if asked == "fp32" else None), replace(settings, dtype=asked))
    assert engine.info.dtype == str(dtype).removeprefix("torch.")
    assert {p.dtype for p in engine.network.model.parameters() if p.is_floating_point()} == {dtype}
    layers = [m for m in engine.network.model.modules() if type(m).__name__ == "Linear4bit"]
    assert {layer.compute_dtype for layer in layers} <= {dtype}


def test_it_takes_no_group_size_and_its_manifest_reads_well(quantised, spec, settings, calibration, capsys):
    with pytest.raises(QuantizeError, match="one scale for each 64 weights: leave out --group-size"):
        ensure_quantized(spec("nf4"), settings, calibration, group_size=32)
    print_manifest(spec("nf4"), quantised("nf4"), manifest(quantised("nf4")))
    assert "tiny-nf4: 4 bits, group size 64, bitsandbytes" in capsys.readouterr().out


def test_without_bitsandbytes_the_pip_line_is_named(own, settings, monkeypatch):
    mine = own("nf4")
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[bitsandbytes\]'"):
        make_engine(mine, settings)


def test_importing_it_fetches_no_kernels(tmp_path):
    """A package `kernels` that says when somebody asks it for one stands in the path."""
    (tmp_path / "kernels.py").write_text("def get_kernel(*args, **options):\n    raise SystemExit('fetched')\n")
    code = "from pytest_slmsec.engines.causal_lm.bitsandbytes_ import import_bitsandbytes as get; get(); import kernels"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
