"""Servers that stream their answers, whether asked to or not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serverasks import letters, on_items, question

from pytest_slmsec.engines.server.event_stream import EVENTS, CutOff, is_stream, whole_answer
from pytest_slmsec.engines.server.message_parts import text_of_parts, thought_of_parts


def events(*pieces, end="data: [DONE]\n\n"):
    return ("".join(f"data: {json.dumps(piece, ensure_ascii=False)}\n\n" for piece in pieces) + end).encode()


def delta(text, **choice):
    return {"model": "toy", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]}


def streamed(value):
    """A whole answer as the pieces in which a server would send it."""
    (choice,) = value["choices"]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    rest = {key: part for key, part in choice.items() if key not in ("message", "text")}
    parts = [{"delta": {"content": char}} if "message" in choice else {"text": char} for char in text]
    pieces = [{"choices": [part]} for part in [*parts, rest]]
    return events(*pieces, {"choices": [], "usage": value.get("usage"), "model": value["model"]})


def test_a_server_that_always_streams_is_read(serve):
    _, engine = serve(lambda path, body, n: streamed if body else None)
    text, choice = engine.run([question(1), letters(2)]).outputs
    assert (text.error, text.text, text.new_tokens) == (None, "Answer: A", 2)
    assert choice.choice_logprobs == pytest.approx((-0.5, -1.5, -2.5))
    assert engine.info.extra["choice_mode"] == "top_logprobs"


def test_a_stream_without_finish_reason_and_usage_is_read_where_it_cannot_be_cut(serve):
    def bare(value):
        return events(delta("B"))

    _, engine = serve(lambda path, body, n: bare if "messages" in body else (404 if body else None))
    (output,) = engine.run([question(1)]).outputs
    assert (output.error, output.text, output.new_tokens, output.hit_limit) == (None, "B", None, False)


def test_a_server_that_only_streams_is_asked_to(serve):
    only = (400, {}, "This model only supports stream mode, please enable the stream parameter to access the model.")

    def fault(path, body, n):
        if not body:
            return None
        return streamed if body.get("stream") else only

    server, engine = serve(fault)
    assert engine.run([question(1)]).outputs[0].text == "Answer: A"
    assert server.asked[-1][1]["stream_options"] == {"include_usage": True}
    assert engine.info.extra["parameters"]["stream"] is True


def test_a_stream_that_breaks_off_is_asked_for_again(serve):
    server, engine = serve(on_items(lambda prompt, n: (lambda value: events(delta("Ans"), end="")) if n == 1 else None))
    (output,) = engine.run([question(1)]).outputs
    assert (output.error, output.text) == (None, "Answer: A")
    assert len(server.items()) == 2


def test_an_error_in_the_stream_is_an_error(serve):
    failed = events(delta("Ans"), {"error": {"message": "the provider broke off", "code": 400}})
    _, engine = serve(on_items(lambda prompt, n: lambda value: failed))
    assert "refused the request (400): the provider broke off" in engine.run([question(1)]).outputs[0].error


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=6))
def test_the_pieces_of_a_text_are_joined_in_order(texts):
    found = whole_answer(EVENTS, events(*map(delta, texts)))
    assert found["choices"][0]["message"]["content"] == "".join(texts)


def test_comments_and_blank_lines_are_no_pieces():
    content = b": keep-alive\n\nevent: message\n" + events(delta("A", finish_reason="stop"), end="")
    assert whole_answer(EVENTS, content)["choices"][0] == {
        "index": 0,
        "finish_reason": "stop",
        "message": {"content": "A"},
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + events(delta("A", finish_reason="stop")),
        b"data:\n\ndata: \n\n" + events(delta("A", finish_reason="stop")),
        events(delta("A", finish_reason="stop")).replace(b"\n", b"\r\n"),
        events(delta("A", finish_reason="stop")).replace(b"\n\n", b"\n"),
        events(delta("A", finish_reason="stop")).replace(b"data: ", b"data:"),
        b"retry: 1000\nid: 7\n" + events(delta("A", finish_reason="stop"), end=": bye\n"),
    ],
)
def test_forms_of_an_event_stream(content):
    assert is_stream("", content) or content.startswith(b"retry")
    assert whole_answer(EVENTS, content)["choices"][0]["message"]["content"] == "A"


def test_parts_and_texts_are_joined_in_order():
    """Mistral streams the thought as lists of parts and the answer as text behind it."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "A?"}]}
    content = events(delta([thinking]), delta([thinking]), delta("B"), delta(" it is", finish_reason="stop"))
    found = whole_answer(EVENTS, content)["choices"][0]["message"]["content"]
    assert found == [thinking, thinking, "B", " it is"]
    assert (text_of_parts(found), thought_of_parts(found)) == ("B it is", "A?A?")


@pytest.mark.parametrize(
    "error", ["the provider broke off", {"message": "the provider broke off", "code": 502}, ["off"]]
)
def test_an_error_of_any_form_in_a_stream_stands_for_the_answer(error):
    assert whole_answer(EVENTS, events(delta("Ans"), {"error": error}))["error"] == error


def test_a_stream_without_any_end_is_cut_off():
    with pytest.raises(CutOff):
        whole_answer(EVENTS, events(delta("A"), end=""))
