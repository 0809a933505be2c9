"""vLLM against transformers on tinysec; needs an environment of its own (`tox run -e vllm`)."""

import pytest

from pytest_slmsec.core.choices import Mode
from pytest_slmsec.core.items import Choose, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

TOLERANCE_NATS = 1e-4


def requests(name, n):
    task = find_task(name)
    return [task.request(item, Mode.STRICT) for item in find(task, "fixture", True).items[:n]]


def answers(engine, asked):
    found = {}
    for batch in engine.plan(asked):
        found.update(zip(batch, engine.run([asked[at] for at in batch]).outputs, strict=True))
    return [found[at] for at in range(len(asked))]


@pytest.fixture(scope="module")
def engines():
    pytest.importorskip("vllm", reason="vLLM wants an environment of its own: tox run -e vllm")
    names = ("vllm:tinysec", "tinysec")
    made = [make_engine(parse_model(name, shipped_registry(), ()), EngineSettings()) for name in names]
    yield made
    for engine in made:
        engine.close()


def test_choices_of_one_token_have_the_log_probabilities_of_transformers(engines):
    vllm, ours = (answers(engine, requests("cti-mcq-choice", 32)) for engine in engines)
    for one, other in zip(vllm, ours, strict=True):
        assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=TOLERANCE_NATS)
        assert one.choice_greedy == other.choice_greedy


def test_choices_of_several_tokens_have_them_too(engines):
    choices = (" the port of SSH", " the host", " the")
    contexts = ("A scan of", "The log of")
    asked = [
        Choose("x", (Message("user", "A scan of"),), choices, raw=True),
        Choose("y", (Message("user", ""),), choices[:2], raw=True, contexts=contexts),
    ]
    vllm, ours = (answers(engine, asked) for engine in engines)
    for one, other in zip(vllm, ours, strict=True):
        assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=TOLERANCE_NATS)


def test_texts_are_those_of_transformers(engines):
    for name in ("cti-mcq", "cti-rcm"):
        vllm, ours = (answers(engine, requests(name, 16)) for engine in engines)
        for one, other in zip(vllm, ours, strict=True):
            assert (one.text, one.new_tokens, one.hit_limit) == (other.text, other.new_tokens, other.hit_limit)


def test_the_record_says_what_computed_it(engines):
    info, ours = (engine.info for engine in engines)
    assert info.engine.startswith("vllm ")
    assert info.weights_sha256 == ours.weights_sha256
    assert info.tokenizer_sha256 == ours.tokenizer_sha256
    assert info.extra["attention"] != "none"
    assert info.extra["invariance"]["texts"] == 8
    assert 0 < info.extra["deviation_nats"] < TOLERANCE_NATS
