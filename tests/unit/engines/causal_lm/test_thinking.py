"""Reasoning models: the thought apart from the answer, a limit for each, and choices behind a closed thought."""

from dataclasses import replace

import pytest
from recitingmodel import HARMONY, OPENS, PLAIN, SWITCH, chain, reciting_model

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.common.settings import ThinkingSettings
from pytest_slmsec.execution.model_loader import identity_parts
from pytest_slmsec.quantize.load_model import make_engine

THOUGHT = ("<think>", "hmm", "wait", "perhaps", "A", "</think>")
QUESTION = (Message("user", "Which option fits?"),)


def ask(limit=8, stop=(), raw=False):
    return Generate("q", QUESTION, limit, stop, raw)


PICK = Choose("q", QUESTION, ("A", "B"))


@pytest.fixture(params=[True, False], ids=["packed", "padded"])
def recite(request, tmp_path, settings, load_spec):
    """Makes a model that recites, and loads it."""

    def make(follows, template=PLAIN, special=(), context=512, variables=(), **thinking):
        path = reciting_model(tmp_path / "model", follows, template, special, context)
        chosen = replace(settings, packing=request.param, thinking=ThinkingSettings(template=variables, **thinking))
        return make_engine(load_spec(path), chosen)

    return make


def answered(engine, request):
    return engine.run([request]).outputs[0]


def test_the_token_limit_is_for_the_answer_and_the_thought_is_counted_apart(recite):
    engine = recite(chain("<|assistant|>", *THOUGHT, "B", "x", "y", "z"))
    output = answered(engine, ask(limit=2))
    assert (output.text, output.thought) == ("Bx", "hmmwaitperhapsA")
    assert (output.thought_tokens, output.new_tokens, output.hit_limit) == (6, 8, True)
    whole = answered(engine, ask(limit=9))
    assert (whole.text, whole.thought_tokens, whole.new_tokens, whole.hit_limit) == ("Bxyz", 6, 11, False)


def test_a_thought_without_an_end_stops_at_its_budget_and_is_no_answer(recite):
    engine = recite(chain("<|assistant|>", "<think>", "A", "wait", "A"), thought_tokens=20)
    output = answered(engine, ask())
    assert (output.text, output.new_tokens, output.thought_tokens, output.hit_limit) == ("", 20, 20, True)
    assert output.thought.startswith("AwaitA")


def test_the_context_holds_thought_and_answer_together(recite):
    engine = recite(chain("<|assistant|>", "<think>", "A", "wait", "A"), context=64)
    output = answered(engine, ask())
    assert output.prompt_tokens + output.new_tokens == 64
    assert output.hit_limit


def test_a_thought_that_the_template_opens(recite):
    engine = recite({**chain("\n", "hmm", "</think>", "B"), "<think>": "\n"}, OPENS)
    output = answered(engine, ask(limit=1))
    assert (output.text, output.thought, output.thought_tokens) == ("B", "hmm", 2)
    assert engine.info.extra["thinking"]["opened_by_prompt"]


def test_words_that_never_close_what_the_template_opened_are_no_answer(recite):
    output = answered(recite({"\n": "B"}, OPENS), ask())
    assert (output.text, output.thought, output.hit_limit) == ("", "B", True)


def test_tags_that_are_special_tokens_and_that_only_the_tokenizer_knows(recite):
    follows = chain("<|assistant|>", "<|muse_think_start|>", "A", "<|muse_think_end|>", "B")
    output = answered(recite(follows, special=("<|muse_think_start|>", "<|muse_think_end|>")), ask(limit=1))
    assert (output.text, output.thought, output.thought_tokens) == ("B", "A", 3)


def test_channels(recite):
    marks = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>")
    follows = chain("assistant", "<|channel|>", "analysis", "<|message|>", "A", "<|end|>")
    engine = recite(follows, HARMONY, special=marks)
    assert answered(engine, ask()).hit_limit  # it ends behind its analysis
    assert engine.prompts.render(QUESTION, closed=True).endswith("<|start|>assistant<|channel|>final<|message|>")
    assert engine.info.extra["thinking"]["thought_tokens"] == 4096


def test_stop_strings_and_complete_answers_are_looked_for_in_the_answer_only(recite):
    engine = recite(chain("<|assistant|>", *THOUGHT, "B", "x", "y"))
    assert answered(engine, ask(stop=("wait", "x"))).text == "B"
    request = replace(ask(), answered="[AB]")
    assert answered(engine, request).text == "B"


def test_several_thoughts_share_one_budget(recite):
    follows = chain("<|assistant|>", *THOUGHT, "\n", "[THINK]", "so", "[/THINK]", "B", "x")
    output = answered(recite(follows), ask(limit=1))
    assert (output.text, output.thought, output.hit_limit) == ("B", "hmmwaitperhapsA\n\nso", True)


def test_answers_do_not_depend_on_who_thinks_beside_them(recite):
    engine = recite(chain("<|assistant|>", *THOUGHT, "B", "x", "y", "z"))
    requests = [Generate(f"q{n}", (Message("user", "fits? " * n),), 1 + n % 4) for n in range(1, 9)]
    alone = [answered(engine, request) for request in requests]
    assert list(engine.run(requests).outputs) == alone


def test_a_model_that_does_not_think_keeps_its_limit_and_its_record(recite):
    engine = recite(chain("<|assistant|>", "B", "x", "y"))
    output = answered(engine, ask(limit=2))
    assert (output.text, output.thought, output.thought_tokens, output.hit_limit) == ("Bx", None, 0, True)
    assert "thinking" not in engine.info.extra


@pytest.mark.parametrize(
    ("template", "close"), [(SWITCH, "<think>\n\n</think>\n\n"), (OPENS, "<think>\n\n</think>\n\n")]
)
def test_choices_are_compared_behind_a_closed_thought(recite, template, close):
    first = {"<|assistant|>": "<think>", "<think>": "\n", "\n\n": "B"}
    engine = recite(first, template)
    batch = engine.run([PICK])
    a, b = batch.outputs[0].choice_logprobs
    assert b > a + 5
    assert engine.prompts.render(QUESTION, closed=True).endswith("<|assistant|>" + close)
    assert batch.notes == ("choices are compared behind a thought that is closed at once",)


def test_thinking_is_switched_by_the_template(recite):
    follows = {**chain("<|assistant|>", *THOUGHT, "B"), "\n\n": "x"}
    assert answered(recite(follows, SWITCH), ask()).thought == "hmmwaitperhapsA"
    off = recite(follows, SWITCH, asked="off")
    assert (answered(off, ask()).text, answered(off, ask()).thought) == ("x", None)
    assert (off.info.extra["thinking"]["asked"], off.info.extra["thinking"]["no_effect"]) == ("off", False)
    by_name = recite(follows, SWITCH, variables=(("enable_thinking", False),))
    assert answered(by_name, ask()).text == "x"


def test_a_thought_that_the_template_always_opens_is_closed_where_thinking_is_off(recite):
    engine = recite({"<|assistant|>": "<think>", "\n": "hmm", "\n\n": "B"}, OPENS, asked="off")
    assert (answered(engine, ask()).text, answered(engine, ask()).thought) == ("B", None)


def test_a_switch_that_changes_nothing_is_said(recite):
    batch = recite(chain("<|assistant|>", *THOUGHT, "B"), asked="off").run([ask()])
    assert batch.notes == ("--slmsec-thinking=off changes nothing: the chat template has no such switch",)


def test_a_variable_that_the_template_does_not_have_is_an_error(recite):
    with pytest.raises(ModelError, match="its chat template has no variable 'enable_thinking': leave out"):
        recite({"<|assistant|>": "B"}, PLAIN, variables=(("enable_thinking", False),))


def test_a_variable_reaches_the_template(recite):
    marks = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>")
    engine = recite({"assistant": "B"}, HARMONY, special=marks, variables=(("reasoning_effort", "low"),))
    assert "Reasoning: low" in engine.prompts.render(QUESTION)


def test_thinking_is_a_part_of_the_identity_of_an_answer(recite):
    follows = chain("<|assistant|>", *THOUGHT, "B")
    kinds = [{}, {"asked": "off"}, {"asked": "on"}, {"thought_tokens": 9}, {"variables": (("enable_thinking", True),)}]
    identities = [str(identity_parts(recite(follows, SWITCH, **kind).info)) for kind in kinds]
    assert len({*identities}) == len(kinds)
