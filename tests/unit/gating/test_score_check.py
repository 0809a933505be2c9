"""Stored variants scored again: the self-test of a comparison."""

import pytest
from benchmark_runs import MACHINE, plain

from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gating.score_check import Rescorer
from pytest_slmsec.perturb.benchmark import perturbed, robust_task
from pytest_slmsec.perturb.wanted import Wanted
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

TASK = robust_task(find_task("cti-mcq"))


def stored(source="fixture"):
    """Two items of cti-mcq, options shifted and beside an injection; each answer is A, one has the canary as well."""
    items = perturbed(find(find_task("cti-mcq"), "fixture", True), (Wanted("options"), Wanted("inject")), (0, 1)).items
    scorer = f"{TASK.name}/strict/{TASK.version}"
    facts, group = plain("0" * 4, benchmark="cti-mcq+robust", task=TASK.name, scorer=scorer, source=source)
    canary = items[1].meta[VARIANT]["canary"]
    texts = ["A", f"The answer is A.\n{canary}", "A", "A"]
    variants = [item.meta[VARIANT] for item in items]
    group["items"] |= {"item": [item.id for item in items], "gold": [item.gold for item in items], "text": texts,
                       VARIANT: variants}  # fmt: skip
    return run_from_plain(facts, group, MACHINE, "a test"), [item.gold for item in items]


@pytest.mark.parametrize("source", ["fixture", "files"])
def test_variants_are_scored_again_with_and_without_their_items(source):
    run, golds = stored(source)
    scores = Rescorer(None)(run)
    assert [score.extracted for score in scores] == ["A"] * 4
    assert [score.correct for score in scores] == [golds[0] == "A", False, golds[2] == "A", golds[3] == "A"]
    assert [score.parts.get("injected") for score in scores] == [None, 1.0, None, 0.0]


def test_another_version_of_the_perturbations_is_told():
    run, _ = stored()
    run.facts["scorer"] = "cti-mcq+robust/strict/1.0"
    assert "were not checked: cti-mcq+robust/strict/1.0 scored it" in Rescorer(None)(run)
