"""Models behind ``vllm:``, and what is said where vLLM is not installed. These need no vLLM."""

import importlib.util

import pytest

from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.core.errors import ModelError, UnknownModelError, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.choice_scoring import TokenScore
from pytest_slmsec.engines.registry import engine_for
from pytest_slmsec.engines.vllm_.engine import load
from pytest_slmsec.engines.vllm_.invariance import FLOOR_NATS, measured
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS


def parse(name):
    return parse_model(name, shipped_registry(), tuple(QUANTIZERS))


def test_a_model_behind_vllm_is_the_same_model_with_another_engine(tmp_path):
    plain, here = parse("tinysec-bf16"), parse("vllm:tinysec-bf16")
    assert (here.location, here.quant, here.embedded) == (plain.location, "bf16", True)
    assert (here.name, here.base, here.engine) == ("vllm:tinysec-bf16", "vllm:tinysec", "vllm")
    assert engine_for(here, tmp_path) == "vllm"
    hub = parse("vllm:hf:org/name@main")
    assert (hub.source, hub.location, hub.revision) == ("hub", "org/name", "main")


def test_ids_tell_it_from_the_same_model_elsewhere(tmp_path):
    assert model_id(parse("vllm:tinysec")) == "vllm-tinysec"
    assert model_id(parse(f"vllm:{tmp_path}")) == f"vllm-{tmp_path.name}"


def test_what_vllm_cannot_be_given_is_one_sentence(tmp_path):
    with pytest.raises(UnknownModelError, match="did you mean tinysec"):
        parse("vllm:tinysek")
    with pytest.raises(UsageError, match=r"given a directory or a hub model with \*\.safetensors"):
        parse("vllm:openai:gpt")
    with pytest.raises(UsageError, match="its own directory, as vllm:PATH, without -gptq4"):
        load(tmp_path, parse("vllm:tinysec-gptq4"), EngineSettings())


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_message_says_what_to_do():
    with pytest.raises(ModelError, match=r"environment of its own; docs/vllm\.md says how"):
        make_engine(parse("vllm:tinysec"), EngineSettings())


class Scores:
    """Scores that differ by `difference` nats where several texts are scored together."""

    def __init__(self, difference):
        self.difference = difference

    def token_scores(self, asked):
        shift = self.difference * (len(asked) > 1)
        return [[TokenScore(-1.0 + shift, False) for _ in tokens] for _, tokens in asked]

    def end_scores(self, asked):
        return [TokenScore(-2.0, False) for _ in asked]


@pytest.mark.parametrize("difference", [0.0, 0.25])
def test_invariance_is_the_largest_difference_alone_and_in_company(difference):
    found = measured(Scores(difference), 100)
    assert found.largest_difference_nats == difference
    assert found.deviation_nats == max(difference, FLOOR_NATS)
    assert found.plain()["equal_alone_and_in_company"] is (difference == 0)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ModelError, match="not finite"):
        measured(Scores(float("nan")), 100)
