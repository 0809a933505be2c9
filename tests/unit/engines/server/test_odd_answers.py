"""Answers that are sound, in other words or fields than OpenAI's; and errors that look like answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serverasks import on_items, question

from pytest_slmsec.engines.common.base import Capability
from pytest_slmsec.engines.server.dialect import ending_of
from pytest_slmsec.engines.server.error_answers import error_in
from pytest_slmsec.engines.server.rate_limit import wait_in


def in_choice(choice, usage=None):
    """Changes every answer of the server: fields of its choice, and its usage."""

    def change(value):
        if "choices" in value:
            value["choices"][0] |= choice
            value["usage"] |= usage or {}
        return value

    return lambda path, body, n: change if body else None


def one(serve, fault, **fields):
    _, engine = serve(fault)
    return engine.run([question(1, **fields)]).outputs[0]


@pytest.mark.parametrize(
    "word", ["stop", "eos", "eos_token", "end_turn", "STOP", "stop_sequence", "COMPLETE", "eosFound"]
)
def test_words_for_an_answer_that_ended_by_itself(serve, word):
    output = one(serve, in_choice({"finish_reason": word}))
    assert (output.error, output.text, output.hit_limit) == (None, "Answer: A", False)


@pytest.mark.parametrize("word", ["length", "max_tokens", "MAX_TOKENS", "model_length", "max_new_tokens"])
def test_words_for_an_answer_at_the_token_limit(serve, word):
    output = one(serve, in_choice({"finish_reason": word}, {"completion_tokens": 8}))
    assert (output.error, output.hit_limit) == (None, True)


@pytest.mark.parametrize("word", ["content_filter", "SAFETY", "tool_calls", "error"])
def test_an_end_that_the_model_did_not_make_is_an_error(serve, word):
    output = one(serve, on_items(lambda prompt, n: in_choice({"finish_reason": word})("", {"x": 1}, n)))
    assert f"for a reason of its own ({word!r})" in output.error


@pytest.mark.parametrize("word", ["content_filter", "tool_calls"])
def test_a_stopped_answer_without_text_names_the_reason(serve, word):
    stopped = in_choice({"finish_reason": word, "message": {"role": "assistant", "content": None}})
    output = one(serve, on_items(lambda prompt, n: stopped("", {"x": 1}, n)))
    assert f"for a reason of its own ({word!r})" in output.error


@given(st.text(max_size=12))
def test_an_ending_is_known_or_left_as_it_is(word):
    assert ending_of(word) in {"stop", "length", word or None}
    assert ending_of(word) == ending_of(word and f" {word}_") or ending_of(word) == word


@pytest.mark.parametrize("nothing", [None, "", 1])
def test_a_server_that_never_says_how_answers_ended_is_read_by_their_length(serve, nothing):
    """The limit is 8 tokens."""
    short = one(serve, in_choice({"finish_reason": nothing}))
    assert (short.error, short.hit_limit, short.new_tokens) == (None, False, 2)
    whole = one(serve, in_choice({"finish_reason": nothing}, {"completion_tokens": 8}))
    assert (whole.error, whole.hit_limit) == (None, True)


def test_without_ending_and_counts_an_answer_of_fewer_bytes_than_tokens_allowed_is_whole(serve):
    unknown = {"completion_tokens": None}
    _, engine = serve(in_choice({"finish_reason": None, "message": {"content": "B"}}, unknown))
    assert engine.run([question(1)]).outputs[0].error is None
    assert engine.info.extra["names_endings"] is False
    _, engine = serve(in_choice({"finish_reason": None, "message": {"content": "The answer is B"}}, unknown))
    assert "does not say how the answer ended" in engine.run([question(1)]).outputs[0].error


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "Answer: "}, {"type": "text", "text": "B"}]}, "Answer: B"),
        ({"content": ["Answer: ", "B"]}, "Answer: B"),
        ({"content": None, "refusal": "I can't assist with that."}, "I can't assist with that."),
        ({"content": "", "refusal": "I can't assist with that."}, "I can't assist with that."),
        ({"content": "Answer: B", "refusal": None}, "Answer: B"),
        ({"content": None}, ""),
        ({"content": [{"type": "output_text", "text": "Answer: B"}]}, "Answer: B"),
        ({"content": [{"text": "Answer: B"}, {"type": "image_url", "image_url": {}}, 7, None]}, "Answer: B"),
        ({"content": [{"type": "refusal", "refusal": "I can't assist with that."}]}, "I can't assist with that."),
        ({"content": []}, ""),
    ],
)
def test_where_servers_put_the_text(serve, message, text):
    output = one(serve, in_choice({"message": message}))
    assert (output.error, output.text) == (None, text)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Is it "}, {"type": "text", "text": "A?"}]},
        {"type": "thinking", "thinking": "Is it A?", "signature": "x"},
        {"type": "reasoning", "text": "Is it A?"},
        {"type": "reasoning", "reasoning": "Is it A?"},
    ],
)
def test_a_thought_among_the_parts_is_no_answer(serve, part):
    output = one(serve, in_choice({"message": {"content": [part, {"type": "text", "text": "Answer: B"}]}}))
    assert (output.error, output.text, output.thought) == (None, "Answer: B", "Is it A?")


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": None, "completion_tokens": None}]
)
def test_a_usage_of_zeros_is_unknown(serve, usage):
    _, engine = serve(in_choice({}, usage))
    batch = engine.run([question(1)])
    (output,) = batch.outputs
    assert (output.error, output.prompt_tokens, output.new_tokens) == (None, None, None)
    assert (batch.timing.prompt_tokens, batch.timing.new_tokens) == (None, None)
    assert Capability.PROMPT_TOKENS not in engine.capabilities


def failing_once(error):
    return on_items(lambda prompt, n: (lambda value: error) if n == 1 else None)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "Provider returned error", "code": 502}},
        {"id": None, "choices": None, "error": {"message": "Provider returned error", "code": 429}},
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        {"error": "the runner has died"},
        {"object": "error", "message": "overloaded", "code": 503},
        {"choices": [{"finish_reason": "error", "error": {"message": "upstream", "code": "524"}}]},
    ],
)
def test_an_error_that_passes_is_tried_again_though_its_status_is_200(serve, error):
    server, engine = serve(failing_once(error))
    (output,) = engine.run([question(1)]).outputs
    assert (output.error, output.text) == (None, "Answer: A")
    assert len(server.items()) == 2


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            {"error": {"message": "context of 9 tokens exceeded", "code": 400}},
            r"refused the request (400): context of 9",
        ),
        ({"error": {"message": "no credit", "code": 401}}, "refused the key (401)"),
        (
            {"error": {"message": "insufficient quota"}, "choices": None},
            "answered with an error: insufficient quota (tried 2",
        ),
        ({"error": {"message": "upstream", "code": 502}}, "answered 502: upstream (tried 4 times)"),
    ],
)
def test_an_error_that_stays_is_told_in_the_words_of_the_server(serve, error, says):
    output = one(serve, on_items(lambda prompt, n: lambda value: error))
    assert says in output.error


@pytest.mark.parametrize(
    "value", [{"choices": [{"message": {"content": "x"}}], "error": None}, {"response": "x", "error": ""}]
)
def test_an_answer_with_an_empty_error_is_an_answer(value):
    assert error_in(value) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached for requests per minute. Please try again in 1m5s.", 65.0),
        ("Please try again in 1.2s", 1.2),
        ("Please retry after 26 seconds", 26.0),
        ("Please retry in 34.07s", 34.07),
        ("try again in 2h10m", 7800.0),
        ("try again in 120ms", None),
        ("try again later", None),
        ("", None),
    ],
)
def test_the_wait_that_a_message_asks_for(said, seconds):
    assert wait_in(said) == seconds
