"""Ollama's own API."""

import pytest
from faultserver import FaultServer
from serverasks import connect, letters, on_items, question

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.base import Capability
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine


def test_its_durations_give_load_prefill_and_decode_time(serve):
    _, engine = serve(name="ollama:toy")
    assert engine.info.load_s == 2.0
    assert Capability.TIMINGS in engine.capabilities
    timing = engine.run([question(1), question(2)]).timing
    assert (timing.prefill_s, timing.decode_s) == (1.0, 0.5)
    assert (timing.prompt_tokens, timing.new_tokens) == (16, 4)


def test_the_digest_of_the_weights_is_their_identity(serve):
    _, one = serve(name="ollama:toy")
    assert one.info.extra["listed"] == {"quantization_level": "Q4_K_M", "digest": "d1"}
    assert one.info.model_bytes == 1234


def test_a_context_is_asked_for_and_a_prompt_that_is_too_long_is_not_cut(serve):
    server, engine = serve(name="ollama:toy")
    engine.run([question(1, stop=("x",))])
    _, body = server.asked[-1]
    assert body["options"] == {"num_predict": 8, "temperature": 0, "seed": 0, "num_ctx": 2048, "stop": ["x"]}
    assert (body["truncate"], body["shift"], body["stream"]) == (False, False, False)
    assert engine.info.context_tokens == 2048


def test_the_registry_may_say_how_much_context(serve):
    with FaultServer() as server:
        entry = {"toy": {"location": "ollama:toy", "context_tokens": 512, "base_url": f"{server.url}/v1"}}
        make_engine(parse_model("toy", entry, ()), EngineSettings()).close()
    assert server.asked[-1][1]["options"]["num_ctx"] == 512


def test_letters_and_raw_texts(serve):
    server, engine = serve(name="ollama:toy")
    chosen, raw = engine.run([letters(1), question(2, raw=True)]).outputs
    assert chosen.choice_logprobs == (-0.5, -1.5, -2.5)
    assert raw.text == "Answer: A"
    assert any(path == "/api/generate" and body["raw"] for path, body in server.asked)


@pytest.mark.parametrize(
    ("fault", "says"),
    [({"done": False}, "the server's answer is not complete"), ({"message": None}, "the server's answer holds no text"),
     ({"done_reason": "load"}, "for a reason of its own ('load')")],
)  # fmt: skip
def test_half_an_answer_is_an_error_of_its_item(serve, fault, says):
    _, engine = serve(on_items(lambda prompt, n: fault), name="ollama:toy")
    assert says in engine.run([question(1)]).outputs[0].error


def test_a_model_that_was_not_pulled():
    def missing(path, body, n):
        return (404, {}, "model 'tox' not found") if "messages" in body or "prompt" in body else None

    with (
        FaultServer(fault=missing) as server,
        pytest.raises(ModelError, match=r"has no model tox \(did you mean toy\?\)"),
    ):
        connect(server, "ollama:tox")
