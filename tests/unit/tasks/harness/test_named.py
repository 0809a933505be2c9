"""Any task by name: what is read from its definition, and what is refused in one sentence."""

import json
from typing import Any

import pytest

from pytest_slmsec.core.errors import MissingExtraError, UsageError
from pytest_slmsec.core.items import Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.harness import named
from pytest_slmsec.tasks.harness.named import named_tasks
from pytest_slmsec.tasks.harness.names import expand, task_files
from pytest_slmsec.tasks.sources import find

pytest.importorskip("lm_eval", reason="lm-eval is not installed")


def only(name):
    (task,) = named_tasks(name)
    return task


def definition(task: Any):
    """What its loader was made with."""
    return task.load.args[0]


def test_the_files_found_by_name_are_those_of_the_known_tasks():
    from pytest_slmsec.tasks.nlp import TASKS

    assert {task.name: task_files()[task.name] for task in TASKS} == {
        task.name: definition(task).path for task in TASKS
    }


def test_a_choice_task_is_read_from_its_definition():
    task = only("arc_easy")
    assert (task.metric.name, task.by_choice, task.hub.dataset, task.hub.config) == (
        "acc_norm", True, "allenai/ai2_arc", "ARC-Easy",
    )  # fmt: skip
    assert task.version.startswith("lm_eval ")


def test_a_task_with_filters_takes_the_first_and_examples_come_from_the_training_split():
    task = only("gsm8k_cot")
    assert definition(task).headline == "exact_match,strict-match"
    assert definition(task).shots_split is None  # its examples stand in the definition itself
    assert definition(named_tasks("gsm8k")[0]).shots_split == "train"


def test_a_task_of_one_continuation_counts_greedy_answers(tmp_path):
    (tmp_path / "lambada_openai").mkdir()
    text = "The analyst opened the log and read the log"
    (tmp_path / "lambada_openai" / "test.jsonl").write_text(json.dumps({"text": text}) + "\n", "utf-8")
    task = only("lambada_openai")
    (item,) = find(task, str(tmp_path), False).items
    assert (item.prompt, item.choices) == ("The analyst opened the log and read the", (" log",))
    for greedy in (True, False):
        output = Output(choice_logprobs=(-1.5,), choice_greedy=(greedy,))
        assert task.scorer(item, output, Mode.STRICT).correct is greedy
    with pytest.raises(KeyError):  # a stored answer that does not say so cannot be scored again
        task.scorer(item, Output(choice_logprobs=(-1.5,)), Mode.STRICT)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wikitext", "asks for loglikelihood_rolling"),
        ("squadv2", "is written as Python code"),
        ("humaneval", "runs code that the model wrote"),
        ("cola", "none of its metrics is an average"),
        ("mmmu_val_art", "shows images"),
    ],
)
def test_what_is_not_measured_here_is_refused_by_name(name, says):
    with pytest.raises(UsageError, match=rf"--slmsec-lm-eval={name}: .*{says}"):
        named_tasks(name)


def test_groups_and_tags_stand_for_their_tasks_and_other_names_have_near_ones():
    assert expand("ai2_arc") == ["arc_challenge", "arc_easy"]
    assert len(expand("mmlu")) == 57
    with pytest.raises(UsageError, match=r"--slmsec-lm-eval=arc_eazy: lm_eval has no such task; did you mean arc_easy"):
        expand("arc_eazy")


def test_without_the_package_the_pip_line_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(named, "tasks_folder", lambda: tmp_path / "nowhere")
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[nlp\]'"):
        named_tasks("arc_easy")
