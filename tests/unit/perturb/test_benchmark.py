"""A benchmark of variants."""

import pytest

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.benchmark import clean_label, perturbed, robust_label, robust_task, why_not
from pytest_slmsec.perturb.wanted import Wanted
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

ITEMS = [Item(f"own-{n}", f"Which protocol has the port {n}?", "tcp") for n in range(1, 5)]
OWN = Task("own", score_exact, ACCURACY, ITEMS)


def test_variants_of_a_sample_under_a_name_of_their_own():
    data = perturbed(find(OWN, None, False), (Wanted("typo", 1), Wanted("defang", 1)), (0, 2))
    assert data.label == "own+robust"
    assert data.task.name == "own+robust"
    assert data.ids == ["own-1#typo1", "own-3#typo1"]
    assert data.facts_of_variants() == {
        "kinds": {"typo": 2},
        "unchanged": {},
        "left_out": {"defang": "none of the 2 items can be changed so"},
    }


def test_labels_keep_what_stands_behind_the_name():
    assert robust_label("cti-mcq@fixture@100~official", "cti-mcq") == "cti-mcq+robust@fixture@100~official"
    assert clean_label("cti-mcq+robust@fixture@100", "cti-mcq+robust") == "cti-mcq@fixture@100"


def test_no_variants_at_all_is_one_sentence():
    data = perturbed(find(OWN, None, False), (Wanted("defang"), Wanted("options")), (0, 1, 2, 3))
    with pytest.raises(DataUnavailable) as caught:
        _ = data.ids
    assert str(caught.value) == (
        "own has no variants for --slmsec-perturb (defang: none of the 4 items can be changed so; "
        "options: none of the 4 items can be changed so)."
    )


def test_kinds_that_a_benchmark_does_not_allow():
    assert why_not(find_task("cti-mcq"), "inject") is None
    assert why_not(find_task("cti-mcq-choice"), "inject") == "no text is generated in which a canary could stand"
    assert why_not(find_task("prompt-injection-canary"), "inject") == "the benchmark does not allow it"
    assert why_not(Task("own", score_exact, ACCURACY, ITEMS, perturb=("typo",)), "case") is not None


def test_the_scorer_of_variants_has_a_version_of_its_own():
    assert robust_task(OWN).version == f"{OWN.version}.1"
    assert robust_task(OWN) is robust_task(OWN)
