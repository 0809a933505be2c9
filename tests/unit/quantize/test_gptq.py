"""GPTQ end to end on a tiny model: made, verified, loaded, refused when damaged."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_slmsec.core.errors import MissingExtraError, ModelError, QuantizeError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.causal_lm import gptq
from pytest_slmsec.engines.registry import load_directory
from pytest_slmsec.quantize import store
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.plan import plan_quantization
from pytest_slmsec.quantize.store import ensure_quantized

ASKED = [
    Choose(f"c{n}", (Message("user", f"Is event {n} an intrusion?"),), ("A", "B", "yes, it is", "no")) for n in range(4)
] + [Generate(f"g{n}", (Message("user", "dump " * n),), 4 + n) for n in range(1, 5)]


def manifest(directory):
    return json.loads((directory / "slmsec-manifest.json").read_text())


def figures(directory):
    return manifest(directory)["verification"]


def edit_weights(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


@pytest.fixture
def damaged(quantised, tmp_path):
    return shutil.copytree(quantised("gptq4"), tmp_path / "copy")


def test_eight_bits_are_near_the_base_four_farther_and_two_far(quantised):
    eight, four, two = (figures(quantised(name)) for name in ("gptq8", "gptq4", "gptq2"))
    assert 0 < eight["mean_kl_nats"] < 0.005 < four["mean_kl_nats"] < two["mean_kl_nats"]
    assert 1 >= eight["same_top_rate"] > four["same_top_rate"] > two["same_top_rate"]
    assert eight["same_top_rate"] > 0.9


def test_the_manifest_says_how_it_was_made(quantised, calibration):
    directory = quantised("gptq4")
    made = manifest(directory)
    assert made["recipe"]["bits"] == 4
    assert made["recipe"]["group_size"] == 32
    assert made["packages"]["gptqmodel"] in made["recipe"]["package"]
    assert made["calibration_lines"] == 63
    assert made["weight_bytes"] == (directory / "model.safetensors").stat().st_size
    assert directory.name.startswith("tiny-gptq4-")
    assert not (directory / "quant_log.csv").exists()


def test_it_is_made_once(quantised, spec, settings, calibration, monkeypatch):
    directory = quantised("gptq4")
    monkeypatch.setattr(store, "quantize", lambda *args: pytest.fail("made again"))
    assert ensure_quantized(spec("gptq4"), settings, calibration) == directory


def test_whatever_it_depends_on_changes_its_directory(spec, settings, calibration, tmp_path):
    def name(spec, **options):
        return plan_quantization(spec, settings, **{"calibration": calibration, **options}).directory_name

    other_text = tmp_path / "other.txt"
    other_text.write_text(calibration.read_text() + "one line more\n")
    other_base = shutil.copytree(spec("gptq4").location, tmp_path / "base")
    edit_weights(other_base, lambda tensors: tensors["model.norm.weight"].mul_(1.5))
    names = [
        name(spec("gptq4")),
        name(spec("gptq3")),
        name(spec("gptq4"), group_size=64),
        name(spec("gptq4"), calibration=other_text),
        name(replace(spec("gptq4"), location=str(other_base))),
    ]
    assert len(set(names)) == 5
    assert name(replace(spec("gptq4"), name="called otherwise")) == names[0]


def test_the_engine_names_its_kernel_and_answers_alike_in_any_batch(spec, settings, quantised):
    engine = load_directory(quantised("gptq4"), "gptq", replace(spec("gptq4"), quant=None), settings)
    assert engine.info.kernel == "gptqmodel.TorchLinear"
    assert engine.info.dtype == "float32"
    assert engine.info.extra["quantization"]["bits"] == 4
    assert engine.info.extra["quantization"]["manifest"]["base"] == "tiny"
    alone = [engine.run([request]).outputs[0] for request in ASKED]
    for one, other in zip(alone, engine.run(ASKED).outputs, strict=True):
        assert one.text == other.text
        assert other.choice_logprobs == pytest.approx(one.choice_logprobs, abs=1e-4) or one.choice_logprobs is None


def test_what_is_not_quantised_is_as_it_is_stored(spec, settings, quantised):
    """The scales are stored in fp16, the embeddings in fp32: computing in fp32 must not round them."""
    directory = quantised("gptq4")
    stored = load_file(directory / "model.safetensors")
    engine: Any = load_directory(directory, "gptq", replace(spec("gptq4"), quant=None), settings)
    loaded = engine.network.model.state_dict()
    plain = [name for name, tensor in stored.items() if tensor.dtype == torch.float32]
    assert "model.embed_tokens.weight" in plain
    for name in plain:
        assert torch.equal(loaded[name], stored[name]), name


def test_a_local_gptq_directory_is_loaded_by_the_gptq_engine(spec, settings, quantised):
    own = replace(spec("gptq4"), quant=None, location=str(quantised("gptq4")))
    assert make_engine(own, settings).info.engine.startswith("gptqmodel ")


def test_a_gptq_directory_is_not_quantised_again(spec, settings, quantised, calibration):
    twice = replace(spec("gptq4"), location=str(quantised("gptq8")))
    with pytest.raises(QuantizeError, match="already quantised with gptq"):
        ensure_quantized(twice, settings, calibration)


def test_the_layout_of_autogptq_loads(spec, settings, damaged):
    config = json.loads((damaged / "config.json").read_text())
    del config["quantization_config"]
    (damaged / "config.json").write_text(json.dumps(config))
    tensors = load_file(damaged / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.bias"] = torch.zeros(128, dtype=torch.float16)
    save_file(tensors, damaged / "gptq_model-4bit-32g.safetensors", {"format": "pt"})
    (damaged / "model.safetensors").unlink()
    own = replace(spec("gptq4"), quant=None, location=str(damaged))
    engine = make_engine(own, settings)
    assert engine.info.kernel == "gptqmodel.TorchLinear"
    assert engine.run(ASKED).outputs[0].error is None


@pytest.mark.parametrize("kind", ["qweight", "scales"])
def test_a_renamed_tensor_is_refused(spec, settings, damaged, kind):
    name = f"model.layers.0.mlp.gate_proj.{kind}"
    edit_weights(damaged, lambda tensors: tensors.update({name.replace("gate", "gait"): tensors.pop(name)}))
    with pytest.raises(ModelError) as caught:
        load_directory(damaged, "gptq", spec("gptq4"), settings)
    assert name in str(caught.value) or "cannot be loaded by gptqmodel" in str(caught.value)


def test_a_bias_that_would_be_ignored_is_refused(spec, settings, damaged):
    edit_weights(damaged, lambda tensors: tensors.update({"model.layers.0.mlp.up_proj.bias": torch.ones(128)}))
    with pytest.raises(ModelError, match=r"1 unexpected \(model.layers.0.mlp.up_proj.bias\)"):
        load_directory(damaged, "gptq", spec("gptq4"), settings)


def test_a_broken_result_is_refused_and_leaves_nothing(spec, settings, calibration, tmp_path, monkeypatch):
    """The weights are zeroed between quantising and loading again, as an interrupted write might."""
    from pytest_slmsec.quantize import gptq as quantizer

    whole = quantizer.quantize_weights

    def and_lose_them(base, out, recipe, rows, settings):
        whole(base, out, recipe, rows, settings)
        edit_weights(out, lambda tensors: tensors["model.norm.weight"].zero_())

    monkeypatch.setattr(quantizer, "quantize_weights", and_lose_them)
    own = replace(settings, cache_dir=tmp_path)
    with pytest.raises(QuantizeError, match=r"tiny-gptq8: The quantised model is broken .* same top token in"):
        ensure_quantized(spec("gptq8"), own, calibration)
    assert [path.name for path in (tmp_path / "quantized").iterdir() if path.is_dir()] == []


def test_an_interrupted_attempt_leaves_nothing_and_the_next_succeeds(
    spec, settings, calibration, tmp_path, monkeypatch
):
    own = replace(settings, cache_dir=tmp_path)

    def interrupted(plan, out, settings):
        out.mkdir()
        (out / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "quantize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ensure_quantized(spec("gptq8"), own, calibration)
    name = plan_quantization(spec("gptq8"), own, calibration).directory_name
    killed = tmp_path / "quantized" / f".making-{name}-1"
    killed.mkdir()
    directory = ensure_quantized(spec("gptq8"), own, calibration)
    assert figures(directory)["tokens"] > 0
    assert [path.name for path in (tmp_path / "quantized").iterdir() if path.is_dir()] == [name]


def test_progress_is_reported_a_layer_at_a_time(spec, settings, calibration, tmp_path):
    told = []
    own = replace(settings, cache_dir=tmp_path, progress=lambda what, share: told.append((what, share)))
    ensure_quantized(spec("gptq8"), own, calibration)
    assert ("gptq8: layer 1 of 2", 0.5) in told
    assert ("gptq8: layer 2 of 2", 1.0) in told


def test_without_gptqmodel_the_pip_line_is_named(monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[gptq\]'"):
        gptq.import_gptqmodel()


def test_nothing_is_printed_and_nothing_is_written_where_the_user_is(spec, calibration, tmp_path):
    code = f"""
from pathlib import Path
from typing import Any
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.registry import load_directory
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.plan import plan_quantization
from pytest_slmsec.quantize.store import ensure_quantized
spec = {spec("gptq4")!r}
settings = EngineSettings(device="cpu", cache_dir=Path({str(tmp_path / "cache")!r}))
load_directory(ensure_quantized(spec, settings, Path({str(calibration)!r})), "gptq", spec, settings)
"""
    here = tmp_path / "here"
    here.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(here.iterdir()) == []
