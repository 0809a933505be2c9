"""Documents as items: rendered by the package, with golds that are checked."""

import pytest

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Choose, Generate
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.harness.definition import task_version
from pytest_slmsec.tasks.harness.documents import labels_of
from pytest_slmsec.tasks.harness.files import read_split
from pytest_slmsec.tasks.harness.loading import load_task
from pytest_slmsec.tasks.nlp import TASKS
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

pytest.importorskip("lm_eval", reason="lm-eval is not installed")


def items(name, root=None):
    return find(find_task(name), str(root) if root else "fixture", True).items


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_items_are_raw_and_numbered_and_their_request_is_of_the_right_kind(task):
    found = items(task.name)
    assert [item.id for item in found] == [f"{task.name}-{row:05d}" for row in range(1, len(found) + 1)]
    for item in found:
        request = task.request(item, Mode.STRICT)
        assert request.raw
        assert isinstance(request, Choose if task.by_choice else Generate)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_our_own_documents_differ_and_no_constant_answer_gets_far(task):
    found = items(task.name)
    assert len({(item.prompt, item.contexts, item.choices) for item in found}) == len(found) >= 12
    assert task.constant(found, Mode.STRICT)[1] <= 0.5


def test_winogrande_has_a_context_for_each_choice_and_the_same_end():
    item = items("winogrande")[0]
    assert len(set(item.contexts)) == 2
    assert item.choices == (" was bent.", " was bent.")
    assert item.contexts["AB".index(item.gold)].endswith("the key")


def test_gsm8k_has_five_examples_and_ends_where_its_definition_says():
    item = items("gsm8k")[0]
    request = find_task("gsm8k").request(item, Mode.STRICT)
    assert item.prompt.count("Question:") == 6
    assert item.prompt.endswith("Answer:")
    assert request.stop == ("Question:", "</s>", "<|im_end|>")
    assert request.max_new_tokens == 256
    assert find_task("gsm8k").request(item, Mode.STRICT, 7).max_new_tokens == 7


def test_a_document_with_several_true_answers_names_them_all():
    assert items("truthfulqa_mc2")[0].gold == "A, B"


def test_examples_do_not_depend_on_what_was_loaded_before():
    task = find_task("gsm8k")
    root = find(task, "fixture", True).root
    assert [item.prompt for item in task.load(root)] == [item.prompt for item in task.load(root)]


@pytest.mark.parametrize(
    ("task", "split", "fields", "says"),
    [
        ("arc_challenge", "test", {"answerKey": "Z"}, "record 3: lm_eval cannot make a question of it"),
        ("winogrande", "validation", {"sentence": "No gap here."}, "record 3: lm_eval cannot make a question of it"),
        ("mmlu_elementary_mathematics", "test", {"answer": 7}, "record 3: its right answer is none of its choices"),
        ("mmlu_elementary_mathematics", "test", {"choices": ["1"]}, "record 3: lm_eval cannot make a question of it"),
        ("hellaswag", "validation", {"label": "9"}, "record 3: its right answer is none of its choices"),
        ("hellaswag", "validation", {"label": ""}, r"validation\.jsonl: lm_eval cannot make a task of it"),
        (
            "truthfulqa_mc2",
            "validation",
            {"mc2_targets": {"choices": ["a", "b"], "labels": [0, 0]}},
            "record 3: its right",
        ),
    ],
)
def test_a_document_that_cannot_be_asked_is_named(folder, task, split, fields, says):
    made = folder(task)
    made.change(split, 3, **fields)
    with pytest.raises(DataError, match=says):
        items(task, made.root)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_version_is_read_without_the_package_and_is_its_own(task):
    known = task.load.args[0]
    root = find(task, "fixture", True).root
    names = dict.fromkeys((known.split, *([known.shots_split] if known.shots_split else [])))
    loaded = load_task(known, {name: read_split(known, root, name) for name in names})
    assert task_version(known.path) == str(loaded.VERSION)
    assert task.version.endswith(f"task {loaded.VERSION}")


def test_there_is_a_label_for_every_choice():
    assert labels_of(3) == ("A", "B", "C")
    assert labels_of(28)[-3:] == ("Z", "27", "28")
