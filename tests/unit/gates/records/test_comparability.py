"""The handshake: what makes two runs incomparable, and what only makes their speed so."""

import pytest
from benchmark_runs import MACHINE, SCORER, run

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.comparability import pair
from pytest_slmsec.gating.score_check import Rescorer
from pytest_slmsec.meters.device import machine_facts
from pytest_slmsec.tasks.registry import find_task

RIGHT = "1101" * 20


def candidate(right=RIGHT, **options):
    return run(right, model="phi3-gptq4", quant=options.pop("quant", "gptq4"), **options)


def refusal(base, other, rescore=None):
    with pytest.raises(CompareError) as caught:
        pair(base, other, rescore)
    return str(caught.value)


def test_equal_conditions_have_nothing_to_say():
    found = pair(run(RIGHT), candidate())
    assert (found.warnings, found.cost_errors) == ((), ())


def test_items_are_paired_by_what_is_asked_and_not_by_their_order():
    mixed = candidate().taken([79, *range(79)])
    found = pair(run(RIGHT), mixed)
    assert list(found.candidate.columns["item"]) == list(run(RIGHT).columns["item"])


def test_items_without_a_published_answer_are_not_judged():
    base, other = run(RIGHT), candidate()
    for one in (base, other):
        one.columns["parts"][3:5] = [{"unscored": 1.0}] * 2
    found = pair(base, other)
    assert found.base.n == found.candidate.n == 78
    assert base.columns["item"][3] not in found.candidate.columns["item"]
    assert found.warnings == ("Not judged: 2 of 80 items, for want of a published answer.",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "cti-rcm"}, "the base was measured on cti-mcq"),
        ({"scorer": "cti-mcq/strict/0"}, f"the scorer differs ({SCORER} and cti-mcq/strict/0)"),
        ({"mode": "official"}, "the scoring mode differs (strict and official)"),
        ({"metric": "F1"}, "the metric differs (accuracy and F1)"),
        ({"judge": "gpt"}, "the judge differs (None and gpt)"),
        ({"decoding": {"max_new_tokens": 64, "stop": []}}, "decoding differs in max_new_tokens (256 and 64)"),
        ({"engine": {"template_sha256": "other", "tokenizer_sha256": "t"}}, "the chat template differs"),
    ],
)
def test_what_differs_is_named(change, message):
    assert message in refusal(run(RIGHT), candidate(**change))


def test_everything_that_differs_is_named_at_once():
    text = refusal(run(RIGHT), candidate(judge="gpt", scorer="mine"))
    assert "scorer" in text
    assert "judge" in text


def test_a_missing_or_changed_item_is_named():
    fewer = candidate().taken(range(1, 80))
    assert "1 of the base's 80 items are missing or differ in prompt or gold answer (cti-mcq-00001)" in refusal(
        run(RIGHT), fewer
    )
    changed = candidate()
    changed.columns["sha256"][4] = "another"
    assert "1 of the candidate's 80 items are not the base's (cti-mcq-00005)" in refusal(run(RIGHT), changed)


def test_another_rendered_prompt_shows_in_its_length():
    longer = candidate()
    longer.columns["prompt_tokens"][0] = 101
    assert "prompts differ in their token counts (cti-mcq-00001; 1 in all)" in refusal(run(RIGHT), longer)


def test_another_model_may_have_its_own_template():
    engine = {"template_sha256": "other", "tokenizer_sha256": "u", "engine": "transformers 5.23.0", "device": "cpu",
              "extra": {"torch": "2.13.0", "transformers": "5.23.0"}}  # fmt: skip
    found = pair(run(RIGHT), candidate(base="qwen", engine=engine))
    assert "different bases (phi3 and qwen)" in found.warnings[0]


def test_an_adapter_may_bring_a_template():
    engine = {"template_sha256": "other", "tokenizer_sha256": "t", "engine": "transformers 5.23.0", "device": "cpu",
              "extra": {"torch": "2.13.0", "transformers": "5.23.0"}}  # fmt: skip
    found = pair(run(RIGHT), candidate(adapter="lora", engine=engine))
    assert found.warnings == ("The adapter brings a chat template of its own, so prompts were rendered in different "
                              "ways.",)  # fmt: skip
    assert "the chat template differs" in refusal(run(RIGHT), candidate(engine=engine))


def test_mostly_empty_answers_are_an_error_and_not_a_drop():
    empty = candidate()
    empty.columns["text"][:41] = [""] * 40 + [None]
    assert "41 of 80 answers of phi3-gptq4 are empty" in refusal(run(RIGHT), empty)


def test_scores_that_are_all_the_worst_are_an_error():
    assert "every one of the 80 scores of phi3-gptq4 is the worst possible" in refusal(run(RIGHT), candidate("0" * 80))
    pair(run("1" + "0" * 79), candidate("0" * 80))  # nothing can be lost that was not there


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"largest_batch": 32}, "The batch size differs (8 and 32)"),
        ({"machine": {**MACHINE, "cpu": "another"}}, "The CPU differs (a cpu and another)"),
        ({"machine": {**MACHINE, "gpu": "H200"}}, "The GPU differs (none and H200)"),
        ({"machine": {}}, "The CPU differs (a cpu and unknown)"),
        (
            {"device_profile": {"name": "docker-sim", "how": "approximate"}},
            "The device profile differs (none and docker-sim, approximate)",
        ),
    ],
)
def test_conditions_warn_for_scores_and_forbid_speed_and_memory(options, message):
    found = pair(run(RIGHT), candidate(**options))
    assert f"{message}; scores may move by a few near-ties." in found.warnings
    assert f"{message}: speed and memory say nothing." in found.cost_errors


def test_what_is_compared_of_a_machine_is_what_the_meters_say_of_it():
    assert set(MACHINE) <= set(machine_facts())


def test_the_loader_of_a_quantisation_belongs_to_the_candidate():
    engine = {**run("1").facts["engine"], "engine": "gptqmodel 7.6.0"}
    assert pair(run(RIGHT), candidate(engine=engine)).cost_errors == ()
    assert "The engine differs" in pair(run(RIGHT), candidate(engine=engine, quant=None)).cost_errors[0]


def test_stored_scores_are_made_again_from_the_answers():
    assert pair(run(RIGHT), candidate(), Rescorer(None)).warnings == ()
    edited = candidate()
    edited.columns["text"][0] = "D"
    text = refusal(run(RIGHT), edited, Rescorer(None))
    assert "today's scorer does not reproduce stored scores of phi3-gptq4 (cti-mcq-00001; 1 in all)" in text


def test_a_cut_off_answer_counts_as_none_again():
    base, cut = run("1" * 4), run("0111", parsed="0111", model="phi3-gptq4", quant="gptq4")
    cut.columns["text"][0], cut.columns["hit_limit"][0] = "A", True
    assert pair(base, cut, Rescorer(None)).warnings == ()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"task": "mine"}, "the benchmark 'mine' is not known here"),
        ({"scorer": "cti-mcq/strict/0"}, f"cti-mcq/strict/0 scored it, today {SCORER}"),
        (
            {"task": "cti-taa", "scorer": f"cti-taa/strict/{find_task('cti-taa').version}"},
            "its items are not here; name --slmsec-data",
        ),
    ],
)
def test_where_the_self_test_is_not_possible_it_says_so(facts, message):
    found = pair(run(RIGHT, **facts), candidate(**facts), Rescorer(None))
    assert message in found.warnings[0]


def test_the_same_weights_in_another_dtype_are_told_unless_the_name_says_so():
    def engine(dtype, weights="w"):
        return {"template_sha256": "c", "tokenizer_sha256": "t", "weights_sha256": weights, "dtype": dtype}

    base = run(RIGHT, engine=engine("float32"))
    found = pair(base, run(RIGHT, engine=engine("bfloat16")))
    assert found.warnings == ("The dtype differs (float32 and bfloat16); scores may move by a few near-ties.",)
    assert found.cost_errors == ("The dtype differs (float32 and bfloat16): speed and memory say nothing.",)
    assert not pair(base, candidate(quant="bf16", engine=engine("bfloat16"))).warnings
    assert not pair(base, run(RIGHT, engine=engine("bfloat16", "fine-tuned"))).warnings
