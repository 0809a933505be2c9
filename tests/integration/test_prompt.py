"""``--slmsec-prompt``: prompts that were published without a chat template, with the model's own."""

import json

import pytest

SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [Item(f"raw-{n}", f"{n} say:yes", "yes", raw=True) for n in range(3)]

@pytest.mark.slmsec(Task("texts", score_exact, ACCURACY, ITEMS, max_new_tokens=8, chat=True))
def test_texts(answer):
    assert answer.correct
"""


@pytest.mark.parametrize(
    ("args", "label", "raw"), [((), "texts", True), (("--slmsec-prompt=chat",), "texts~chat", False)]
)
def test_the_group_and_its_decoding_say_how_it_was_asked(toy, args, label, raw):
    toy.pytester.makepyfile(test_texts=SUITE)
    result = toy.run("test_texts.py", "--benchmark-json=out.json", *args, models=("alpha",))
    result.assert_outcomes(passed=3)
    content = json.loads((toy.pytester.path / "out.json").read_text())
    info = {entry["name"]: entry["extra_info"] for entry in content["benchmarks"]}[f"{label}:latency[alpha]"]
    assert info["decoding"]["raw"] is raw


def test_other_benchmarks_are_asked_as_ever(toy):
    result = toy.run("test_ports.py", "--slmsec-prompt=chat", models=("alpha",))
    assert "ports~chat" not in result.stdout.str()


def test_an_answer_given_without_the_template_is_not_reused_with_it(toy):
    toy.pytester.makepyfile(test_texts=SUITE)
    toy.run("test_texts.py", models=("alpha",))
    toy.run("test_texts.py", "--slmsec-resume", models=("alpha",))
    assert sum(toy.asked.values()) == 0
    toy.run("test_texts.py", "--slmsec-resume", "--slmsec-prompt=chat", models=("alpha",))
    assert sum(toy.asked.values()) == 3


def test_it_may_stand_in_the_configuration(toy):
    toy.pytester.makepyprojecttoml('[tool.slmsec]\nprompt = "chat"\n')
    toy.pytester.makepyfile(test_texts=SUITE)
    assert "texts~chat" in toy.run("test_texts.py", models=("alpha",)).stdout.str()
    toy.pytester.makepyprojecttoml('[tool.slmsec]\nprompt = "alpaca"\n')
    result = toy.run("test_texts.py", models=("alpha",))
    assert "--slmsec-prompt=alpaca: must be one of published, chat." in result.stderr.str()
