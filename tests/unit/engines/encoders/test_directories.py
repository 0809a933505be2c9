"""Which directories are encoders, which weights may be missing or left over, and what else makes one unusable."""

import json
import os
import sys

import pytest
import tinyencoders
import tinymodel
import torch
from safetensors.torch import load_file, save_file

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.common.base import Capability, lacking
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.encoders.kinds import Kind, find_kind

REQUEST = Choose("cti-mcq-00007", (), ("A", "B"), question="Which technique?", options=("Phishing", "Injection"))


def edit_weights(directory, change):
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})


def edit_json(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(("kind", "expected"), [
    *((kind, Kind.MASKED) for kind in tinyencoders.MASKED), ("electra", Kind.DISCRIMINATOR), ("minilm", Kind.EMBEDDING),
])  # fmt: skip
def test_the_sort_of_an_encoder_is_read_off_its_files(copied, kind, expected):
    directory = copied(kind)
    assert find_kind(read_checkpoint(directory)) is expected
    edit_json(directory / "config.json", architectures=None)  # as in checkpoints of the first years
    assert find_kind(read_checkpoint(directory)) is expected


def test_a_causal_model_is_no_encoder(tmp_path):
    assert find_kind(read_checkpoint(tinymodel.build_tiny_llama(tmp_path / "llama"))) is None


def test_an_encoder_that_cannot_score_is_refused(copied, load):
    directory = copied("minilm")
    (directory / "modules.json").unlink()
    with pytest.raises(ModelError, match="BertModel is an encoder without a head that could score an option"):
        load(directory)


@pytest.mark.parametrize(("kind", "names"), [
    ("bert", ("bert.pooler.dense.weight", "cls.seq_relationship.bias", "bert.embeddings.position_ids")),
    ("albert", ("albert.pooler.weight", "sop_classifier.classifier.weight")),
    ("minilm", ("embeddings.position_ids",)),
])  # fmt: skip
def test_what_no_score_depends_on_may_be_left_over(copied, load, encoders, kind, names):
    directory = copied(kind)
    edit_weights(directory, lambda tensors: tensors.update({name: torch.ones(2) for name in names}))
    assert load(directory).run([REQUEST]).outputs[0].choice_scores == pytest.approx(
        load(encoders(kind)).run([REQUEST]).outputs[0].choice_scores
    )


def test_an_embedding_model_needs_no_pooler(copied, load):
    directory = copied("minilm")
    edit_weights(directory, lambda tensors: [tensors.pop(name) for name in list(tensors) if "pooler" in name])
    assert load(directory).run([REQUEST]).outputs[0].error is None


@pytest.mark.parametrize("kind", tinyencoders.KINDS)
def test_any_other_missing_weight_is_an_error(copied, load, kind):
    directory = copied(kind)
    name = next(n for n in sorted(load_file(directory / "model.safetensors")) if "LayerNorm" in n or "layer_norm" in n)
    edit_weights(directory, lambda tensors: tensors.pop(name))
    with pytest.raises(ModelError, match="1 missing"):
        load(directory)


@pytest.mark.parametrize("kind", tinyencoders.KINDS)
def test_any_other_weight_that_is_left_over_is_an_error(copied, load, kind):
    directory = copied(kind)
    edit_weights(directory, lambda tensors: tensors.update({"encoder.layer.9.weight": torch.ones(2)}))
    with pytest.raises(ModelError, match=r"1 unexpected \(encoder.layer.9.weight\)"):
        load(directory)


def test_a_masked_model_without_its_head_is_an_error(copied, load):
    directory = copied("distilbert")
    edit_weights(directory, lambda tensors: [tensors.pop(name) for name in list(tensors) if "vocab_" in name])
    with pytest.raises(ModelError, match=r"missing .*vocab_"):
        load(directory)


def test_pickled_weights_are_refused(copied, load):
    directory = copied("electra")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only as a pickle"):
        load(directory)


def test_a_tokenizer_without_a_mask_is_refused(copied, load):
    directory = copied("bert")
    config = json.loads((directory / "tokenizer_config.json").read_text())
    del config["mask_token"]
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="has no mask token"):
        load(directory)


@pytest.mark.parametrize(("file", "content", "message"), [
    ("modules.json", "{", "no readable JSON"),
    ("modules.json", "{}", "is no list of modules"),
    ("modules.json", '[{"type": "sentence_transformers.models.Transformer"}]', "no Transformer with a Pooling"),
    ("modules.json", '[{"type": "sentence_transformers.models.Dense", "path": "3"}]', "'Dense' is not understood"),
    ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pooling pooling_mode_max_tokens"),
    ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}', "cls_token"),
    ("1_Pooling/config.json", None, "is missing, so it is not known how"),
    ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "'query' before every text"),
])  # fmt: skip
def test_pooling_is_never_guessed(copied, load, file, content, message):
    directory = copied("minilm")
    if content is None:
        (directory / file).unlink()
    else:
        (directory / file).write_text(content)
    with pytest.raises(ModelError, match=message):
        load(directory)


def test_an_embedding_model_that_lower_cases_does(copied, load):
    directory = copied("minilm")
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    tinyencoders.write_pooling(directory, do_lower_case=True)
    engine = load(directory)
    upper = Choose("u", (), ("A",), question="WHICH TECHNIQUE?", options=("PHISHING",))
    lower = Choose("l", (), ("A",), question="which technique?", options=("phishing",))
    one, other = engine.run([upper, lower]).outputs
    assert one.choice_scores == pytest.approx(other.choice_scores)
    assert engine.info.engine.endswith("of lower-cased texts")


def test_a_question_that_does_not_fit_is_an_error_of_its_own(encoders, load):
    engine = load(encoders("distilbert"))
    long = Choose("cti-mcq-00099", (), ("A",), question="which technique " * 40, options=("Phishing",))
    error, fine = engine.run([long, REQUEST]).outputs
    assert "cti-mcq-00099: its longest text" in error.error
    assert "context holds 64; nothing was cut" in error.error
    assert error.choice_scores is None
    assert fine.error is None


def test_options_without_any_text_are_an_error(encoders, load):
    (output,) = load(encoders("electra")).run([Choose("c-1", (), ("A",), question="?", options=("",))]).outputs
    assert output.error == "c-1: none of its options has a text that could be scored."


def test_scores_that_are_not_finite_are_an_error_of_the_item(copied, load):
    directory = copied("minilm")
    edit_weights(directory, lambda tensors: tensors["embeddings.LayerNorm.weight"].fill_(float("nan")))
    (output,) = load(directory).run([REQUEST]).outputs
    assert "not finite" in output.error


def test_what_an_encoder_cannot_be_asked(encoders, load):
    engine = load(encoders("distilbert"))
    generate = Generate("g", (Message("user", "Say something."),), 8)
    letters = Choose("l", (Message("user", "A or B?"),), ("A", "B"))
    assert lacking(engine.capabilities, generate) == "it generates no text"
    assert "gives no option texts" in lacking(engine.capabilities, letters)
    assert lacking(engine.capabilities, REQUEST) is None
    assert lacking(Capability.CHOICE, letters) is None
    assert lacking(Capability.GENERATE, letters) == "it gives no log-probabilities"
    outputs = engine.run([generate, letters]).outputs
    assert [output.error.partition(":")[0] for output in outputs] == ["g cannot be asked", "l cannot be asked"]


def test_nothing_heavy_is_imported_to_know_what_an_engine_can_do():
    code = "import sys, pytest_slmsec.engines.registry; print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert os.popen(f'{sys.executable} -c "{code}"').read().split() == ["False", "False"]
