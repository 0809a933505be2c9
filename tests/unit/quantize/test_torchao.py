"""8-bit integers by torchao, end to end on tiny models: made, verified, loaded, refused when damaged."""

import json
import shutil
from dataclasses import replace

import pytest
import tinyencoders
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torchao.utils import should_reduce_range

from pytest_slmsec.cli.quantize import print_manifest
from pytest_slmsec.core.errors import MissingExtraError, ModelError, QuantizeError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.plan import plan_quantization
from pytest_slmsec.quantize.store import ensure_quantized

needs_vnni = pytest.mark.skipif(
    should_reduce_range(torch.device("cpu")), reason="8-bit activations need a processor with VNNI instructions"
)
ASKED = [
    Choose("c", (Message("user", "Is this an intrusion?"),), ("A", "B", "yes, it is", "no")),
    Generate("g", (Message("user", "dump credentials"),), 8),
]
OPTIONS = ("Credential dumping", "Lateral tool transfer", "A scheduled task")
COMPARED = Choose("c", (), ("A", "B", "C"), question="Which technique dumps LSASS memory?", options=OPTIONS)


def manifest(directory):
    return json.loads((directory / "slmsec-manifest.json").read_text())


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    home = tmp_path_factory.mktemp("encoders")
    return lambda kind, quant: ModelSpec(
        f"{kind}-{quant}", kind, quant, source="path", location=str(tinyencoders.build_tiny_encoder(home / kind, kind))
    )


@pytest.mark.parametrize("quant", ["int8wo", pytest.param("int8dyn", marks=needs_vnni)])
def test_a_causal_model_is_made_verified_and_answers(quantised, spec, settings, quant):
    made = manifest(quantised(quant))
    check, recipe = made["verification"], made["recipe"]
    assert 0 < check["mean_kl_nats"] < 0.05
    assert check["same_top_rate"] > 0.9
    assert (recipe["bits"], recipe["group_size"], made["calibration_lines"]) == (8, -1, 0)
    assert recipe["package"] == f"torchao {made['packages']['torchao']}"
    engine = make_engine(spec(quant), settings)
    assert engine.info.kernel == "torchao.Int8Tensor"
    assert engine.info.extra["quantization"]["manifest"]["base"] == "tiny"
    assert [output.error for output in engine.run(ASKED).outputs] == [None, None]


@needs_vnni
def test_weights_alone_lose_less_than_weights_and_activations(quantised):
    weights, both = (manifest(quantised(quant))["verification"] for quant in ("int8wo", "int8dyn"))
    assert weights["mean_kl_nats"] < both["mean_kl_nats"]


@pytest.mark.parametrize("kind", tinyencoders.KINDS)
def test_every_sort_of_encoder_is_made_verified_and_answers_much_like_its_base(encoder, settings, calibration, kind):
    spec = encoder(kind, "int8wo")
    directory = ensure_quantized(spec, settings, calibration)
    check = manifest(directory)["verification"]
    assert check["same_top_rate"] > 0.8
    assert check["mean_kl_nats"] < 0.1
    assert check["answers"] == 0
    base, quantised = make_engine(replace(spec, quant=None), settings), make_engine(spec, settings)
    scores = [engine.run([COMPARED]).outputs[0].choice_scores for engine in (base, quantised)]
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], rel=0.2, abs=0.1)
    assert quantised.info.kernel == "torchao.Int8Tensor"
    assert quantised.info.context_tokens == base.info.context_tokens


def test_what_is_compared_is_named(encoder, settings, calibration, capsys):
    for kind, compared in (("electra", "tokens, original or replaced"), ("minilm", "nearest texts"),
                           ("distilbert", "masked tokens")):  # fmt: skip
        spec = encoder(kind, "int8wo")
        directory = ensure_quantized(spec, settings, calibration)
        print_manifest(spec, directory, manifest(directory))
        said = capsys.readouterr().out
        assert f"{kind}-int8wo: 8 bits, one scale an output channel, torchao" in said
        assert said.count(compared) == 1
        assert "calibration" not in said


def test_weights_are_stored_as_integers_in_safetensors_with_their_tokenizer(quantised, base):
    directory = quantised("int8wo")
    with safe_open(directory / "model.safetensors", "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 - no mapping: it has keys() only
    assert torch.int8 in kinds
    assert (directory / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert not list(directory.glob("*.bin"))


def test_the_pooling_goes_along_and_decides_what_is_made(encoder, settings, calibration):
    spec = encoder("minilm", "int8wo")
    before = plan_quantization(spec, settings, calibration).directory_name
    assert (ensure_quantized(spec, settings, calibration) / "1_Pooling" / "config.json").is_file()
    config = settings.cache_dir / "other"
    shutil.copytree(spec.location, config)
    tinyencoders.write_pooling(config, "pooling_mode_cls_token")
    assert plan_quantization(replace(spec, location=str(config)), settings, calibration).directory_name != before


@pytest.mark.parametrize("part", ["qdata", "scale"])
def test_a_lost_tensor_is_refused(quantised, spec, settings, tmp_path, part):
    directory = shutil.copytree(quantised("int8wo"), tmp_path / "copy")
    with safe_open(directory / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    tensors = load_file(directory / "model.safetensors")
    tensors.pop(next(name for name in sorted(tensors) if name.endswith(f"_{part}")))
    save_file(tensors, directory / "model.safetensors", metadata)
    with pytest.raises(ModelError):
        make_engine(replace(spec("int8wo"), quant=None, location=str(directory)), settings)


def test_what_does_not_go_together_is_refused(encoder, spec, settings, calibration):
    with pytest.raises(QuantizeError, match=r"minilm-gptq4: gptq4 quantises models .* use one of .*int8wo, int8dyn\."):
        ensure_quantized(encoder("minilm", "gptq4"), settings, calibration)
    with pytest.raises(QuantizeError, match="leave out --group-size"):
        ensure_quantized(spec("int8wo"), settings, calibration, group_size=64)


def test_without_torchao_the_pip_line_is_named(quantised, spec, settings, monkeypatch):
    own = replace(spec("int8wo"), quant=None, location=str(quantised("int8wo")))
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[torchao\]'"):
        make_engine(own, settings)


def test_integer_activations_are_refused_where_their_sums_overflow(quantised, spec, settings, monkeypatch):
    import torchao.utils

    monkeypatch.setattr(torchao.utils, "should_reduce_range", lambda device: True)
    with pytest.raises(ModelError, match="no VNNI instructions"):  # without them, making it is refused already
        make_engine(replace(spec("int8dyn"), quant=None, location=str(quantised("int8dyn"))), settings)
    weights_alone = replace(spec("int8wo"), quant=None, location=str(quantised("int8wo")))
    assert make_engine(weights_alone, settings).run(ASKED[:1]).outputs[0].error is None
