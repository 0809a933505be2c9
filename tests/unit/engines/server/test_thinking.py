"""Reasoning models behind servers: where their thoughts are, how thinking is switched, and what is cut where."""

import pytest
from faultserver import prompt_of
from serverasks import letters, question

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.base import unable

THOUGHT = "At first sight A, but no."


def thinks(switch=lambda body: True, field="reasoning_content", tags=("<think>", "</think>"), effort_only=False):
    """A model that thinks where `switch` says so of a request, and sends the thought in a field or within tags."""

    def fault(path, body, n):
        if effort_only and "chat_template_kwargs" in body:
            return 400, {}, "Unrecognized request argument supplied: chat_template_kwargs"
        if "messages" not in body or not switch(body):
            return None

        def change(value):
            message = value["message"] if path.startswith("/api/") else value["choices"][0]["message"]
            if field:
                message[field] = THOUGHT
            else:
                message["content"] = f"{tags[0]}{THOUGHT}{tags[1]}\n\n{message['content']}"
            if "usage" in value:
                value["usage"]["completion_tokens"] += 7
                value["usage"]["completion_tokens_details"] = {"reasoning_tokens": 7}
            return value

        return change

    return fault


def kwargs(body):
    return body.get("chat_template_kwargs", {}).get("enable_thinking", True)


def asked_of(server):
    return [body for path, body in server.asked if "item" in prompt_of(body)]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", None])
def test_a_thought_in_a_field_or_in_the_text_is_no_answer(serve, field):
    server, engine = serve(thinks(field=field))
    output = engine.run([question(1)]).outputs[0]
    assert (output.text, output.thought, output.thought_tokens, output.hit_limit) == ("Answer: A", THOUGHT, 7, False)
    assert output.new_tokens == 9
    assert asked_of(server)[-1]["max_tokens"] == 8 + 2048  # half of the context that this server tells


def test_a_thought_of_ollama(serve):
    server, engine = serve(thinks(field="thinking"), name="ollama:toy")
    output = engine.run([question(1)]).outputs[0]
    assert (output.text, output.thought, output.thought_tokens) == ("Answer: A", THOUGHT, None)
    assert asked_of(server)[-1]["options"]["num_predict"] == 8 + 1024


def test_an_opening_tag_that_stood_in_the_prompt_is_known_from_the_first_answer(serve):
    answers = {"item 2": "The answer is A"}  # the thought does not end
    tagged = thinks(field=None, tags=("", "</think>"))
    _, engine = serve(
        lambda path, body, n: None if prompt_of(body).strip() in answers else tagged(path, body, n),
        answer=lambda path, body: answers.get(prompt_of(body).strip(), "Answer: A"),
    )
    first, second = engine.run([question(1), question(2)]).outputs
    assert (first.text, first.thought) == ("Answer: A", THOUGHT)
    assert (second.text, second.thought, second.hit_limit) == ("", "The answer is A", True)


def test_a_model_that_is_still_thinking_at_its_limit_has_no_answer(serve):
    def cut(path, body, n):
        limit = body.get("max_tokens", 1)
        message = {"role": "assistant", "content": None, "reasoning": THOUGHT}
        choice = {"index": 0, "finish_reason": "length", "message": message}
        return {"choices": [choice], "usage": {"prompt_tokens": 90, "completion_tokens": limit}}

    _, engine = serve(lambda path, body, n: cut(path, body, n) if "item" in prompt_of(body) else None)
    output = engine.run([question(1)]).outputs[0]
    assert (output.text, output.thought, output.hit_limit) == ("", THOUGHT, True)


def test_letters_are_compared_with_thinking_switched_off(serve):
    server, engine = serve(thinks(kwargs))
    batch = engine.run([letters(1), question(2)])
    choice, text = asked_of(server)
    assert choice["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert "chat_template_kwargs" not in text
    assert batch.notes == ("choices are compared with thinking switched off",)
    assert engine.info.extra["thinking"]["closed_for_choices"] is True


def test_where_thinking_cannot_be_switched_off_letters_are_not_asked(serve):
    _, engine = serve(thinks())
    assert "offers no way to switch that off" in unable(engine, letters(1))
    assert unable(engine, question(1)) is None


@pytest.mark.parametrize(
    ("form", "effort_only"),
    [
        ({"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}, False),
        ({"reasoning_effort": "none"}, True),
    ],
)
def test_thinking_is_switched_off_in_the_form_that_the_server_takes(serve, form, effort_only):
    def switch(body):
        return not any(body.get(name) == value for name, value in form.items())

    server, engine = serve(thinks(switch, effort_only=effort_only), settings={"thinking": {"asked": "off"}})
    output = engine.run([question(1)]).outputs[0]
    assert (output.thought, asked_of(server)[-1]["max_tokens"]) == (None, 8)
    assert {name: asked_of(server)[-1][name] for name in form} == form
    assert engine.info.extra["thinking"]["parameters"] == form
    assert engine.info.extra["thinking"]["asked"] == "off"


def test_thinking_is_switched_on(serve):
    server, engine = serve(thinks(lambda body: body.get("think") is True), settings={"thinking": {"asked": "on"}})
    assert engine.run([question(1)]).outputs[0].thought == THOUGHT
    assert asked_of(server)[-1]["think"] is True


def test_a_switch_without_an_effect_is_an_error(serve):
    with pytest.raises(
        ModelError, match=r"--slmsec-thinking=off: the model at .* goes on thinking, whatever it is sent"
    ):
        serve(thinks(), settings={"thinking": {"asked": "off"}})
    with pytest.raises(ModelError, match=r"--slmsec-thinking=on: the model at .* shows no thought"):
        serve(settings={"thinking": {"asked": "on"}})


def test_off_is_no_error_for_a_model_that_does_not_think(serve):
    server, engine = serve(settings={"thinking": {"asked": "off"}})
    assert engine.run([question(1)]).outputs[0].text == "Answer: A"
    assert engine.info.extra["thinking"]["thought_tokens"] is None
    assert "chat_template_kwargs" not in asked_of(server)[-1]


def test_variables_go_to_the_template_and_efforts_to_the_parameter_of_that_name(serve):
    variables = (("reasoning_effort", "low"), ("tone", "dry"))
    server, engine = serve(settings={"thinking": {"template": variables}})
    engine.run([question(1)])
    body = asked_of(server)[-1]
    assert (body["reasoning_effort"], body["chat_template_kwargs"]) == ("low", {"tone": "dry"})
    with pytest.raises(ModelError, match="takes no variable tone of a chat template"):
        serve(name="ollama:toy", settings={"thinking": {"template": (("tone", "dry"),)}})
    refused = lambda path, body, n: 400 if "chat_template_kwargs" in body else None  # noqa: E731
    with pytest.raises(ModelError, match=r"refuses chat_template_kwargs=.*leave out --slmsec-template=tone"):
        serve(refused, settings={"thinking": {"template": (("tone", "dry"),)}})


def test_an_answer_longer_than_its_own_limit_is_cut_though_the_thought_was_short(serve):
    words = " ".join(f"w{n}" for n in range(40))
    _, engine = serve(thinks(), answer=lambda path, body: words)
    output = engine.run([question(1)]).outputs[0]
    assert output.hit_limit
    assert words.startswith(output.text)
    assert len(output.text) == len(words) * 8 // 40


def test_a_model_that_does_not_think_is_asked_as_before_and_its_record_says_nothing(serve):
    server, engine = serve()
    engine.run([question(1), letters(2)])
    assert asked_of(server)[0]["max_tokens"] == 8
    assert "thinking" not in engine.info.extra
