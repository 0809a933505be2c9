"""What a server can do is found out before anything is asked, and recorded."""

import itertools

import pytest
from faultserver import FaultServer, prompt_of
from serverasks import connect, letters, question

from pytest_slmsec.core.errors import ModelError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.model_registry import check_entry
from pytest_slmsec.engines.common.base import Capability, unable
from pytest_slmsec.engines.server.model_names import is_expected, same_model


def raw_options(*choices):
    return Choose("q", (Message("user", "Ports:"),), choices, raw=True)


def test_letters_are_scored_by_the_first_token_where_that_is_all_a_server_tells(serve):
    _, engine = serve()
    assert (engine.info.extra["choice_mode"], engine.info.extra["raw_choice_mode"]) == ("top_logprobs", "top_logprobs")
    assert Capability.TOP_LOGPROBS in engine.capabilities
    assert unable(engine, letters(1)) is None
    assert unable(engine, raw_options(" A", " B")) is None
    assert (
        "the options of this benchmark are longer than a letter (the server tells no tokens of the prompt)"
        in unable(engine, raw_options(" open", " closed"))
    )


def test_without_log_probabilities_choices_are_not_asked(serve):
    _, engine = serve(logprobs=False)
    assert engine.info.extra["choice_mode"] == "none"
    assert Capability.CHOICE not in engine.capabilities
    assert unable(engine, question(1)) is None
    assert "gives no log-probabilities (the server leaves out" in unable(engine, letters(1))


def test_a_refused_number_of_alternatives_is_lowered(serve):
    many = lambda path, body, n: (400, {}, "top_logprobs must be at most 5") if body.get("top_logprobs") == 20 else None  # noqa: E731
    _, engine = serve(many)
    assert engine.info.extra["top_logprobs"] == 5


def test_a_server_for_conversations_alone_is_not_sent_raw_texts(serve):
    _, engine = serve(lambda path, body, n: 404 if path.endswith("/v1/completions") else None)
    assert unable(engine, question(1)) is None
    assert "takes conversations only, and this benchmark sends raw texts" in unable(engine, question(1, raw=True))


def test_a_base_model_without_chat_template_is_sent_raw_texts_alone(serve):
    _, engine = serve(lambda path, body, n: (400, {}, "no chat template") if "/chat/" in path else None)
    assert "takes raw texts only, and this benchmark sends conversations (" in unable(engine, question(1))
    assert unable(engine, question(1, raw=True)) is None


@pytest.mark.parametrize(
    ("refused", "says", "left"),
    [
        ("max_tokens", "use 'max_completion_tokens' instead", {"limit": "max_completion_tokens"}),
        (
            "max_tokens",
            '[{"type": "extra_forbidden", "loc": ["body", "max_tokens"]}]',
            {"limit": "max_completion_tokens"},
        ),
        ("temperature", "'temperature' does not support 0", {"temperature": "not taken"}),
        ("seed", "Unrecognized request argument supplied: seed", {"seed": "not taken"}),
    ],
)
def test_parameters_that_are_refused_are_left_out_and_recorded(serve, refused, says, left):
    server, engine = serve(lambda path, body, n: (400, {}, says) if "/chat/" in path and refused in body else None)
    (output,) = engine.run([question(1)]).outputs
    assert output.error is None
    assert refused not in server.asked[-1][1]
    assert engine.info.extra["parameters"].items() >= left.items()


def test_without_counts_tokens_are_unknown_and_not_zero(serve):
    _, engine = serve(counts=False)
    batch = engine.run([question(1)])
    assert (batch.outputs[0].prompt_tokens, batch.outputs[0].new_tokens) == (None, None)
    assert (batch.timing.prompt_tokens, batch.timing.new_tokens) == (None, None)
    assert Capability.PROMPT_TOKENS not in engine.capabilities


def echoes(shift):
    """A server that echoes prompt tokens, their log-probabilities `shift` nats from those of generation."""

    def fault(path, body, n):
        if not path.endswith("/v1/completions"):
            return None

        def add(value):
            words = prompt_of(body).split(" ")
            tokens = [words[0], *(f" {word}" for word in words[1:])]
            value["choices"][0] |= {"text": " A"}
            value["usage"] = {"prompt_tokens": 2 * len(tokens), "completion_tokens": 1}
            if body.get("echo"):
                values = [None, *(-0.5 + shift if t == " A" else -2.0 for t in tokens[1:]), -0.5]
                value["choices"][0]["logprobs"] = {"tokens": [*tokens, " A"], "token_logprobs": values,
                                                   "top_logprobs": [None, *({" A": -0.5} for _ in tokens)]}  # fmt: skip
            else:
                value["choices"][0]["logprobs"] = {"tokens": [" A"], "token_logprobs": [-0.5],
                                                   "top_logprobs": [{" A": -0.5, " B": -2.0}]}  # fmt: skip
            return value

        return add

    return fault


def test_echoed_log_probabilities_score_options_of_any_length(serve):
    _, engine = serve(echoes(0.01))
    assert engine.info.extra["raw_choice_mode"] == "echo"
    request = raw_options(" A", " wide open")
    assert unable(engine, request) is None
    (output,) = engine.run([request]).outputs
    assert output.choice_logprobs == (pytest.approx(-0.49), pytest.approx(-4.0))
    assert output.choice_greedy == (True, False)


def test_echoed_log_probabilities_that_belong_to_other_tokens_are_not_used(serve):
    _, engine = serve(echoes(-3.0))
    assert engine.info.extra["raw_choice_mode"] == "top_logprobs"
    assert "differ from those of the same tokens generated" in engine.info.extra["missing"]["echo"]


def test_the_identity_is_what_the_server_says_it_is(serve):
    _, one = serve(lambda path, body, n: {"system_fingerprint": "fp1"} if body else None)
    other = lambda path, body, n: {"system_fingerprint": "fp2"} if body else None  # noqa: E731
    _, two = serve(other)
    assert one.info.extra["fingerprint"] == "fp1"
    assert one.info.weights_sha256 != two.info.weights_sha256
    assert (one.info.template_sha256, one.info.tokenizer_sha256, one.info.device) == ("server", "server", "remote")
    assert one.info.context_tokens == 4096


def has_system(body):
    return any(turn["role"] == "system" for turn in body.get("messages", ()))


def refuses_system(path, body, n):
    return (400, {}, "System role not supported") if has_system(body) else None


def fails_at_system(path, body, n):
    return (500, {}, "Jinja Exception: Only user and assistant roles are supported!") if has_system(body) else None


def drops_system(path, body, n):
    """Answers, and counts the last turn only."""
    tokens = 2 * len(prompt_of(body).split()) + 4
    return {"usage": {"prompt_tokens": tokens, "completion_tokens": 2}} if has_system(body) else None


TURNS = (Message("system", "You are terse."), Message("user", "item 1"))


@pytest.mark.parametrize("fault", [refuses_system, fails_at_system, drops_system])
@pytest.mark.parametrize(
    "request_", [Generate("q", TURNS, 8), Choose("q", TURNS, ("A", "B", "C"))], ids=["text", "letters"]
)
def test_a_server_without_system_turns_gets_the_text_before_the_question(serve, fault, request_):
    server, engine = serve(fault)
    (output,) = engine.run([request_]).outputs
    assert output.error is None
    assert server.asked[-1][1]["messages"] == [{"role": "user", "content": "You are terse.\n\nitem 1"}]
    assert engine.info.extra["system_turns"] is False
    assert "system_turns" in engine.info.extra["missing"]


def test_a_server_with_system_turns_gets_them_as_they_are(serve):
    server, engine = serve()
    engine.run([Generate("q", TURNS, 8)])
    assert [turn["role"] for turn in server.asked[-1][1]["messages"]] == ["system", "user"]
    assert engine.info.extra["system_turns"] is True


def answers_as(*names):
    """A server that lists no models and reports these names in turn."""
    count = itertools.count()

    def fault(path, body, n):
        return {"model": names[next(count) % len(names)]} if body else 404

    return fault


def entry(**fields):
    return {"ours": {"location": "openai:my-deployment", **fields}}


def test_a_deployment_with_a_name_of_its_own_needs_the_name_of_its_model():
    with FaultServer(fault=answers_as("gpt-4.1-mini-2025-04-14")) as server:
        with pytest.raises(ModelError) as error:
            connect(server, "openai:my-deployment")
        assert "was asked for the model my-deployment and answered as gpt-4.1-mini-2025-04-14; if that is" in str(
            error.value
        )
        remedy = 'in [tool.slmsec.models] may say so: expected_model = "gpt-4.1-mini-2025-04-14"'
        assert remedy in str(error.value)
        engine = connect(server, "ours", registry=entry(expected_model="gpt-4.1-mini-2025-04-14"))
        (output,) = engine.run([question(1)]).outputs
        engine.close()
        assert output.error is None
        assert engine.info.extra["reported_model"] == "gpt-4.1-mini-2025-04-14"
        with pytest.raises(ModelError, match=r"answered as gpt-4.1-mini-2025-04-14, and expected_model .* is gpt-4o"):
            connect(server, "ours", registry=entry(expected_model="gpt-4o"))


def test_a_router_between_builds_is_one_error_unless_the_entry_allows_both():
    builds = ("a/llama-3.1-8b", "b/llama-3.1-8b-fp8")
    with FaultServer(model="my-deployment", fault=answers_as(*builds)) as server:
        server.fault = lambda path, body, n, fault=server.fault: fault(path, body, n) if body else None
        with pytest.raises(
            ModelError, match=r"answered as a/llama-3.1-8b and then as b/llama-3.1-8b-fp8, so answers come"
        ):
            connect(server, "openai:my-deployment")
        engine = connect(server, "ours", registry=entry(expected_model="*/llama-3.1-8b*"))
        outputs = engine.run([question(n) for n in range(6)]).outputs
        engine.close()
    assert [output.error for output in outputs] == [None] * 6
    assert engine.info.extra["reported_model"] == "*/llama-3.1-8b*"


def test_a_build_that_comes_up_later_is_an_error_of_its_item(serve):
    _, engine = serve(lambda path, body, n: {"model": "other"} if "item 3" in prompt_of(body) else None)
    first, third = engine.run([question(1), question(3)]).outputs
    assert first.error is None
    assert "answered as the model other, and before as toy" in third.error


def test_an_expected_name_is_text():
    with pytest.raises(UsageError, match="`expected_model` of the model 'ours' must be text"):
        check_entry("ours", entry(expected_model=["a", "b"])["ours"], "slmsec.toml")


@pytest.mark.parametrize(
    ("expected", "answered", "fits"),
    [
        ("gpt-4.1-mini-2025-04-14", "GPT-4.1-mini-2025-04-14", True),
        ("gpt-4.1*", "gpt-4.1-mini", True),
        ("gpt-4.1", "gpt-4.1-mini", False),
        ("provider-?/llama", "provider-a/llama", True),
        ("gpt-4o", None, True),
        ("gpt-4o", "", True),
    ],
)
def test_an_expected_name_and_its_wildcards(expected, answered, fits):
    assert is_expected(expected, answered) is fits


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("toy", None, True),
        ("toy", "Toy", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("llama3.2", "llama3.2:latest", True),
        ("llama3.2:1b", "llama3.2:3b", False),
        ("org/model", "model", True),
        ("model", "/srv/models/model.gguf", True),
        ("/models/tiny", "/models/tiny@main", True),
        ("phi3", "llama3", False),
    ],
)
def test_names_that_mean_one_model(asked, answered, same):
    assert same_model(asked, answered) is same
