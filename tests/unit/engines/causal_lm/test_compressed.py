"""Checkpoints in the format of compressed-tensors: loaded, computed as they say, refused when damaged."""

import shutil

import pytest
import tinycompressed
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pytest_slmsec.core.errors import MissingExtraError, ModelError
from pytest_slmsec.core.items import Choose, Generate, Message

pytest.importorskip("compressed_tensors")

ASKED = [
    Choose("c", (Message("user", "Is this an intrusion?"),), ("A", "B", "yes, it is", "no")),
    Generate("g", (Message("user", "dump credentials"),), 8),
]
LAYER = "model.layers.0.mlp.up_proj"
PARTS = {"w4a16": ("weight_packed", "weight_scale", "weight_shape"), "w8a8": ("weight", "weight_scale"),
         "fp8": ("weight", "weight_scale")}  # fmt: skip


@pytest.fixture(scope="session")
def stored(tiny, tmp_path_factory):
    home = tmp_path_factory.mktemp("compressed")
    return {kind: tinycompressed.build_tiny_compressed(tiny, home / kind, kind) for kind in PARTS}


@pytest.mark.parametrize(
    ("kind", "kernel", "bits"),
    [("w4a16", "pack-quantized", 4), ("w8a8", "int-quantized", 8), ("fp8", "float-quantized", 8)],
)
def test_it_loads_and_answers_and_its_record_says_that_weights_are_unpacked(stored, load, kind, kernel, bits):
    engine = load(stored[kind])
    assert engine.info.kernel == f"compressed_tensors.{kernel}.unpacked"
    facts = engine.info.extra["quantization"]
    assert facts["format"] == kernel
    assert facts["groups"]["group_0"]["weights"]["num_bits"] == bits
    assert (facts["groups"]["group_0"]["activations"] is None) == (kind == "w4a16")
    assert [output.error for output in engine.run(ASKED).outputs] == [None, None]
    assert engine.info.model_bytes == (stored[kind] / "model.safetensors").stat().st_size


def test_weights_are_those_stored(stored, load, tiny):
    """4-bit integers times the scale of their group, unpacked by hand: eight to a word, lowest first, 8 too high."""
    tensors = load_file(stored["w4a16"] / "model.safetensors")
    words = tensors[f"{LAYER}.weight_packed"].to(torch.int64) & 0xFFFFFFFF
    values = torch.stack([(words >> 4 * at & 15) - 8 for at in range(8)], dim=-1).flatten(1)
    scales = tensors[f"{LAYER}.weight_scale"].repeat_interleave(tinycompressed.GROUP, dim=1)
    model = load(stored["w4a16"]).network.model
    assert torch.equal(model.get_submodule(LAYER).weight, values * scales)


def test_activations_are_rounded_as_the_checkpoint_says(stored, load):
    """By hand: one scale a token, 8 bits."""
    layer = load(stored["w8a8"]).network.model.get_submodule(LAYER)
    given = torch.randn(1, 5, layer.in_features, generator=torch.Generator().manual_seed(0))
    scale = given.abs().amax(-1, keepdim=True) / 127.5
    rounded = (given / scale).round().clamp(-128, 127) * scale
    with torch.inference_mode():
        assert torch.allclose(layer(given), torch.nn.functional.linear(rounded, layer.weight), atol=1e-5)
        assert not torch.allclose(layer(given), torch.nn.functional.linear(given, layer.weight), atol=1e-3)


@pytest.mark.parametrize(("kind", "part"), [(kind, part) for kind, parts in PARTS.items() for part in parts])
def test_a_lost_tensor_is_refused(stored, load, tmp_path, kind, part):
    copy = shutil.copytree(stored[kind], tmp_path / "copy")
    with safe_open(copy / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    tensors = load_file(copy / "model.safetensors")
    tensors.pop(f"{LAYER}.{part}")
    save_file(tensors, copy / "model.safetensors", metadata)
    with pytest.raises(ModelError) as caught:
        load(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_loading_prints_nothing(stored, load, capfd):
    load(stored["w4a16"])
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_pip_line_is_named(stored, load, monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[compressed-tensors\]'"):
        load(stored["w4a16"])
