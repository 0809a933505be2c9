"""Answers are streamed for the time to the first token, where nothing gets lost by it."""

import json
from itertools import pairwise

import pytest
from faultserver import FaultServer, prompt_of
from hypothesis import given
from hypothesis import strategies as st
from serverasks import connect, letters, on_items, question

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.model_registry import check_entry
from pytest_slmsec.engines.server.dialect import TextAnswer
from pytest_slmsec.engines.server.event_stream import EVENTS, LINES, TextWatch, whole_answer
from pytest_slmsec.engines.server.streaming import SWITCHED_OFF, lost_in_stream

TEXT = "Der Schlüssel: 安全 ✓\u2028 \U0001f511\n\n- data: [DONE]\r\nAnswer: A "


def asked_to_stream(server):
    return {prompt_of(body) for _, body in server.asked if body.get("stream")}


def without_time(output):
    names = ("text", "error", "prompt_tokens", "new_tokens", "hit_limit", "thought")
    return {name: getattr(output, name) for name in names}


@pytest.mark.parametrize("name", ["openai:toy", "ollama:toy"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_streamed_answer_is_the_whole_one_and_its_first_token_is_timed(serve, name, raw):
    outputs = {}
    for streams in (False, True):
        server, engine = serve(name=name, answer=lambda path, body: TEXT, streams=streams)
        batch = engine.run([question(1, raw=raw), question(2, raw=raw)])
        outputs[streams] = [without_time(output) for output in batch.outputs]
        firsts = [output.first_token_s for output in batch.outputs]
        if not streams:
            assert (firsts, batch.timing.time_to_first_token_s) == ([None, None], None)
            continue
        assert all(0 < first <= output.seconds for first, output in zip(firsts, batch.outputs, strict=True))
        assert min(firsts) <= batch.timing.time_to_first_token_s <= max(firsts)
        assert any("item 1" in prompt for prompt in asked_to_stream(server))
    assert outputs[True] == outputs[False]
    assert outputs[True][0]["error"] is None


def test_what_stands_beside_the_text_is_read_from_the_stream(serve):
    def fault(value):
        if "choices" in value:
            value["choices"][0]["message"]["reasoning_content"] = "It may be A."
            value["choices"][0]["finish_reason"] = "length"
            value["usage"]["completion_tokens"] = 100_000
        return value

    _, engine = serve(on_items(lambda prompt, n: fault), streams=True)
    (output,) = engine.run([question(1)]).outputs
    assert (output.thought, output.hit_limit, output.new_tokens) == ("It may be A.", True, 100_000)
    assert output.first_token_s > 0


def test_letters_are_not_streamed(serve):
    server, engine = serve(streams=True)
    (output,) = engine.run([letters(1)]).outputs
    assert (output.error, output.first_token_s) == (None, None)
    assert not any("item" in prompt for prompt in asked_to_stream(server))


@pytest.mark.parametrize("name", ["openai:toy", "ollama:toy"])
def test_a_stream_that_breaks_in_the_middle_is_asked_for_again(serve, name):
    server, engine = serve(on_items(lambda prompt, n: "cut" if n < 3 else None), name=name, streams=True)
    (output,) = engine.run([question(1)]).outputs
    assert (output.error, output.text) == (None, "Answer: A")
    assert len(server.items()) == 3
    assert output.first_token_s <= output.seconds


def refusing(words):
    return lambda path, body, n: (400, {}, words) if "stream_options" in body else None


def test_a_server_that_refuses_to_be_asked_for_counts_and_leaves_them_out_is_not_streamed(serve):
    _, engine = serve(refusing("Unknown parameter: stream_options."), streams=True)
    (output,) = engine.run([question(1)]).outputs
    assert (output.error, output.new_tokens, output.first_token_s) == (None, 2, None)
    assert engine.info.extra["streamed"] == {"conversations": None, "raw_texts": None}
    assert "Unknown parameter: stream_options" in engine.info.extra["missing"]["chat_streaming"]


def test_a_server_that_gives_no_counts_anyway_loses_none(serve):
    _, engine = serve(refusing("Unknown parameter: stream_options."), streams=True, counts=False)
    assert engine.info.extra["streamed"]["conversations"] == {"stream": True}


def test_a_server_that_never_streams_is_asked_for_whole_answers(serve):
    server, engine = serve()
    engine.run([question(1)])
    assert not any("item" in prompt for prompt in asked_to_stream(server))
    assert "sends its answer whole" in engine.info.extra["missing"]["chat_streaming"]


def test_an_entry_switches_streaming_off():
    with FaultServer(streams=True) as server:
        entry = {"ours": {"location": "openai:toy", "stream": False}}
        engine = connect(server, "ours", registry=entry)
        (output,) = engine.run([question(1)]).outputs
        engine.close()
    assert (output.first_token_s, asked_to_stream(server)) == (None, set())
    assert engine.info.extra["missing"]["chat_streaming"] == SWITCHED_OFF
    with pytest.raises(UsageError, match="`stream` of the model 'ours' must be true or false"):
        check_entry("ours", {"location": "openai:toy", "stream": "no"}, "slmsec.toml")


WHOLE = TextAnswer("It is the port of HTTPS", "stop", 9, 7, 1.0, first_s=0.1, pieces=7)


@pytest.mark.parametrize(
    ("streamed", "says"),
    [
        (WHOLE, None),
        (TextAnswer("It is the port of HTTPS", "stop", 9, 7, 1.0), "sends its answer whole"),
        (TextAnswer("It is the port of HTTPS", "stop", 9, 7, 1.0, first_s=1.0, pieces=1), "in one piece"),
        (TextAnswer(" It is the port of HTTPS", "stop", 9, 7, 1.0, first_s=0.1, pieces=7), "another text"),
        (TextAnswer("It is the port of HTTPS", None, 9, None, 1.0, first_s=0.1, pieces=7),
         "leaves how it ended and the count of new tokens out of streams"),
    ],
)  # fmt: skip
def test_what_a_stream_may_lose(streamed, says):
    lost = lost_in_stream(WHOLE, streamed)
    assert (lost is None) if says is None else says in lost


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=6)
ENDS = st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"])


def split(content, places):
    """The bytes cut at some places, as a network may deliver them."""
    cuts = sorted({place % (len(content) + 1) for place in places} | {0, len(content)})
    return [content[start:end] for start, end in pairwise(cuts)]


@given(TEXTS, ENDS, st.lists(st.integers(min_value=0), max_size=30), st.booleans())
def test_a_text_and_its_first_piece_do_not_depend_on_how_the_bytes_come(texts, end, places, escaped):
    """Cuts fall inside of characters, of line ends and of frames."""
    events = [json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=escaped) for text in texts]
    content = "".join(f"data: {event}{end}" for event in [*events, "[DONE]"]).encode()
    watch, received = TextWatch(f"{EVENTS}; charset=utf-8"), b""
    first = None
    for n, chunk in enumerate(split(content, places)):
        received += chunk
        watch.feed(chunk, n)
        lines = received.replace(b"\r", b"\n").split(b"\n")[:-1]
        if first is None and any(texts[k] for k in range(sum(b'"content"' in line for line in lines))):
            first = n
    assert (watch.first_s, watch.pieces) == (first, sum(map(bool, texts)))
    joined = whole_answer(EVENTS, received)["choices"][0]["message"]["content"]
    assert joined.encode() == "".join(texts).encode()


@given(TEXTS, st.lists(st.integers(min_value=0), max_size=30))
def test_lines_of_ollama_are_joined_to_the_whole_text(texts, places):
    pieces = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    lines = [json.dumps(piece, ensure_ascii=False) for piece in [*pieces, {"done": True, "done_reason": "stop"}]]
    content = "".join(f"{line}\n" for line in lines).encode()
    watch = TextWatch(LINES)
    for n, chunk in enumerate(split(content, places)):
        watch.feed(chunk, n)
    found = whole_answer(LINES, content)
    assert found["message"] == {"role": "assistant", "content": "".join(texts)}
    assert (found["done"], found["done_reason"], watch.pieces) == (True, "stop", sum(map(bool, texts)))


@given(st.binary(max_size=60), st.sampled_from([EVENTS, LINES, "application/json"]))
def test_no_bytes_break_the_watch(content, media_type):
    TextWatch(media_type).feed(b"data: " + content + b"\n", 1.0)
