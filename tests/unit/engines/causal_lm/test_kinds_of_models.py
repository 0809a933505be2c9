"""Kinds of models that need care: with states, for images and text, with tokens that are not embedded, longrope."""

import json
import re
import shutil

import pytest
import text_architectures
import tinymodel
import torch
import transformers
from enginechecks import run_all
from safetensors.torch import load_file, save_file
from text_architectures import made

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Choose, Generate, Message

LINE = "The log line shows a failed logon from 10.0.0.7, then a new service. "
LIMIT = 200
"""Tokens above which the angles of the longrope model change."""


def ask(name, lines=1, tokens=12):
    return Generate(name, (Message("user", LINE * lines + f"Write {name}."),), tokens)


def pick(name, lines=1):
    return Choose(name, (Message("user", LINE * lines + f"What is {name}?"),), ("A", " a new service", " CWE-79"))


def build(path, model):
    """Save a model with a tokenizer that fits a vocabulary of 384."""
    tinymodel.build_tokenizer(path, 384)
    model.save_pretrained(path)
    return path


def sized(name, monkeypatch):
    """A tiny model of an architecture with 384 tokens."""
    monkeypatch.setitem(text_architectures.SIZES, "vocab_size", 384)
    monkeypatch.setitem(text_architectures.SIZES, "max_position_embeddings", 4096)
    return made(name)


@torch.inference_mode()
def plain(model, request, encoded, ends):
    """What transformers gives in plain forward passes: log-probabilities of choices, or tokens."""

    def logits(ids):
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()

    prompt = list(encoded.prompt)
    if isinstance(request, Choose):
        found = []
        for choice in encoded.choices:
            logprobs = logits([*prompt, *choice]).log_softmax(-1)
            found.append(sum(logprobs[len(prompt) - 1 + at, token].item() for at, token in enumerate(choice)))
        return found
    tokens = []
    while len(tokens) < request.max_new_tokens and not (tokens and tokens[-1] in ends):
        tokens.append(int(logits([*prompt, *tokens])[-1].argmax()))
    return tokens


def check_answers(engine, model, requests):
    """Each answer is that of plain forward passes, whatever else is in its batch."""
    encoded = engine.prompts.encode(requests)
    for request, one, output in zip(requests, encoded, run_all(engine, requests), strict=True):
        assert output.error is None
        expected = plain(model, request, one, engine._ends)
        if isinstance(request, Choose):
            assert output.choice_logprobs == pytest.approx(expected, abs=5e-3)
        else:
            spoken = [token for token in expected if token not in engine._ends]
            assert output.text == engine.prompts.tokenizer.decode(spoken, skip_special_tokens=True)


TEXTS = [ask(f"t{n}", 1 + n % 3, 4 + 5 * (n % 3)) for n in range(7)]
REQUESTS = [*TEXTS, *(pick(f"c{n}", 1 + n % 3) for n in range(5))]
WITH_STATES = ("lfm2", "qwen3_next", "jamba", "bamba", "falcon_h1", "mamba", "rwkv", "recurrent_gemma")


@pytest.mark.parametrize(
    "name", ["lfm2", "qwen3_next", "jamba", "bamba", "falcon_h1", "mamba", "rwkv", "recurrent_gemma"]
)
def test_models_with_states_answer_in_company_as_they_do_alone(name, tmp_path, load, monkeypatch):
    directory = build(tmp_path / name, sized(name, monkeypatch))
    engine = load(directory)
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    check_answers(engine, model, REQUESTS)
    assert engine.info.extra["path"] in ("padded", "alone", "alone, without cache")


def test_texts_that_are_fed_one_at_a_time_are_a_note_with_the_reason(tmp_path, load, monkeypatch):
    engine = load(build(tmp_path / "rwkv", sized("rwkv", monkeypatch)))
    (note,) = engine.run([pick("one"), pick("two")]).notes
    assert note.startswith("texts were fed one at a time, more slowly (")
    assert "DynamicCache" in engine.info.extra["not_padded"]


@pytest.mark.parametrize("name", ["mistral3", "qwen2_5_vl", "gemma3", "llava"])
def test_a_model_for_images_and_text_is_asked_with_text(name, tmp_path, load, monkeypatch):
    directory = build(tmp_path / name, sized(name, monkeypatch))
    engine = load(directory)
    loader = transformers.AutoModelForImageTextToText
    check_answers(engine, loader.from_pretrained(directory, dtype=torch.float32).eval(), REQUESTS[3:9])


@pytest.mark.parametrize("name", ["llama4", "mllama"])
def test_a_whole_model_is_loaded_where_another_class_takes_its_text_part_alone(name, tmp_path, load, monkeypatch):
    """Llama 4 and Llama 3.2 Vision: transformers has a class of causal models that refuses the weights for images."""
    monkeypatch.setitem(text_architectures.SIZES, "vocab_size", 384)
    torch.manual_seed(0)
    loader = transformers.AutoModelForImageTextToText
    directory = build(tmp_path / name, loader.from_config(text_architectures.config_of(name)).float())
    engine = load(directory)
    assert engine.info.extra["architecture"].endswith("ForConditionalGeneration")
    check_answers(engine, loader.from_pretrained(directory, dtype=torch.float32).eval(), [ask("t"), pick("c")])


def test_the_text_part_alone_is_loaded_where_its_class_passes_over_the_rest(tmp_path, load, monkeypatch):
    monkeypatch.setitem(text_architectures.SIZES, "vocab_size", 384)
    torch.manual_seed(0)
    model = transformers.Qwen3_5ForConditionalGeneration(text_architectures.config_of("qwen3_5")).float()
    engine = load(build(tmp_path / "qwen3_5", model))
    assert engine.info.extra["architecture"] == "Qwen3_5ForCausalLM"
    check_answers(engine, model.eval(), [ask("t"), pick("c")])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("llava", r"^language_model\.model\.", "model.language_model."),
        ("mistral3", r"^language_model\.model\.", "model.language_model."),
        ("gemma3", r"^language_model\.model\.", "model.language_model."),
        ("qwen2_5_vl", r"^model\.(?=layers|norm|embed_tokens)", "model.language_model."),
    ],
)
def test_weights_are_found_under_the_names_of_older_and_newer_versions(name, old, new, tmp_path, load, monkeypatch):
    directory = build(tmp_path / name, sized(name, monkeypatch))
    before = run_all(load(directory), [pick("c")])
    weights = load_file(directory / "model.safetensors")
    renamed = {re.sub(old, new, key): tensor for key, tensor in weights.items()}
    assert set(renamed) != set(weights)
    renamed = {re.sub(r"^language_model\.lm_head", "lm_head", key): tensor for key, tensor in renamed.items()}
    outer = r"^(?=visual|vision_tower|multi_modal_projector)"
    renamed = {re.sub(outer, "model.", key): tensor for key, tensor in renamed.items()}
    save_file(renamed, directory / "model.safetensors", {"format": "pt"})
    assert run_all(load(directory), [pick("c")]) == before


def test_a_model_that_reads_the_tokens_behind_is_refused_in_one_sentence(tmp_path, load, monkeypatch):
    directory = build(tmp_path / "both_ways", sized("bert", monkeypatch))
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"is_decoder": False}))
    with pytest.raises(ModelError, match=r"^[^\n]*both_ways: BertLMHeadModel is no causal language model: [^\n]*$"):
        load(directory)


@pytest.fixture(params=[["<image_soft_token>"], ["<image>", "<audio>", "<video>", "<end>"]], ids=len)
def with_more_tokens(request, tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "more")
    tokenizer = transformers.AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(request.param, special_tokens=True)
    tokenizer.save_pretrained(copy)
    return copy, request.param


def test_only_a_prompt_that_holds_a_token_without_embedding_is_an_error(with_more_tokens, load):
    directory, added = with_more_tokens
    engine = load(directory)
    batch = engine.run([pick("plain"), pick(f"of {added[-1]}"), Choose("c", pick("x").messages, ("A", added[0]))])
    errors = [output.error for output in batch.outputs]
    assert errors[0] is None
    assert f"its prompt holds {added[-1]}, token {383 + len(added)} of the tokenizer" in errors[1]
    assert errors[2].startswith("c: ")
    assert added[0] in errors[2]
    (note,) = batch.notes
    assert note.startswith(f"the model embeds 384 tokens and its tokenizer has {len(added)} more (")


def test_a_template_that_writes_a_token_without_embedding_is_one_error_at_load(tiny, tmp_path, load):
    copy = shutil.copytree(tiny, tmp_path / "writes")
    tokenizer = transformers.AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["<|turn|>"], special_tokens=True)
    tokenizer.chat_template = tinymodel.CHATML.replace("<|end|>", "<|turn|>")
    tokenizer.save_pretrained(copy)
    with pytest.raises(ModelError, match=r"^[^\n]*writes: the chat template writes <\|turn\|>, token 384 [^\n]*$"):
        load(copy)


@pytest.fixture(scope="module")
def longrope(tmp_path_factory):
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "rope_theta": 1e4,
            "original_max_position_embeddings": LIMIT}  # fmt: skip
    return _rope(tmp_path_factory, rope, {"original_max_position_embeddings": LIMIT})


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory):
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": LIMIT}
    return _rope(tmp_path_factory, rope, {})


def _rope(tmp_path_factory, rope, more):
    torch.manual_seed(0)
    cls = transformers.Phi3Config if more else transformers.LlamaConfig
    config = cls(
        vocab_size=384, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.15, rope_parameters=rope,
        bos_token_id=0, eos_token_id=1, pad_token_id=2, **more,
    )  # fmt: skip
    return build(tmp_path_factory.mktemp("rope") / "model", transformers.AutoModelForCausalLM.from_config(config))


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_no_text_changes_the_angles_of_another(kind, packing, request, load):
    """Prompts on both sides of the limit, and texts that cross it while they are written or with a choice."""
    directory = request.getfixturevalue(kind)
    engine = load(directory, packing=packing)
    lengths = [len(one.prompt) for one in engine.prompts.encode([ask("x", lines) for lines in (1, 3, 4, 6)])]
    assert lengths[0] < LIMIT < lengths[-1]
    near = near_the_limit(engine)
    spread = [near_text(words) for words in range(10, LIMIT - 20, 20)]  # all end in one batch, at different steps
    requests = [ask("a", 1), ask("b", 6), ask("d", 3), pick("e", 1), pick("f", 6), pick("g", 3), *near, *spread]
    encoded = engine.prompts.encode(requests)
    for index, output in enumerate(run_all(engine, requests)):
        # A fresh model: dynamic angles depend on what was fed before.
        model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        expected = plain(model, requests[index], encoded[index], engine._ends)
        if isinstance(requests[index], Generate):
            spoken = [token for token in expected if token not in engine._ends]
            assert output.text == engine.prompts.tokenizer.decode(spoken, skip_special_tokens=True)
        elif not len(encoded[index].prompt) <= LIMIT < encoded[index].longest:
            assert output.choice_logprobs == pytest.approx(expected, abs=5e-3)


def near_the_limit(engine):
    """Requests whose text begins a few tokens below the limit and ends above it."""
    words = next(n for n in range(1, 400) if len(engine.prompts.encode([near_text(n)])[0].prompt) > LIMIT - 6)
    found = [
        near_text(words),
        near_text(words - 1),
        Choose("n", near_text(words).messages, ("A", " a new service on the host")),
    ]
    lengths = [len(one.prompt) for one in engine.prompts.encode(found)]
    assert all(length <= LIMIT for length in lengths)
    return found


def near_text(words):
    return Generate(f"near{words}", (Message("user", "log " * words),), 16)
