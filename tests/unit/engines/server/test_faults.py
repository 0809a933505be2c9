"""Every way in which a server can fail, and the one sentence that comes of it."""

import asyncio
import re
import threading
import time
from email.utils import formatdate

import pytest
from faultserver import FaultServer
from serverasks import connect, on_items, question

from pytest_slmsec.core.errors import ModelError, ModelUnavailable
from pytest_slmsec.engines.common.base import Interrupted


def run_one(serve, fault, **options):
    server, engine = serve(on_items(fault), **options)
    (output,) = engine.run([question(1)]).outputs
    return server, output


@pytest.mark.parametrize("fault", [429, 500, 503, "drop", "cut"])
def test_what_passes_is_tried_again(serve, fault):
    server, output = run_one(serve, lambda prompt, n: fault if n < 3 else None)
    assert (output.error, output.text) == (None, "Answer: A")
    assert len(server.items()) == 3


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (500, r"answered 500: the server is busy \(tried 4 times\)\."),
        ("drop", r"broke the connection off: .* \(tried 4 times\)\."),
        ("html", r"answered HTML instead of JSON \(tried 2 times\)\."),
        ("invalid", r"answered damaged text instead of JSON \(tried 2 times\)\."),
        ("list", r"answered JSON that is no object \(tried 2 times\)\."),
        ({"choices": []}, r"the server's answer holds no choices\."),
        ({"choices": [{"message": {}, "finish_reason": "x"}]}, r"the server's answer holds no text\."),
        ({"model": "other"}, r"answered as the model other, and before as toy\."),
        ((400, {}, "context of 9 tokens exceeded"), r"refused the request \(400\): context of 9 tokens exceeded\."),
        ((302, {"Location": "http://127.0.0.1:1/"}), r"redirects to another address \(302\), which is not followed"),
    ],
)
def test_what_stays_is_one_sentence_that_names_the_item(serve, fault, says):
    _, output = run_one(serve, lambda prompt, n: fault)
    assert output.text is None
    assert output.error.startswith("q-1: ")
    assert "\n" not in output.error
    assert re.search(says, output.error), output.error


def test_others_of_the_batch_keep_their_answers(serve):
    _, engine = serve(on_items(lambda prompt, n: 500 if "item 3 " in prompt else None))
    outputs = engine.run([question(n) for n in range(6)]).outputs
    assert [output.error is None for output in outputs] == [True, True, True, False, True, True]


def test_a_server_that_hangs_costs_two_timeouts(serve):
    server, output = run_one(serve, lambda prompt, n: "hang", settings={"timeout_s": 0.3})
    assert "gave no answer within 0.3 s (tried 2 times)" in output.error
    assert len(server.items()) == 2


def test_retry_after_is_honoured_and_one_that_is_too_long_is_not_waited_for(serve):
    server, output = run_one(serve, lambda prompt, n: (429, {"Retry-After": "0.02"}) if n == 1 else None)
    assert output.error is None
    server, output = run_one(serve, lambda prompt, n: (429, {"Retry-After": "3600"}))
    assert output.error.endswith(
        "answered 429: the server is busy; it asks to wait 3600 s, and --slmsec-longest-wait=0.05 does not allow that."
    )
    assert len(server.items()) == 1


def test_a_limit_is_waited_for_by_all_and_said_once(serve, monkeypatch):
    """Two requests are let through, then every request is refused until the limit opens."""
    monkeypatch.setattr("pytest_slmsec.engines.server.rate_limit.TOLD_FROM_S", 0.1)
    refused, opened, passed = [], [], []

    def limited(prompt, n):
        if len(passed) < 2 or (refused and time.monotonic() - refused[0] > 0.3):
            (opened if refused else passed).append(prompt)
            return None
        refused.append(time.monotonic())
        return 429, {"Retry-After": "0.3"}, "limit of 2 requests a minute"

    lines = []
    _, engine = serve(on_items(limited), notice=lines.append, settings={"concurrency": 2, "longest_wait_s": 1.0})
    batch = engine.run([question(n) for n in range(8)])
    assert [output.error for output in batch.outputs] == [None] * 8
    assert len(opened) == 6
    assert len(refused) <= 2  # those that were in flight; the others were held back
    (line,) = lines
    assert re.fullmatch(r"127.0.0.1:\d+/v1 answered 429: limit of 2 requests a minute; waiting 0 s, as it asks", line)
    assert batch.notes == (line,)


def test_a_date_in_retry_after_is_waited_for_until_the_server_lets_requests_through(serve):
    opens = int(time.time()) + 2
    refused = []

    def limited(prompt, n):
        if time.time() >= opens:
            return None
        refused.append(prompt)
        return 429, {"Retry-After": formatdate(opens, usegmt=True)}

    _, engine = serve(on_items(limited), settings={"concurrency": 2, "longest_wait_s": 10})
    outputs = engine.run([question(n) for n in range(6)]).outputs
    assert [(output.error, output.text) for output in outputs] == [(None, "Answer: A")] * 6
    assert len(refused) <= 4  # those in flight, perhaps a moment too early once more


def test_a_limit_that_never_opens_is_given_up_after_the_longest_wait(serve):
    server, output = run_one(serve, lambda prompt, n: (429, {"Retry-After": "0.2"}), settings={"longest_wait_s": 0.5})
    assert "it asks to wait 0.2 s, and --slmsec-longest-wait=0.5 does not allow that (tried 3 times)" in output.error
    assert len(server.items()) == 3  # two waits of 0.2 s fit into 0.5 s


def test_a_limit_that_never_opens_is_waited_for_once_and_not_by_every_request(serve):
    never = (429, {"Retry-After": "0.2"})
    server, engine = serve(on_items(lambda prompt, n: never), settings={"longest_wait_s": 0.5, "concurrency": 2})
    errors = [output.error for output in engine.run([question(n) for n in range(40)]).outputs]
    assert "it asks to wait 0.2 s" in errors[0]
    assert "not asked, since the server failed before" in errors[-1]
    assert len(server.items()) <= 3 * 3  # those in flight, and one that took the place of the first that gave up


def test_without_retry_after_the_words_of_the_limit_say_how_long(serve):
    words = (429, {}, "Rate limit reached. Please try again in 0.02s.")
    _, output = run_one(serve, lambda prompt, n: words if n == 1 else None)
    assert output.error is None
    _, output = run_one(serve, lambda prompt, n: (429, {}, "Please try again in 1m5s."))
    assert "it asks to wait 65 s" in output.error


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"finish_reason": "length"}, "cut the answer off after 2 tokens, though 8 were allowed"),
        ({"finish_reason": None}, "does not say how the answer ended"),
        ({"finish_reason": "content_filter"}, "for a reason of its own ('content_filter')"),
    ],
)
def test_an_answer_that_the_server_cut_short_is_no_measurement(serve, choice, says):
    def shorten(value):
        value["choices"][0] |= choice
        return value

    _, output = run_one(serve, lambda prompt, n: shorten)
    assert says in output.error


def test_an_answer_at_the_limit_is_marked(serve):
    def shorten(value):
        value["choices"][0]["finish_reason"] = "length"
        value["usage"]["completion_tokens"] = 8
        return value

    _, output = run_one(serve, lambda prompt, n: shorten)
    assert (output.error, output.hit_limit, output.new_tokens) == (None, True, 8)


def test_fewer_prompt_tokens_than_words_are_a_cut_prompt(serve):
    _, engine = serve(on_items(lambda prompt, n: {"usage": {"prompt_tokens": 6, "completion_tokens": 2}}))
    fine, cut = engine.run([question(1), question(2, "with many more words")]).outputs
    assert fine.prompt_tokens == 6
    assert cut.error is None  # six words
    (longer,) = engine.run([question(3, "with one more word than tokens")]).outputs
    assert "counted 6 prompt tokens for 8 words: it cut the prompt" in longer.error


def test_stop_strings_beyond_those_the_api_takes_still_end_the_answer(serve):
    server, engine = serve(answer=lambda path, body: "one two six seven")
    (output,) = engine.run([question(1, stop=("a", "b", "c", "d", "six"))]).outputs
    assert output.text == "one two "
    assert server.asked[-1][1]["stop"] == ["a", "b", "c", "d"]


def test_no_more_than_allowed_are_in_flight(serve):
    gate = threading.Barrier(3, timeout=10)

    def meet(prompt, n):
        gate.wait()

    server, engine = serve(on_items(meet), settings={"concurrency": 3})
    assert all(output.error is None for output in engine.run([question(n) for n in range(12)]).outputs)
    assert server.most_at_once == 3


def test_a_server_that_is_gone_is_not_asked_again_for_each_item(serve):
    down = threading.Event()
    server, engine = serve(on_items(lambda prompt, n: 503 if down.is_set() else None), settings={"concurrency": 2})
    down.set()
    errors = [output.error for output in engine.run([question(n) for n in range(40)]).outputs]
    assert "answered 503" in errors[0]
    assert "not asked, since the server failed before" in errors[-1]
    asked = len(server.items())
    engine.run([question(n) for n in range(50, 60)])
    assert len(server.items()) == asked + 1  # one request tells whether it is back
    down.clear()
    assert all(output.error is None for output in engine.run([question(n) for n in range(70, 80)]).outputs)


def test_an_interruption_keeps_what_was_answered(serve, monkeypatch):
    _, engine = serve(on_items(lambda prompt, n: "hang" if "item 2 " in prompt else None), settings={"timeout_s": 60})
    answer, done = engine._answer, threading.Semaphore(0)

    async def told(request, attempts):
        found = await answer(request, attempts)
        asyncio.get_running_loop().call_soon(done.release)
        return found

    def interrupt():
        """Ctrl-C reaches the waiting thread once four of five requests are answered."""
        assert all(done.acquire(timeout=10) for _ in range(4))
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_answer", told)
    monkeypatch.setattr(engine._notices, "tell", interrupt)
    with pytest.raises(Interrupted) as stop:
        engine.run([question(n) for n in range(5)])
    monkeypatch.undo()
    outputs = stop.value.batch.outputs
    assert [output.error is None for output in outputs] == [True, True, False, True, True]
    assert outputs[2].error == "q-2: the run was interrupted before the server had answered."


def test_a_server_that_is_not_there_is_told_at_once():
    with FaultServer() as server:
        url = server.url
    server.url = url
    with pytest.raises(ModelUnavailable, match=r"openai:toy: 127.0.0.1:\d+/v1 cannot be reached: .*; start the server"):
        connect(server)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda path, body, n: "html", "answered HTML instead of JSON .* Is the base URL right"),
        (lambda path, body, n: 401, r"refused the key \(401\): put the right one into .* SLMSEC_API_KEY"),
        (lambda path, body, n: 503, r"answered 503: the server is busy \(tried 4 times\)"),
        (lambda path, body, n: {"choices": []}, "the server's answer holds no choices"),
        (lambda path, body, n: None if path.endswith("/models") else {"model": "llama-70b"}, "answered as llama-70b"),
        (lambda path, body, n: {"usage": {"prompt_tokens": 128}}, "it cuts prompts, or its counts are wrong"),
        (lambda path, body, n: 404 if body else None, "answers neither conversations nor raw texts: .*404.*; .*404"),
    ],
)
def test_a_server_that_is_not_what_it_says_is_one_sentence_for_the_model(fault, says):
    name = "openai:ours" if "llama-70b" in says else "openai:toy"
    with FaultServer(fault=fault) as server, pytest.raises(ModelError, match=says) as error:
        connect(server, name)
    assert str(error.value).startswith(f"{name}: ")
    assert "\n" not in str(error.value)


def test_an_unknown_model_is_told_with_those_there_are():
    fault = lambda path, body, n: (404, {}, "no such model") if body else None  # noqa: E731
    with FaultServer(model="phi3-mini", fault=fault) as server, pytest.raises(ModelError) as error:
        connect(server, "openai:phi3-mimi")
    assert "has no model phi3-mimi (did you mean phi3-mini?); it serves phi3-mini." in str(error.value)
