"""Several servers that run one model: requests spread, a dead one is left out and asked again later."""

import time
from contextlib import ExitStack

import pytest
from faultserver import FaultServer
from serverasks import connect, letters, on_items, question

from pytest_slmsec.core.errors import ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import check_entry
from pytest_slmsec.engines.common.settings import ServerSettings
from pytest_slmsec.engines.server import several
from pytest_slmsec.engines.server.address import keys_of


@pytest.fixture
def pair():
    """Starts servers and the engine over them, and ends all."""
    with ExitStack() as stack:

        def start(*facts, notice=None, **settings):
            servers = [stack.enter_context(FaultServer(**one)) for one in facts]
            engine = connect(servers, "openai:toy", notice, **settings)
            stack.callback(engine.close)
            return servers, engine

        yield start


def answers(engine, n, first=0):
    return [output.text or output.error for output in engine.run([question(first + i) for i in range(n)]).outputs]


def slow(path, body):
    time.sleep(0.01)
    return "Answer: A"


def test_requests_spread_and_the_record_names_all(pair):
    (one, two), engine = pair({"answer": slow}, {"answer": slow}, concurrency=2)
    assert answers(engine, 40) == ["Answer: A"] * 40
    assert len(one.items()) + len(two.items()) == 40
    assert min(len(one.items()), len(two.items())) >= 10
    assert max(one.most_at_once, two.most_at_once) <= 2
    assert all(server.url.removeprefix("http://") in engine.info.extra["server"] for server in (one, two))


def test_the_order_of_the_addresses_is_no_other_model(pair):
    servers, engine = pair({}, {})
    other = connect(servers[::-1])
    assert other.info.weights_sha256 == engine.info.weights_sha256
    other.close()


def test_a_server_that_dies_in_a_batch_costs_no_answer(pair):
    told = []
    servers, engine = pair({}, {}, notice=told.append)
    one, two = servers
    one.fault = on_items(lambda prompt, n: one.die() if len(one.items()) > 5 else None)
    assert answers(engine, 60) == ["Answer: A"] * 60
    assert one.is_dead
    assert len(told) == 1
    assert f"{one.url.removeprefix('http://')}/v1 is left out for now: " in told[0]
    before = len(two.items())
    assert answers(engine, 20, first=100) == ["Answer: A"] * 20
    assert len(two.items()) - before == 20


def test_a_server_that_comes_back_is_asked_again(pair, monkeypatch):
    monkeypatch.setattr(several.Member.__init__, "__defaults__", (*several.Member.__init__.__defaults__[:-1], 0.05))
    told = []
    (one, _), engine = pair({"answer": slow}, {"answer": slow}, notice=told.append)
    one.die()
    assert answers(engine, 20) == ["Answer: A"] * 20
    with FaultServer(answer=slow, port=one.port) as back:
        time.sleep(0.1)
        assert answers(engine, 40, first=100) == ["Answer: A"] * 40
        assert len(back.items()) >= 5
    assert told[-1].endswith("answers again")


def test_a_server_that_comes_back_with_another_model_stays_left_out(pair, monkeypatch):
    monkeypatch.setattr(several.Member.__init__, "__defaults__", (*several.Member.__init__.__defaults__[:-1], 0.05))
    told = []
    (one, _), engine = pair({}, {}, notice=told.append)
    one.die()
    answers(engine, 20)
    with FaultServer(model="other", fault=lambda path, body, n: {"model": "other"}, port=one.port) as back:
        time.sleep(0.1)
        assert answers(engine, 20, first=100) == ["Answer: A"] * 20
        assert back.items() == []
    assert "stays left out: it runs another model now" in told[-1]


def test_a_prompt_that_every_server_fails_is_one_error(pair):
    fail = on_items(lambda prompt, n: 500 if "item 3 " in prompt else None)
    servers, engine = pair({"fault": fail}, {"fault": fail})
    found = answers(engine, 8)
    assert [text == "Answer: A" for text in found] == [n != 3 for n in range(8)]
    assert all("item 3 " in " ".join(server.items()) for server in servers)


def test_all_servers_gone_is_said_and_one_that_is_back_answers(pair):
    servers, engine = pair({}, {})
    for server in servers:
        server.die()
    found = answers(engine, 6)
    assert all(text.startswith(f"q-{n}: ") for n, text in enumerate(found))
    with FaultServer(port=servers[1].port):
        assert answers(engine, 6, first=10) == ["Answer: A"] * 6


def test_one_that_is_dead_at_the_start_is_left_out(pair):
    told = []
    with FaultServer() as gone, FaultServer() as there:
        gone.die()
        time.sleep(0.1)
        engine = connect([gone, there], notice=told.append)
        assert answers(engine, 5) == ["Answer: A"] * 5
        assert gone.url.removeprefix("http://") in engine.info.extra["server"]
        engine.close()
    assert "is left out for now" in told[0]
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        connect([gone, there])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda path, body, n: {"system_fingerprint": "b2"}, "fingerprint is None and b2"),
        (lambda path, body, n: {"data": [{"id": "toy", "root": "x"}]} if "/models" in path else None, "listed is "),
        (lambda path, body, n: 404 if path.endswith("/v1/completions") else None, "raw is True and False"),
    ],
)
def test_servers_that_differ_are_refused(pair, fault, says):
    with pytest.raises(ModelError, match=rf"do not run the same model in the same way \({says}"):
        pair({}, {"fault": fault})


def test_another_model_at_one_address_is_refused(pair):
    with pytest.raises(ModelError, match="was asked for the model toy and answered as other"):
        pair({}, {"model": "other", "fault": lambda path, body, n: {"model": "other"}})


def test_letters_are_asked_of_any(pair):
    (one, two), engine = pair({"answer": slow}, {"answer": slow}, concurrency=1)
    assert all(output.choice_logprobs for output in engine.run([letters(n) for n in range(10)]).outputs)
    assert one.items()
    assert two.items()


def test_each_server_may_have_a_key_of_its_own(monkeypatch):
    monkeypatch.setenv("ONE_KEY", "sk-first-key")
    monkeypatch.setenv("TWO_KEY", "sk-second-key")
    entry = {"location": "openai:m", "base_url": ["http://a/v1", "http://b/v1"], "key_variable": ["ONE_KEY", "TWO_KEY"]}
    check_entry("m", entry, "here")
    keys = keys_of(parse_model("m", {"m": entry}, ()), ServerSettings(), (), 2)
    assert [key.headers()["Authorization"] for key in keys] == ["Bearer sk-first-key", "Bearer sk-second-key"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"base_url": []}, "`base_url` of the model 'm' must be a URL"),
        ({"base_url": ["http://a", 3]}, "`base_url` of the model 'm' must be a URL"),
        ({"base_url": ["http://a", "http://a"]}, "each once"),
        ({"base_url": ["http://a", "http://b"], "key_variable": ["A", "B", "C"]}, "a list of 2, one for each address"),
    ],
)
def test_entries_that_cannot_be_used(entry, says):
    with pytest.raises(UsageError, match=says):
        check_entry("m", {"location": "openai:m", **entry}, "here")
