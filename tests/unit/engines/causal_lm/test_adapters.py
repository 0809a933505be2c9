"""LoRA adapters: live, merged and saved again they answer alike; one for another base is one error."""

import json
import shutil
from dataclasses import replace

import peft
import pytest
import tinymodel
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_slmsec.core.errors import MissingExtraError, ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.models import Adapter
from pytest_slmsec.engines.causal_lm.adapter_files import check_base, read_adapter
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS

ASKED = [
    Choose("c", (Message("user", "Is this an intrusion?"),), ("A", "B", "yes, it is", "no")),
    Generate("g", (Message("user", "dump credentials"),), 8),
]
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def train(base, out, *targets, rank=4, seed=1, **options):
    """Save an adapter of random products over `base`, as training would."""
    model = AutoModelForCausalLM.from_pretrained(base)
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=rank, lora_alpha=16, target_modules=list(targets) or ["q_proj", "down_proj"], task_type="CAUSAL_LM",
        init_lora_weights=False, **options,
    )  # fmt: skip
    peft.get_peft_model(model, config).save_pretrained(out)
    return out


@pytest.fixture(scope="session")
def adapter(tiny, tmp_path_factory):
    return train(tiny, tmp_path_factory.mktemp("adapters") / "lora")


@pytest.fixture
def copy(adapter, tmp_path):
    return shutil.copytree(adapter, tmp_path / "lora")


@pytest.fixture(scope="session")
def adapted(settings):
    """Loads BASE[-QUANT]+ADAPTER by its name."""

    def load(base, adapter, quant="", **other):
        spec = parse_model(f"{base}{quant}+{adapter}", {}, tuple(QUANTIZERS))
        return make_engine(replace(spec, gptq_group_size=32), replace(settings, **other))

    return load


def answers(engine):
    chosen, written = engine.run(ASKED).outputs
    assert (chosen.error, written.error) == (None, None)
    return chosen.choice_logprobs, written.text


def refused(adapted, base, adapter, *parts, quant="", error=ModelError, **other):
    with pytest.raises(error) as caught:
        adapted(base, adapter, quant, **other)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def edit_config(path, **changes):
    file = path / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(path, change):
    tensors = load_file(path / WEIGHTS)
    change(tensors)
    save_file(tensors, path / WEIGHTS, {"format": "pt"})


def test_live_merged_and_saved_again_agree_and_differ_from_the_base(tiny, adapter, adapted, load, tmp_path):
    whole = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), adapter).merge_and_unload()
    shutil.copytree(tiny, tmp_path / "saved")
    whole.save_pretrained(tmp_path / "saved")
    engines = [adapted(tiny, adapter), adapted(tiny, adapter, merge_adapter=True), load(tmp_path / "saved")]
    (live, text), *others = map(answers, engines)
    for logprobs, other in others:
        assert logprobs == pytest.approx(live, abs=1e-3)
        assert other == text
    assert answers(load(tiny))[0] != pytest.approx(live, abs=0.1)
    assert {engine.info.extra["path"] for engine in engines} == {"packed"}


def test_the_packed_path_gives_what_padded_batches_give(tiny, adapter, adapted):
    packed, padded = (answers(adapted(tiny, adapter, packing=packing)) for packing in (True, False))
    assert packed[0] == pytest.approx(padded[0], abs=1e-3)
    assert packed[1] == padded[1]


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (("q_proj", "embed_tokens"), {}),
        (("gate_proj", "lm_head"), {}),
        (("v_proj",), {"use_dora": True}),
        (("v_proj",), {"use_rslora": True, "rank_pattern": {"layers.0.self_attn.v_proj": 2}}),
        (("k_proj",), {"modules_to_save": ["lm_head"]}),
        (("k_proj",), {"modules_to_save": ["lm_head", "embed_tokens"]}),
        (("k_proj",), {"trainable_token_indices": [3, 4, 300]}),
        (("k_proj",), {"alpha_pattern": {"k_proj": 4}, "rank_pattern": {"k_proj": 8}}),
    ],
)
def test_all_sorts_of_layers_merge_to_what_they_are_live(adapted, tmp_path, targets, options):
    base = tinymodel.build_tiny_llama(tmp_path / "untied", tied=False)
    adapter = train(base, tmp_path / "lora", *targets, **options)
    live, merged = (answers(adapted(base, adapter, merge_adapter=merge)) for merge in (False, True))
    assert merged[0] == pytest.approx(live[0], abs=1e-3)


def test_the_record_says_what_was_loaded(tiny, adapter, adapted, load):
    base, live, merged = load(tiny).info, adapted(tiny, adapter).info, adapted(tiny, adapter, merge_adapter=True).info
    facts = live.extra["adapter"]
    assert (facts["mode"], facts["rank"], facts["alpha"], facts["made_for"]) == ("live", 4, 16, str(tiny))
    assert facts["base_sha256"] == base.weights_sha256
    assert facts["sha256"] == merged.extra["adapter"]["sha256"]
    assert len({base.weights_sha256, live.weights_sha256, merged.weights_sha256}) == 3
    assert (live.kernel, merged.kernel) == ("torch.nn.Linear+peft.lora.Linear", "torch.nn.Linear")
    assert live.model_bytes == base.model_bytes + (adapter / WEIGHTS).stat().st_size
    assert live.template_sha256 == base.template_sha256
    assert not facts["own_template"]


def test_the_scale_of_an_adapter_is_part_of_its_identity(tiny, adapter, adapted, copy):
    edit_config(copy, lora_alpha=32)
    assert adapted(tiny, copy).info.weights_sha256 != adapted(tiny, adapter).info.weights_sha256


def test_a_chat_template_of_its_own_is_used(tiny, adapter, adapted, copy):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = tinymodel.CHATML.replace("<|end|>", "")
    tokenizer.save_pretrained(copy)
    info = adapted(tiny, copy).info
    assert info.extra["adapter"]["own_template"]
    assert info.template_sha256 != adapted(tiny, adapter).info.template_sha256


@pytest.mark.parametrize(
    ("quant", "layer"),
    [("gptq4", "GPTQLoraLinear"), ("int8wo", "TorchaoLoraLinear"), ("int8", "Linear8bitLt"), ("nf4", "Linear4bit")],
)
def test_a_quantised_base(tiny, adapter, adapted, load, quant, layer):
    engine = adapted(tiny, adapter, f"-{quant}")
    assert f"peft.lora.{layer}" in engine.info.kernel
    assert nearer(engine, adapted(tiny, adapter), load(tiny))
    assert engine.info.extra["quantization"]["manifest"]["base"] == str(tiny)


@pytest.mark.parametrize("quant", ["int8wo", "int8", "nf4"])
def test_what_a_quantised_base_is_merged_to_is_near_the_adapter_and_not_the_base(tiny, adapter, adapted, load, quant):
    engine = adapted(tiny, adapter, f"-{quant}", merge_adapter=True)
    assert "peft" not in engine.info.kernel
    assert nearer(engine, adapted(tiny, adapter), load(tiny))


def nearer(engine, one, other):
    """Whether an engine's log-probabilities are nearer to those of the one than to those of the other."""
    found, *those = (answers(each)[0] for each in (engine, one, other))
    near, far = (sum(abs(a - b) for a, b in zip(found, each, strict=True)) for each in those)
    return near < far / 2


def test_gptq_weights_cannot_be_merged_into(tiny, adapter, adapted):
    refused(adapted, tiny, adapter, "cannot be merged into the weights of a model quantised with gptq",
            "--slmsec-adapter=live", quant="-gptq4", merge_adapter=True)  # fmt: skip


def test_weights_that_another_layer_shares_are_not_merged_into(tiny, adapted, tmp_path):
    """The tiny model's head is its embedding: merged, the adapter of the head would change both."""
    adapter = train(tiny, tmp_path / "lora", "lm_head")
    answers(adapted(tiny, adapter))
    refused(adapted, tiny, adapter, "changes lm_head, whose weights another layer", merge_adapter=True)


def test_another_base_of_the_same_shape_is_refused_where_the_adapter_names_its_own(tiny, adapter, adapted, tmp_path):
    other = tinymodel.build_tiny_llama(tmp_path / "other", seed=7)
    refused(adapted, other, adapter, f"is an adapter for the model in {tiny}, whose weights are not those in {other}")


def test_a_copy_of_its_base_is_its_base(tiny, adapter, adapted, tmp_path):
    copied = shutil.copytree(tiny, tmp_path / "copied")
    assert answers(adapted(copied, adapter)) == answers(adapted(tiny, adapter))


def test_another_base_of_the_hub_is_refused(copy, settings, tiny):
    edit_config(copy, base_model_name_or_path="meta-llama/Llama-2-7b-hf")
    spec = parse_model(f"hf:Qwen/Qwen3-0.6B+{copy}", {}, ())
    with pytest.raises(ModelError, match=r"is an adapter for meta-llama/Llama-2-7b-hf, not for Qwen/Qwen3-0.6B"):
        check_base(read_adapter(copy), spec, settings, read_checkpoint(tiny))
    named = replace(spec, location="Meta-Llama/Llama-2-7b-hf")
    assert check_base(read_adapter(copy), named, settings, read_checkpoint(tiny)) is False


@pytest.mark.parametrize(
    ("sizes", "says"), [({"hidden": 32}, "of another shape"), ({"layers": 1}, "unexpected"), ({"layers": 3}, "missing")]
)
def test_a_base_of_another_size_is_refused(copy, adapted, tmp_path, sizes, says):
    edit_config(copy, base_model_name_or_path="me/unknown")
    other = tinymodel.build_tiny_llama(tmp_path / "other", **sizes)
    refused(adapted, other, copy, "the adapter does not fit this model", says, "It was made for me/unknown")


def test_layers_that_the_base_has_not(tiny, copy, adapted):
    edit_config(copy, target_modules=["Wqkv"])
    refused(adapted, tiny, copy, "does not fit this model", "Wqkv")


def test_a_tensor_too_few_or_too_many(tiny, copy, adapted):
    edit_weights(copy, lambda tensors: tensors.pop(min(tensors)))
    refused(adapted, tiny, copy, "1 missing (base_model.model.model.layers.0.mlp.down_proj.lora_A.weight)")
    edit_weights(copy, lambda tensors: tensors.update(stray=torch.ones(1)))
    refused(adapted, tiny, copy, "1 missing", "1 unexpected (stray)")


def test_numbers_that_are_not_finite(tiny, copy, adapted):
    edit_weights(copy, lambda tensors: tensors[min(tensors)].fill_(float("nan")))
    refused(adapted, tiny, copy, "holds numbers that are not finite")


def test_a_pickle_is_refused(tiny, copy, adapted):
    (copy / WEIGHTS).unlink()
    torch.save({}, copy / "adapter_model.bin")
    refused(adapted, tiny, copy, "adapter_model.bin", "can run code")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>" * 50])
def test_corrupt_weights(tiny, copy, adapted, content):
    (copy / WEIGHTS).write_bytes(content)
    refused(adapted, tiny, copy, WEIGHTS, "its header is damaged")


def test_truncated_weights(tiny, copy, adapted):
    (copy / WEIGHTS).write_bytes((copy / WEIGHTS).read_bytes()[:-100])
    refused(adapted, tiny, copy, WEIGHTS, "is damaged: it has")


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_missing_file(tiny, copy, adapted, file):
    (copy / file).unlink()
    refused(adapted, tiny, copy, f"has no {file}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"peft_type": "IA3"}, "an adapter of the sort 'IA3'; only LORA is loaded"),
        ({"megatron_config": {"a": 1}, "megatron_core": "os"}, "names code to be imported"),
        ({"alora_invocation_tokens": [1]}, "acts only behind certain tokens"),
        ({"use_tomorrow": True}, "does not know 'use_tomorrow' of adapter_config.json: use a newer peft"),
        ({"r": "many"}, "does not fit this model"),
    ],
)
def test_a_configuration_that_is_not_taken(tiny, copy, adapted, changes, says):
    edit_config(copy, **changes)
    refused(adapted, tiny, copy, says)


def test_a_configuration_that_is_no_json(tiny, copy, adapted):
    (copy / CONFIG).write_text("{")
    refused(adapted, tiny, copy, "adapter_config.json is no readable JSON")


def test_an_adapter_in_a_models_directory_is_refused(tiny, adapter, load, tmp_path):
    """transformers would follow it to the base that it names, and leave these weights out."""
    both = shutil.copytree(tiny, tmp_path / "both")
    shutil.copytree(adapter, both, dirs_exist_ok=True)
    with pytest.raises(ModelError, match=r"holds both a model and a LoRA adapter"):
        load(both)


def test_an_adapter_that_went_away(tiny, settings):
    spec = replace(parse_model(str(tiny), {}, ()), adapter=Adapter("lora", "path", "/no/such/place"))
    with pytest.raises(ModelUnavailable, match="there is no directory /no/such/place"):
        make_engine(spec, settings)


def test_an_adapter_of_the_hub_that_cannot_be_had(tiny, settings):
    spec = parse_model(f"{tiny}+hf:nobody/nothing", {}, ())
    with pytest.raises(
        ModelUnavailable, match=r"the adapter nobody/nothing is missing \(it is not among the downloads"
    ):
        make_engine(spec, settings)


def test_an_engine_without_adapters_says_so(tiny, adapter, settings):
    spec = parse_model(f"{tiny}+{adapter}", {}, ())
    with pytest.raises(UsageError, match="the engine 'encoders' loads no adapters: merge it into its base"):
        make_engine(replace(spec, engine="encoders"), settings)


def test_without_peft_the_pip_line_is_named(tiny, adapter, adapted, monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    refused(adapted, tiny, adapter, "pip install 'pytest-slmsec[lora]'", error=MissingExtraError)


def test_loading_prints_nothing(tiny, adapter, adapted, capfd, recwarn):
    adapted(tiny, adapter)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def train_with_tokens(base, out, *, named=None, template=None, **saved):
    """Train an adapter after adding two tokens to tokenizer and embedding; what it saves is up to peft."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>", "<|trace|>"]})
    torch.manual_seed(2)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    adapted = peft.get_peft_model(model, config)
    adapted.save_pretrained(out, **saved)
    if template is not None:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(out)
    if named is not None:
        name_base(out, named)
    return adapted.eval(), tokenizer


def name_base(adapter, name):
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": name}))


def test_an_adapter_trained_with_added_tokens_brings_their_rows_and_ids(adapted, tiny, tmp_path):
    trained, tokenizer = train_with_tokens(tiny, tmp_path / "own", save_embedding_layers=True)
    engine = adapted(tiny, tmp_path / "own")
    ids = tokenizer("A <|tool|> was run.", add_special_tokens=False)["input_ids"]
    assert engine.prompts.tokenise(["A <|tool|> was run."]) == [tuple(ids)]
    with torch.no_grad():
        wanted = trained(torch.tensor([ids])).logits[0]
    torch.testing.assert_close(engine.logits(ids), wanted, rtol=1e-4, atol=1e-4)
    facts = engine.info.extra["adapter"]
    assert (facts["added_tokens"], facts["added_rows"]) == (["<|tool|>", "<|trace|>"], 2)


def test_tokens_without_stored_rows_are_left_out_unless_the_template_needs_them(adapted, tiny, tmp_path):
    train_with_tokens(tiny, tmp_path / "unused", save_embedding_layers=False)
    assert "added_rows" not in adapted(tiny, tmp_path / "unused").info.extra["adapter"]
    template = "{% for m in messages %}<|tool|>{{ m.content }}{% endfor %}"
    train_with_tokens(tiny, tmp_path / "needed", save_embedding_layers=False, template=template)
    with pytest.raises(ModelError, match=r"needed: the chat template of the adapter uses '<\|tool\|>', for which"):
        adapted(tiny, tmp_path / "needed")


@pytest.fixture
def hub_model(tiny, tmp_path, monkeypatch):
    """A model among the hub's downloads, by the name me/tiny."""
    commit = "1" * 40
    folder = tmp_path / "hub" / "models--me--tiny"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    shutil.copytree(tiny, folder / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return "hf:me/tiny"


def test_a_base_of_another_hub_id_is_taken_where_the_user_says_that_it_is_the_same(hub_model, tiny, tmp_path, settings):
    adapter = train(tiny, tmp_path / "lora")
    name_base(adapter, "other/tiny-bnb-4bit")
    spec = parse_model(f"{hub_model}+{adapter}", {}, QUANTIZERS)
    with pytest.raises(ModelError, match="say so with --slmsec-adapter-base=same"):
        make_engine(spec, settings)
    facts = make_engine(spec, replace(settings, adapter_base_same=True)).info.extra["adapter"]
    assert facts["made_for"] == "other/tiny-bnb-4bit"
    assert facts["base_said_to_be_the_same"] is True


@pytest.mark.parametrize("name", ["me/tiny@0123abc", "Me/Tiny", "../base", "/gone/base"])
def test_a_revision_a_relative_path_and_a_path_that_is_gone_name_the_base(name, hub_model, tiny, tmp_path, settings):
    adapter = train(tiny, tmp_path / "lora")
    shutil.copytree(tiny, tmp_path / "base")
    name_base(adapter, name)
    make_engine(parse_model(f"{hub_model}+{adapter}", {}, QUANTIZERS), settings)


def test_a_relative_path_to_other_weights_is_another_base(hub_model, tiny, tmp_path, settings):
    adapter = train(tiny, tmp_path / "lora")
    tinymodel.build_tiny_llama(tmp_path / "base", seed=9)
    name_base(adapter, "../base")
    with pytest.raises(ModelError, match=r"is an adapter for the model in \.\./base, whose weights are not those in"):
        make_engine(parse_model(f"{hub_model}+{adapter}", {}, QUANTIZERS), settings)
