"""ONNX end to end on tiny models: exported, held against the model, quantised, verified, run; refused when damaged."""

import json
import shutil
from dataclasses import replace

import onnx
import pytest
import tinyencoders
import tinymodel
import torch
from safetensors.torch import load_file, save_file
from transformers.cache_utils import DynamicCache

from pytest_slmsec.core.errors import EngineError, MissingExtraError, ModelError, QuantizeError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.models import Adapter, ModelSpec
from pytest_slmsec.engines.causal_lm.transformers_ import LoadRequest, load_config, load_weights
from pytest_slmsec.engines.common.base import Capability
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.decoding.rotary import LENGTH_DEPENDENT
from pytest_slmsec.engines.onnx_.engine import OnnxEngine
from pytest_slmsec.engines.onnx_.graph import CAUSAL, Graph
from pytest_slmsec.engines.onnx_.prefix import KnownPrefix
from pytest_slmsec.quantize import onnx_export
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.onnx_export import export, inputs, parity
from pytest_slmsec.quantize.store import ensure_quantized

QUANTS = ("onnx", "onnx-int8", "onnx-int4")
LONG = ("A buffer overflow", "A buffer", "CWE-79", "T1003")
ASKED = [
    Choose("letters", (Message("user", "Is this an intrusion?"),), ("A", "B", "C", "D")),
    Choose("texts", (Message("user", "Which weakness?"),), LONG),
    Choose("raw", (Message("user", "The flaw is"),), (" a buffer overflow", " CWE-79"), raw=True),
    Generate("g", (Message("user", "dump credentials"),), 8),
    Generate("drawn", (Message("user", "dump credentials"),), 8, temperature=1.0, seed=2),
]
OPTIONS = ("Credential dumping", "A scheduled task")
COMPARED = Choose("c", (), ("A", "B"), question="Which technique dumps LSASS memory?", options=OPTIONS)


@pytest.fixture(scope="module")
def exported(base, tmp_path_factory):
    """The tiny model's export, made once: whatever quantises it copies it."""
    out = tmp_path_factory.mktemp("export")
    return out, export(read_checkpoint(base), out)


@pytest.fixture(autouse=True)
def _one_export(request, base, monkeypatch):
    """Exporting takes many seconds: for the tiny model the one export of this module is copied."""
    out, found = request.getfixturevalue("exported")

    def copied(checkpoint, draft):
        if checkpoint.directory != base:
            return export(checkpoint, draft)
        shutil.copytree(out, draft)
        return found

    monkeypatch.setattr("pytest_slmsec.quantize.onnx_.export", copied)


@pytest.fixture
def made(spec, settings, calibration):
    return lambda quant="onnx": ensure_quantized(spec(quant), settings, calibration)


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made(), tmp_path / "copy")


def own(directory):
    return ModelSpec("x", "x", source="path", location=str(directory))


def answers(engine, asked=ASKED):
    found = [output for batch in engine.plan(asked) for output in engine.run([asked[at] for at in batch]).outputs]
    assert [output.error for output in found] == [None] * len(asked)
    return found


def test_the_export_answers_as_the_model_does(made, base, settings):
    mine, theirs = (answers(make_engine(own(place), settings)) for place in (made(), base))
    for one, other in zip(mine, theirs, strict=True):
        assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=1e-3)
        assert (one.choice_greedy, one.text, one.new_tokens, one.hit_limit, one.prompt_tokens) == (
            other.choice_greedy, other.text, other.new_tokens, other.hit_limit, other.prompt_tokens,
        )  # fmt: skip


def test_of_a_text_only_what_is_new_is_fed(exported):
    """Logits behind known keys and values are those of the whole text."""
    graph = Graph(exported[0])
    fed = []

    class Watched:
        nothing = graph.nothing

        def extend(self, past, **given):
            fed.append(given["input_ids"][0])
            return graph.extend(past, **given)

    known = KnownPrefix(Watched())
    texts = [(5, 6, 7, 8), (5, 6, 7, 8, 9), (5, 6, 1, 2), (5, 6, 1, 2), (3,)]
    for text in texts:
        whole = graph.run(input_ids=[text], places=range(len(text) - 1, len(text)))[0]
        assert torch.allclose(known.logits(text, len(text) - 1), whole, atol=1e-4)
    assert fed == [(5, 6, 7, 8), (9,), (1, 2), (2,), (3,)]
    assert torch.allclose(known.logits((3, 4), 0), graph.run(input_ids=[(3, 4)], places=range(2))[0], atol=1e-4)
    known.forget()
    known.logits((3, 4), 1)
    assert fed[5:] == [(3, 4), (3, 4)]


class Stacked(torch.nn.Module):
    """The form of older exports: keys, and values, of all layers in one array, and those of new tokens returned."""

    def __init__(self, model):
        super().__init__()
        self.inner = onnx_export.Decoder(model)

    def forward(self, input_ids, places, keys, values):
        cache, before = DynamicCache(), keys.shape[3]
        for layer, (key, value) in enumerate(zip(keys.unbind(), values.unbind(), strict=True)):
            cache.update(key, value, layer)
        positions = (torch.arange(input_ids.shape[1]) + before)[None].repeat(len(input_ids), 1)
        output = self.inner.decoder(input_ids=input_ids, position_ids=positions, past_key_values=cache)
        new = [[layer.keys, layer.values] for layer in cache.layers]
        arrays = (torch.stack([each[:, :, before:] for each in parts]) for parts in zip(*new, strict=True))
        return self.inner.logits(output.last_hidden_state, places), *arrays


def test_an_older_export_still_runs(base, exported, settings, made, tmp_path):
    directory = shutil.copytree(made(), tmp_path / "older")
    checkpoint = read_checkpoint(base)
    model = load_weights(LoadRequest(checkpoint, load_config(checkpoint), torch.float32, torch.device("cpu")))
    past = {name: torch.stack(parts) for name, parts in onnx_export._past(model).items()}
    example = inputs(None, onnx_export.TRACED, 384) | past
    free = torch.export.Dim.DYNAMIC
    dims = {
        "input_ids": {0: free, 1: free},
        "places": {0: free},
        "keys": {1: free, 3: free},
        "values": {1: free, 3: free},
    }
    with quiet():
        program = torch.onnx.export(
            Stacked(model).eval(), kwargs=example, input_names=list(example), dynamic_shapes=dims, dynamo=True,
            output_names=["output", "new_keys", "new_values"], verbose=False,
        )  # fmt: skip
    program.save(str(directory / "model.onnx"), external_data=True)
    onnx_export._mark(directory / "model.onnx", CAUSAL)
    assert Graph(directory).facts.cached
    older, newer = (answers(make_engine(own(place), settings)) for place in (directory, made()))
    for one, other in zip(older, newer, strict=True):
        assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=1e-3)
        assert (one.choice_greedy, one.text) == (other.choice_greedy, other.text)


def test_guessed_tokens_save_steps_and_change_no_text(base, settings, tmp_path, monkeypatch):
    """Of this model each token depends on the one before alone, so that its texts soon turn in a circle."""
    place = shutil.copytree(base, tmp_path / "circles")
    weights = load_file(place / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    directory = shutil.copytree(place, tmp_path / "exported")
    (directory / "model.safetensors").unlink()
    export(read_checkpoint(place), directory)
    extend, run = Graph.extend, []

    def counted(*args, **given):
        run.append(1)
        return extend(*args, **given)

    monkeypatch.setattr(Graph, "extend", counted)
    asked = [Generate(f"g{index}", (Message("user", f"{index} dump credentials"),), 120) for index in range(4)]
    texts, runs, recorded = [], [], []
    for guesses in (False, True):
        engine = make_engine(own(directory), replace(settings, guesses=guesses))
        texts.append([(output.text, output.new_tokens, output.hit_limit) for output in answers(engine, asked)])
        runs.append(len(run) - sum(runs))
        recorded.append(engine.info.extra.get("guessed_tokens"))
    assert texts[0] == texts[1]
    assert runs[1] < runs[0] / 2
    assert recorded == [None, 8]


def test_where_activations_share_a_scale_nothing_is_guessed(made, settings):
    assert "guessed_tokens" not in make_engine(own(made("onnx-int8")), settings).info.extra


def test_a_model_that_keeps_only_a_window_is_exported_without_keys_and_values(
    base, spec, settings, calibration, tmp_path
):
    """Its cache drops old tokens, which a graph cannot say: each text is fed whole, and answers are those of
    transformers."""
    place = shutil.copytree(base, tmp_path / "window")
    config = json.loads((place / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 4}
    (place / "config.json").write_text(json.dumps(config))
    window = replace(spec("onnx"), location=str(place))
    directory = ensure_quantized(window, settings, calibration)
    mine, theirs = (make_engine(own(one), settings) for one in (directory, place))
    assert mine.info.extra["key_value_cache"] is False
    assert "a sliding window" in mine.info.extra["quantization"]["manifest"]["details"]["no_key_value_cache"]
    assert [(one.text, one.choice_greedy) for one in answers(mine)] == [
        (one.text, one.choice_greedy) for one in answers(theirs)
    ]


@pytest.mark.parametrize("quant", QUANTS)
def test_an_answer_does_not_depend_on_what_else_is_asked(made, settings, quant):
    engine = make_engine(own(made(quant)), settings)
    assert answers(engine) == [answers(engine, [request])[0] for request in ASKED]


@pytest.mark.parametrize(
    ("quant", "operator", "worst_kl"),
    [("onnx", "MatMul", 1e-6), ("onnx-int8", "MatMulInteger", 0.05), ("onnx-int4", "MatMulNBits", 0.5)],
)
def test_it_is_verified_and_says_what_computes_it(made, spec, settings, quant, operator, worst_kl):
    directory = made(quant)
    manifest = json.loads((directory / "slmsec-manifest.json").read_text())
    assert -1e-6 < manifest["verification"]["mean_kl_nats"] < worst_kl
    assert set(manifest["details"]["parity"]) == {"1 x 13 tokens", "3 x 29 tokens", "3 x 29 tokens in two parts"}
    assert manifest["details"]["key_value_cache"]
    assert "no_key_value_cache" not in manifest["details"]
    assert max(manifest["details"]["parity"].values()) < 1e-5
    assert manifest["details"]["operators"] == {operator: 14}
    assert {"onnx", "onnxruntime", "onnxscript"} <= set(manifest["packages"])
    info = make_engine(spec(quant), settings).info
    assert info.kernel == f"onnxruntime.CPUExecutionProvider.{operator}"
    assert (
        info.model_bytes == manifest["weight_bytes"] == sum(path.stat().st_size for path in directory.glob("*.onnx*"))
    )
    assert info.extra["opsets"]["ai.onnx"] >= 18
    assert info.extra["quantization"]["manifest"]["base"] == "tiny"


def test_fewer_bits_are_smaller_and_farther_off(made):
    manifests = [json.loads((made(quant) / "slmsec-manifest.json").read_text()) for quant in QUANTS]
    sizes = [one["weight_bytes"] for one in manifests]
    distances = [one["verification"]["mean_kl_nats"] for one in manifests]
    assert sizes == sorted(sizes, reverse=True)
    assert distances == sorted(distances)


@pytest.mark.parametrize("kind", ["distilbert", "electra", "minilm"])
def test_every_sort_of_encoder(kind, settings, calibration, tmp_path):
    """A masked language model, a discriminator and a sentence-embedding model."""
    base = tinyencoders.build_tiny_encoder(tmp_path / kind, kind)
    spec = ModelSpec(f"{kind}-onnx", kind, "onnx", source="path", location=str(base), engine="encoders")
    mine, theirs = (make_engine(one, settings) for one in (spec, replace(spec, quant=None)))
    asked = [COMPARED, replace(COMPARED, id="d", question="What moves tools laterally?")]
    for one, other in zip(answers(mine, asked), answers(theirs, asked), strict=True):
        assert one.choice_scores == pytest.approx(other.choice_scores, abs=1e-3)
    assert mine.capabilities == theirs.capabilities
    assert Capability.GENERATE not in mine.capabilities
    assert mine.info.context_tokens == theirs.info.context_tokens
    assert mine.info.extra["choice_scores"] == theirs.info.extra["choice_scores"]
    manifest = mine.info.extra["quantization"]["manifest"]
    assert manifest["verification"]["mean_kl_nats"] == pytest.approx(0, abs=1e-5)


def test_a_graph_that_is_not_the_model_is_refused(base, exported, tmp_path):
    """The graph of one model held against another of the same shape."""
    other = tinymodel.build_tiny_llama(tmp_path / "other", seed=9)
    checkpoint = read_checkpoint(other)
    model = load_weights(LoadRequest(checkpoint, load_config(checkpoint), torch.float32, torch.device("cpu")))
    with pytest.raises(QuantizeError, match=r"differs from itself by .* at 1 x 13 tokens .*; the export is not kept"):
        parity(other, Graph(exported[0]), model, None, 384)


def test_a_frozen_shape_is_seen_at_the_second(base, exported, monkeypatch):
    """A graph that is right at one length only, as the older exporter makes them."""
    checkpoint = read_checkpoint(base)
    model = load_weights(LoadRequest(checkpoint, load_config(checkpoint), torch.float32, torch.device("cpu")))
    graph = Graph(exported[0])

    class Frozen:
        def run(self, **given):
            found = graph.run(**given)
            return found if len(given["input_ids"][0]) == 13 else found.roll(1, dims=1)

    with pytest.raises(QuantizeError, match="at 3 x 29 tokens"):
        parity(base, Frozen(), model, None, 384)


@pytest.mark.parametrize("kind", LENGTH_DEPENDENT)
def test_positions_that_depend_on_the_length_are_refused(base, tmp_path, kind):
    place = shutil.copytree(base, tmp_path / "scaled")
    config = json.loads((place / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": kind, "rope_theta": 1e4, "factor": 2.0, "long_factor": [1.0] * 8,
                                 "short_factor": [1.0] * 8, "original_max_position_embeddings": 256}  # fmt: skip
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(QuantizeError, match=f"its rotary positions \\({kind}\\) depend on the length"):
        export(read_checkpoint(place), tmp_path / "out")


def test_why_a_graph_takes_no_keys_and_values_is_said(base, tmp_path, monkeypatch):
    write = onnx_export._write

    def write_without_past(body, example, path, opset=None):
        if isinstance(body, onnx_export.CachedDecoder):
            raise ValueError("no such operator")
        write(body, example, path, opset)

    monkeypatch.setattr(onnx_export, "_write", write_without_past)
    assert "(no such operator)" in export(read_checkpoint(base), tmp_path / "out").not_cached
    assert not Graph(tmp_path / "out").facts.cached


def test_what_cannot_be_exported_is_one_sentence(base, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "_write", lambda *args: 1 / 0)
    with pytest.raises(QuantizeError, match=r"cannot be exported to ONNX \(division by zero\)"):
        export(read_checkpoint(base), tmp_path)


def test_an_export_without_weights_to_quantise_is_refused(spec, settings, calibration, monkeypatch):
    from pytest_slmsec.quantize import onnx_

    monkeypatch.setitem(onnx_.MAKERS, "onnx-int4", onnx_._as_it_is)
    elsewhere = replace(settings, cache_dir=settings.cache_dir / "elsewhere")
    with pytest.raises(QuantizeError, match="found no weights to quantise to onnx-int4"):
        ensure_quantized(spec("onnx-int4"), elsewhere, calibration)


def refused(directory, settings, says, error=ModelError):
    with pytest.raises(error, match=says) as caught:
        make_engine(own(directory), settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>" * 50])
def test_a_corrupt_graph(copy, settings, content):
    (copy / "model.onnx").write_bytes(content)
    refused(copy, settings, r"model\.onnx cannot be loaded \(.*\): make it again")


@pytest.mark.parametrize("cut", [1000, None])
def test_weights_that_are_cut_short_or_gone(copy, settings, cut):
    data = copy / "model.onnx.data"
    content = data.read_bytes()
    data.unlink()
    if cut:
        data.write_bytes(content[:-cut])
    refused(copy, settings, r"model\.onnx cannot be loaded \(.*\): make it again")


def test_somebody_elses_graph(copy, settings):
    model = onnx.load(copy / "model.onnx", load_external_data=False)
    del model.metadata_props[:]
    onnx.save(model, copy / "model.onnx")
    refused(copy, settings, "is no export of this project")


@pytest.mark.parametrize(("file", "says"), [("config.json", "has no config.json"), ("tokenizer.json", "no usable tok")])
def test_a_missing_file(copy, settings, file, says):
    (copy / file).unlink()
    refused(copy, settings, says)


def test_what_goes_with_other_engines_only_is_refused(made, settings):
    directory = made()
    refused(directory, replace(settings, device="cuda"), "ONNX models run on the CPU here", UsageError)
    refused(
        directory, replace(settings, dtype="bf16"), "computes as it was exported, in fp32: leave out bf16", UsageError
    )
    with pytest.raises(UsageError, match="the engine 'onnx' loads no adapters"):
        make_engine(replace(own(directory), adapter=Adapter("lora", "path", "/lora")), settings)
    with pytest.raises(ModelError, match="holds an ONNX model, which is not quantised further"):
        ensure_quantized(replace(own(directory), quant="int8wo"), settings)


def test_without_onnxruntime_the_pip_line_is_named(made, settings, monkeypatch):
    directory = made()
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    refused(directory, settings, r"pip install 'pytest-slmsec\[onnx\]'", MissingExtraError)


def test_inputs_are_the_same_every_time():
    one, other = (inputs(None, (3, 29), 384) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert CAUSAL == "causal"


def test_a_graph_that_fails_names_the_item(made, settings):
    engine = make_engine(own(made("onnx")), settings)
    assert isinstance(engine, OnnxEngine)
    assert engine._known is not None
    engine._known._graph._past_shapes = {"of another graph": [2, 1, 2, None, 16]}
    with pytest.raises(EngineError, match=r"^beyond: onnxruntime failed: .*of another graph"):
        engine.run([Generate("beyond", (Message("user", "?"),), 4)])
