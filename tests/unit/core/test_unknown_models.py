"""What is said about a model name that is not known."""

import pytest

from pytest_slmsec.core.errors import UnknownModelError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.quantize.registry import QUANTIZERS

QUANTS = ("gptq2", "gptq3", "gptq4", "gptq8")
REGISTRY = {"phi3": {"location": "hf:microsoft/Phi-3-mini-4k-instruct"}}


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
