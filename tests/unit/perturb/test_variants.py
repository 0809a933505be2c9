"""Variants of our own items of every benchmark: right answers stay right, and what must stay stands there."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import VARIANT, Item, Output
from pytest_slmsec.perturb.benchmark import robust_task, why_not
from pytest_slmsec.perturb.protected import gold_strings, ground_of
from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span
from pytest_slmsec.perturb.variants import seed_of, variant, variants
from pytest_slmsec.perturb.wanted import KINDS, Wanted
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.log_answers import REFUSAL
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import find


@cache
def items_of(name):
    return find(tasks()[name], "fixture", True).items


@cache
def with_items():
    """Benchmarks of which we have items."""
    found = []
    for name in tasks():
        try:
            found += [name] if items_of(name) else []
        except DataUnavailable:
            continue
    return found


def right_outputs(item):
    """Answers of which one is right under the scorer of most benchmarks."""
    if item.choices:
        best = set(item.gold.split(", "))
        yield Output(choice_logprobs=tuple(0.0 if label in best else -99.0 for label in item.labels))
        return
    letters = [letter for letter in item.gold if letter.isalpha()]
    texts = [item.gold, f"Answer: {item.gold}", f"ANSWER: {item.gold}", json.dumps({"correct_answers": letters}),
             f"Threat Type: {item.gold}", f"#### {item.gold.rpartition('#### ')[2]}", REFUSAL,
             "Here it is: print(1)"]  # fmt: skip
    try:
        texts.append(_facts(json.loads(item.gold)))
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    yield from (Output(text=text) for text in texts)


def _facts(gold):
    facts = ". ".join(group[0] for group in gold.get("cause", gold.get("facts", [])))
    steps = [step if isinstance(step[0], str) else step[0] for step in gold.get("steps", [])]
    return f"Cause - {facts}. Remediation - " + " ".join(f"{n}. {' '.join(step)}." for n, step in enumerate(steps, 1))


def right_places(name, item):
    """Which of these answers are right."""
    task = robust_task(tasks()[name])
    known = item if VARIANT in item.meta else replace(item, meta={**item.meta, VARIANT: {}})
    return [task.scorer(known, output, Mode.STRICT).correct for output in right_outputs(item)]


def test_nearly_all_benchmarks_have_a_right_answer_in_this_test():
    found = [name for name in with_items() if any(right_places(name, items_of(name)[0]))]
    assert len(found) >= 0.75 * len(with_items()), sorted(set(with_items()) - set(found))


CASES = st.tuples(st.sampled_from(with_items()), st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(1, 3))


@settings(max_examples=100, deadline=None)
@given(CASES)
def test_gold_stays_right_and_stays_in_the_text(drawn):
    name, place, kind, n = drawn
    task, item = tasks()[name], items_of(name)[place % len(items_of(name))]
    found = None if why_not(task, kind) else variant(item, Seed(item.id, kind, n), task.kept)
    if found is None:
        return
    assert found.id == f"{item.id}#{kind}{n}"
    assert seed_of(found.id) == Seed(item.id, kind, n)
    assert found.meta["cluster"] == (item.meta.get("cluster") or item.id)
    for same in ("system", "shots", "choices", "labels", "contexts"):
        assert getattr(found, same) == getattr(item, same)
    before, after = right_places(name, item), right_places(name, found)
    assert after == before or (kind == "options" and any(after) == any(before))
    for text in [*gold_strings(item), *task.kept]:
        if kind != "options" and not (kind == "template" and item.raw):  # which changes the header, not the question
            assert found.prompt.count(text) >= item.prompt.count(text) - _elsewhere(item, text), text


def _elsewhere(item, text):
    """How often a text stands in the prompt as a part of other words, which may change."""
    ground = ground_of(item, [text])
    assert ground is not None
    return sum(item.prompt.count(text, span.start, span.end) for span in ground.free)


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_what_is_protected_stands_there_in_the_same_order(drawn):
    name, place, kind, n = drawn
    item = items_of(name)[place % len(items_of(name))]
    ground = ground_of(item, tasks()[name].kept)
    found = variant(item, Seed(item.id, kind, n), tasks()[name].kept) if ground else None
    if found is None or kind in ("options", "defang", "template"):
        return
    at, kept = 0, [item.prompt[one.end : two.start] for one, two in _gaps(item, ground.free)]
    for text in kept:
        at = found.prompt.index(text, at) + len(text)


def _gaps(item, free):
    edges = [Span(0, 0), *free, Span(len(item.prompt), len(item.prompt))]
    return pairwise(edges)


def test_a_variant_that_equals_its_item_or_another_is_counted_and_not_asked():
    items = [Item("a", "Is 10.0.0.1 bad?", "yes"), Item("b", "Is that bad?", "yes")]
    found = variants(items, [Wanted("defang", 4)])
    assert [item.id for item in found.items] == ["a#defang1", "a#defang2", "a#defang3"]
    assert found.counts == {"defang": 3}
    assert found.unchanged == {"defang": 5}


def test_variants_come_item_by_item_and_in_the_order_of_the_kinds():
    items = [
        Item(name, "What does the attacker who sent this mail want from the staff today?", "money") for name in "xy"
    ]
    found = variants(items, [Wanted("typo", 2), Wanted("case")])
    assert [item.id for item in found.items] == ["x#typo1", "x#typo2", "x#case1", "y#typo1", "y#typo2", "y#case1"]


@pytest.mark.parametrize("name", ["cti-mcq-00001", "x#typo", "x#typo0", "x#rot131", "#typo1"])
def test_ids_that_name_no_variant(name):
    assert seed_of(name) is None


def test_the_bytes_of_a_text_are_pinned():
    """A change of any text is a change of `benchmark.VERSION`."""
    item = Item("cti-1", "The attacker sent a mail with a link to http://evil.example to the staff of the bank", "x")
    assert {kind: variant(item, Seed("cti-1", kind, 1)).prompt for kind in ("typo", "case", "space", "defang")} == {
        "typo": "The attacker sent a mali with a link to http://evil.example to the staff of the bank",
        "case": "The Attacker Sent A Mail With A Link To http://evil.example To The Staff Of The Bank",
        "space": "The attacker sent\ta  mail with a link to http://evil.example to the staff of\tthe bank",
        "defang": "The attacker sent a mail with a link to hxxp://evil[dot]example to the staff of the bank",
    }
