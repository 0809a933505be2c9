"""Reasoning models as ONNX: what transformers answers with the same weights, thoughts apart from answers."""

import pytest
from recitingmodel import OPENS, SWITCH, chain, reciting_model

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.onnx_export import export
from pytest_slmsec.quantize.through_transformers import copy_support

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

QUESTION = (Message("user", "Which option fits?"),)
ASKED = [Generate("short", QUESTION, 1), Generate("long", QUESTION, 9), Choose("pick", QUESTION, ("A", "B"))]
THOUGHT = ("hmm", "wait", "A", "</think>", "B", "x", "y")
TEMPLATES = {
    "opened by the template": (OPENS, {**chain("\n", *THOUGHT), "<think>": "\n", "\n\n": "B"}),
    "opened by the model": (SWITCH, {**chain("<|assistant|>", "<think>", *THOUGHT), "\n\n": "B"}),
}


@pytest.fixture(scope="module", params=TEMPLATES)
def both(request, tmp_path_factory, settings, load_spec):
    """The same reciting model in transformers and in onnxruntime."""
    template, follows = TEMPLATES[request.param]
    folder = tmp_path_factory.mktemp("thinking")
    base = reciting_model(folder / "model", follows, template)
    export(read_checkpoint(base), folder / "onnx")
    copy_support(base, folder / "onnx")
    return [make_engine(load_spec(place), settings) for place in (base, folder / "onnx")]


def answers(engine, asked=ASKED):
    return [engine.run([request]).outputs[0] for request in asked]


def test_it_is_run_by_onnxruntime_and_says_the_same_about_thinking(both):
    plain, exported = (engine.info for engine in both)
    assert exported.engine.startswith("onnxruntime ")
    assert exported.extra["thinking"] == plain.extra["thinking"]


def test_the_thought_is_apart_and_the_limit_is_for_the_answer(both):
    short, whole, _ = answers(both[1])
    assert (short.text, short.thought, short.hit_limit) == ("B", "hmmwaitA", True)
    assert (whole.text, whole.thought, whole.hit_limit) == ("Bxy", "hmmwaitA", False)


def test_letters_are_compared_behind_a_closed_thought(both):
    batch = both[1].run([ASKED[-1]])
    a, b = batch.outputs[0].choice_logprobs
    assert b > a + 3
    assert batch.notes == ("choices are compared behind a thought that is closed at once",)


def test_answers_are_those_of_transformers(both):
    for one, other in zip(*map(answers, both), strict=True):
        assert (one.text, one.thought, one.thought_tokens, one.new_tokens, one.hit_limit) == (
            other.text, other.thought, other.thought_tokens, other.new_tokens, other.hit_limit,
        )  # fmt: skip
        assert other.choice_logprobs == pytest.approx(one.choice_logprobs, abs=1e-4)
        assert other.choice_greedy == one.choice_greedy
