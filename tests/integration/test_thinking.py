"""Reasoning models in a test run: scored by their answers, their thoughts in record and transcript."""

import json
import shutil

import pytest
from recitingmodel import SWITCH, chain, reciting_model

BENCHMARK = """
import pytest

from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option

OPTIONS = ("A", "B")
ITEMS = [Item(f"letter-{n}", f"Which option fits {n}?", "B", choices=OPTIONS, labels=OPTIONS) for n in range(1, 5)]


@pytest.mark.slmsec(Task("letters", score_exact, ACCURACY, ITEMS, max_new_tokens=2))
def test_letters(answer):
    assert answer.output.error is None


@pytest.mark.slmsec(Task("letters-choice", score_option, ACCURACY, ITEMS, max_new_tokens=0))
def test_letters_by_choice(answer):
    assert answer.choice
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that thinks "hmm, A" and answers "B"."""
    follows = chain("<|assistant|>", "<think>", "hmm", "A", "</think>", "B")
    return reciting_model(tmp_path_factory.mktemp("models") / "model", {**follows, "\n\n": "B"}, SWITCH)


@pytest.fixture
def run(model, pytester, monkeypatch):
    """Runs two small benchmarks on the model."""
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    shutil.copytree(model, pytester.path / "model")
    pytester.makepyfile(test_letters=BENCHMARK)

    def start(*args):
        return pytester.runpytest_subprocess("--model=./model", "-p", "no:cacheprovider", *args)

    return start


def test_the_answer_is_scored_and_the_thought_is_in_record_and_transcript(run, pytester):
    result = run("--benchmark-json=out.json", "--slmsec-transcript=t.jsonl")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*letters-choice*",
            "*letters-choice on ./model: choices are compared behind a thought that is closed*",
        ]
    )
    stored = json.loads((pytester.path / "out.json").read_text())
    groups = {group["benchmark"]: group["items"] for group in stored["slmsec"]["groups"]}
    assert groups["letters"]["thought"] == ["hmmA"] * 4
    assert groups["letters"]["thought_tokens"] == [4] * 4
    assert groups["letters"]["correct"] == groups["letters-choice"]["correct"] == [True] * 4
    facts = next(
        e["extra_info"] for e in stored["benchmarks"] if e["name"].startswith("letters") and "engine" in e["extra_info"]
    )
    assert facts["engine"]["extra"]["thinking"]["thought_tokens"] == 4096
    lines = [json.loads(line) for line in (pytester.path / "t.jsonl").read_text().splitlines()]
    assert {line["thought"] for line in lines if line["group"] == "letters"} == {"hmmA"}


def test_thoughts_without_an_end_are_told(run, pytester):
    result = run("-k", "not choice", "--slmsec-thought-tokens=2", "--benchmark-json=out.json")
    result.stdout.fnmatch_lines(
        [
            "letters on ./model: 4 thoughts had no end, so there is no answer.",
            "unfinished-thoughts: The model was still thinking when its tokens ran out*",
        ]
    )
    stored = json.loads((pytester.path / "out.json").read_text())
    assert stored["slmsec"]["groups"][0]["items"]["parsed"] == [False] * 4


def test_runs_that_differ_in_thinking_are_not_compared(run):
    run("-k", "not choice", "--benchmark-json=before.json")
    same = run("-k", "not choice", "--slmsec-baseline=before.json")
    same.stdout.no_fnmatch_line("*decoding differs*")
    other = run("-k", "not choice", "--slmsec-baseline=before.json", "--slmsec-thinking=off")
    assert other.ret != 0
    other.stdout.fnmatch_lines(["*cannot be compared with ./model: decoding differs in", "*thinking (None and 'off')*"])


def test_a_resumed_run_asks_again_when_thinking_changed(run):
    run("-k", "not choice")
    run("-k", "not choice", "--slmsec-resume").stdout.fnmatch_lines(["*reused 4 of 4 answers*"])
    again = run("-k", "not choice", "--slmsec-resume", "--slmsec-template", "enable_thinking=false")
    again.stdout.fnmatch_lines(["*thinking auto enable_thinking=false*", "*reused 0 of 4 answers*"])


def test_recorded_thoughts_are_no_answers_either(run, pytester):
    lines = [
        {"item_id": f"index_{n}", "prompt": f"Which option fits {n + 1}?", "response": text, "tokens_generated": 9}
        for n, text in enumerate(["A?</think>B", "A no</think>\n\nB", "A so</think>B", "B is what I"])
    ]
    (pytester.path / "letters.outputs.json").write_text(json.dumps(lines))
    args = ("-k", "not choice", "--slmsec-transcript=t.jsonl", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess("--model=replay:letters.outputs.json", *args)
    found = [json.loads(line) for line in (pytester.path / "t.jsonl").read_text().splitlines()]
    assert [(line["text"], line["hit_limit"]) for line in found] == [("B", False)] * 3 + [("", True)]
