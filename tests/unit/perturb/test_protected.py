"""What of a prompt stays."""

import pytest

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.protected import gold_strings, ground_of
from pytest_slmsec.perturb.zones import zone


def free_of(item, kept=()):
    return [
        item.prompt[start:end].strip() for start, end in ground_of(item, kept).free if item.prompt[start:end].strip()
    ]


@pytest.mark.parametrize(
    ("prompt", "free"),
    [
        ("the weakness CWE-79 was found", ["the weakness", "was found"]),
        ("zone P<UTOHALE<<ILKA<<<< here", ["zone", "here"]),
        ("at 10.0.0.1 and evil.example now", ["at", "and", "now"]),
        ('give JSON like {"a": {"b": "word"}} back', ["give", "like", "back"]),
        ("write 'ANSWER: X' at the end", ["write", "at the end"]),
        ("Log: the disk failed", ["the disk failed"]),
        ("a reason, like this:\nAnswer: alpha beta\n\nrest", ["a reason, like this:", "rest"]),
        ("which one?\nA) alpha beta\nB) gamma\nsay it", ["which one?", "say it"]),
        ("open /etc/passwd or file_name or user=root", ["open", "or", "or"]),
    ],
)
def test_ids_options_forms_and_machine_readable_parts_stay(prompt, free):
    assert free_of(Item("i", prompt, "")) == free


def test_gold_strings_stay_whatever_their_case():
    item = Item("i", "the Lazarus group, or LAZARUS, took it", "Lazarus Group")
    assert free_of(item) == ["the", ", or", ", took it"]


def test_further_texts_stay():
    assert free_of(Item("i", "answer unanswerable if so", ""), ["unanswerable"]) == ["answer", "if so"]


@pytest.mark.parametrize(
    ("gold", "meta", "strings"),
    [
        ("A", {}, ["A"]),
        ('{"Malware": "GrayPike", "Paid": false, "Ways": ["RDP"]}', {}, ["GrayPike", "RDP"]),
        ('{"log": "the line itself", "cause": [["disk", "drive"]]}', {}, ["drive", "disk"]),
        ("session of <*> closed", {}, ["session of <*> closed", "session of", "session", "closed"]),
        ("1874", {"answers": ["1874", "in 1874"]}, ["in 1874", "1874"]),
    ],
)
def test_gold_strings_are_what_the_scorer_compares(gold, meta, strings):
    assert sorted(gold_strings(Item("i", "", gold, meta=meta))) == sorted(strings)


@pytest.mark.parametrize(
    ("item", "question"),
    [
        (Item("i", "all of it", "x"), "all of it"),
        (Item("i", "Question: old?\nAnswer: no\n\nQuestion: new one?\nAnswer:", "x", raw=True), "new one?"),
        (Item("i", "Head.\n\nold?\nA. x\nB. y\nAnswer: A\n\nnew?\nA. p\nB. q\nAnswer:", "A", raw=True), "new?"),
        (Item("i", "### Instruction:\nDo.\n\n### Input:\na text\n\n2\n\n### Response:", "x", raw=True), "a text\n\n2"),
        (Item("i", "Q: what?\nA:", "x", raw=True), "what?"),
        (Item("i", "Say. Which? Say. Which? A) x", "A", question=" Which? "), "Which?"),
    ],
)  # fmt: skip
def test_the_question_is_what_may_change(item, question):
    start, end = zone(item)
    assert item.prompt[start:end] == question
    assert item.prompt.rindex(question) == start


@pytest.mark.parametrize(
    "item",
    [
        Item("i", "", "A", raw=True, contexts=("one", "two")),
        Item("i", "another text", "A", question="Which?"),
        Item("i", "### Instruction:\nDo.\n\n### Response:", "x", raw=True),
    ],
    ids=["a context for each option", "question not in the prompt", "no input"],
)
def test_where_nothing_may_change(item):
    assert zone(item) is None
    assert ground_of(item) is None
