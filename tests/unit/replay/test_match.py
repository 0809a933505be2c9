"""Recorded answers find their items, and what was asked is checked, never assumed."""

from pathlib import Path

import pytest

from pytest_slmsec.core.errors import DataUnavailable, ReplayError
from pytest_slmsec.core.identity import item_key
from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.match import Asked, match, part_label
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.sources import Dataset

ITEMS = [
    Item(f"ports-{n:05d}", f"Which  port is {n}?", "A", system="Be brief.", meta={"id": n + 50}) for n in range(1, 6)
]
DATASET = Dataset(Task("ports", score_exact, ACCURACY, ITEMS), "own")


def recording(*answers, benchmark="ports", **more):
    return Recording(Path("ports.outputs.json"), benchmark, answers, **more)


def answer(row=None, text="A", error=None, **more):
    return Recorded(f"record {row}", Output(text, error=error), row=row, **more)


def known(*answers, **more):
    replayed = match(recording(*answers, **more), "ports", DATASET)
    return replayed, replayed.known([ITEMS[position] for position in replayed.positions])


def test_rows_and_ids_name_the_same_items():
    by_row, _ = known(answer(2), answer(4))
    by_id, _ = known(answer(item="ports-00002"), answer(item="ports-00004"))
    assert by_row.positions == by_id.positions == (1, 3)
    assert part_label(DATASET, by_row) == "ports@2rows"


def test_all_rows_have_the_label_of_the_whole():
    replayed, _ = known(*(answer(row) for row in range(1, 6)))
    assert part_label(DATASET, replayed) == "ports"


def test_a_sample_of_ours_keeps_its_label_only_with_its_items():
    from pytest_slmsec.tasks.sources import Limit

    rows = [position + 1 for position in Limit(2, 7).positions(5)]
    sampled, _ = known(*map(answer, rows), label="ports@2:7~official")
    assert part_label(DATASET, sampled) == "ports@2:7"
    others, _ = known(*map(answer, sorted({1, 2, 3, 4, 5} - set(rows))[:2]), label="ports@2:7~official")
    assert part_label(DATASET, others) == "ports@2rows"


def test_a_missing_item_is_an_error_of_its_own():
    replayed, items = known(answer(1), answer(3), rows=range(1, 5))
    assert replayed.positions == (0, 1, 2, 3)
    outputs = [replayed.request(one.item).output for one in items]
    assert [output.error for output in outputs] == [
        None, "ports-00002: ports.outputs.json holds no answer to it", None,
        "ports-00004: ports.outputs.json holds no answer to it",
    ]  # fmt: skip
    assert replayed.notes(items)[-1] == "2 items have no recorded answer (ports-00002, ports-00004)"


def test_a_recorded_error_stays_one():
    replayed, items = known(answer(1), answer(2, error="recorded as an error: no memory"))
    assert replayed.request(items[1].item).output.error == "ports-00002: recorded as an error: no memory"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([answer(1), answer(1)], r"1 items occur twice \(ports-00001\)"),
        ([answer(1), answer(item="ports-00001")], r"1 items occur twice \(ports-00001\)"),
        ([answer(6)], "record 6: ports has 5 items and no row 6 here"),
        ([answer(item="posts-00001")], "ports has no item 'posts-00001' here"),
        ([answer(1, error="broken"), answer(2, error="broken")], "all 2 answers are errors and no answers"),
    ],
)
def test_what_cannot_be_matched_is_named(answers, message):
    with pytest.raises(ReplayError, match=message):
        known(*answers)


def test_the_same_prompt_up_to_blanks_has_an_identity_of_its_own():
    _, (plain, wrapped) = known(
        answer(1, prompt="Which port is 1?"), answer(2, prompt="[INST] Which port is 2? [/INST]")
    )
    assert plain.asked is wrapped.asked is Asked.KNOWN
    assert wrapped.item.prompt == "[INST] Which port is 2? [/INST]"
    assert wrapped.item.system is None
    assert wrapped.sha256 not in (item_key(ITEMS[1]), item_key(wrapped.item))


def test_without_a_prompt_the_identity_says_so_too():
    _, (first, second) = known(answer(1), answer(2))
    assert first.asked is Asked.UNKNOWN
    assert first.item == ITEMS[0]
    assert len({first.sha256, second.sha256, item_key(ITEMS[0])}) == 3


def test_our_own_identity_makes_it_the_item_itself():
    _, (one,) = known(answer(3, prompt=ITEMS[2].prompt, system=ITEMS[2].system, sha256=item_key(ITEMS[2])[:16]))
    assert (one.asked, one.item, one.sha256) == (Asked.SAME, ITEMS[2], item_key(ITEMS[2]))


def test_a_replay_of_a_replay_keeps_the_identity():
    _, (once,) = known(answer(1, prompt="[INST] Which port is 1? [/INST]"))
    _, (twice,) = known(answer(1, prompt=once.item.prompt, system=once.item.system, sha256=once.sha256))
    assert (twice.sha256, twice.asked) == (once.sha256, Asked.KNOWN)


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": "Which port is 3?"},
        {"sha256": "0123456789abcdef"},
        {"holds": ("Which port is 3?",)},
    ],
)
def test_rows_that_are_shifted_are_refused(more):
    with pytest.raises(ReplayError, match=r"1 prompts are not those of the items \(record 2\)"):
        known(answer(1), answer(2, **more))


def test_a_file_of_several_benchmarks_goes_by_its_own_numbers():
    replayed, _ = known(answer(51), answer(55), answer(900), benchmark="po*")
    assert replayed.positions == (0, 1, 2, 3, 4)
    assert sorted(replayed.answers) == ["ports-00001", "ports-00005"]
    with pytest.raises(DataUnavailable, match="holds no recorded answers to ports"):
        known(answer(900), benchmark="po*")


def test_raw_items_that_were_asked_word_for_word_are_the_items():
    raw = [Item("raw-00001", "Q: 1?\nA:", "x", raw=True)]
    dataset = Dataset(Task("raw", score_exact, ACCURACY, raw), "own")
    same = match(recording(answer(1, prompt="Q: 1?\nA:", raw=True)), "raw", dataset).known(raw)[0]
    chat = match(recording(answer(1, prompt="<user>Q: 1?\nA:", raw=True)), "raw", dataset).known(raw)[0]
    assert (same.asked, same.sha256) == (Asked.SAME, item_key(raw[0]))
    assert chat.asked is Asked.KNOWN


def test_ids_that_are_no_positions_are_matched_by_their_prompts():
    replayed, items = known(
        answer(item="a7f3", prompt="Which port is 4?"), answer(item="zz", prompt="[INST] Which port is 2? [/INST]"),
        answer(77, prompt="Which port is 1?"), answer(3, prompt="Which port is 5?"),
    )  # fmt: skip
    assert replayed.positions == (0, 1, 3, 4)
    assert {name: one.where for name, one in replayed.answers.items()} == {
        "ports-00004": "record None", "ports-00002": "record None", "ports-00001": "record 77",
        "ports-00005": "record 3",
    }  # fmt: skip
    assert {one.asked for one in items} == {Asked.KNOWN}


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        (["Which port is 9?"], "record 77: ports has 5 items and no row 77 here, and no item has its prompt"),
        (["Which port is 1? Which port is 2?"], "no row 77 here, and 2 items have its prompt"),
        (["Which port is 1?", "Which port is 1?"], r"1 items occur twice \(ports-00001\)"),
    ],
)
def test_a_prompt_that_is_not_unique_is_refused(prompts, says):
    with pytest.raises(ReplayError, match=says):
        known(*(answer(77, prompt=prompt) for prompt in prompts))
