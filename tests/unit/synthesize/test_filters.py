"""What is left out: copies, overlaps with benchmarks, lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.synthesize.filters import DUPLICATE, NEAR_DUPLICATE, Benchmarks, Duplicates, length_problem
from pytest_slmsec.tasks.registry import find_task

LONG = "How does an analyst tell a spear phishing mail from an ordinary newsletter of the same sender"


@pytest.mark.parametrize(("later", "reason"), [
    (LONG, DUPLICATE), (LONG.upper() + "?!", DUPLICATE), (f"{LONG} in the evening", NEAR_DUPLICATE),
    (LONG.replace("newsletter", "circular"), NEAR_DUPLICATE), ("How does an analyst read a mail header", None),
    ("Which port does SSH use by default, and why should an administrator think of another one", None),
])  # fmt: skip
def test_copies_of_an_earlier_text_are_found(later, reason):
    duplicates = Duplicates(0.4)
    assert duplicates.find(LONG) is None
    found = duplicates.find(later)
    assert (found[0] if found else None) == reason
    assert found is None or found[1] == LONG


def test_a_share_of_one_takes_texts_that_hold_an_earlier_one_whole():
    duplicates = Duplicates(1.0)
    duplicates.find(LONG)
    assert duplicates.find(LONG.replace("newsletter", "circular")) is None
    assert duplicates.find(f"Tell me this: {LONG}")[0] == NEAR_DUPLICATE


@given(st.lists(st.text("ab ", max_size=30), max_size=12), st.floats(0.05, 1))
def test_texts_that_are_kept_all_differ_in_their_words(texts, share):
    duplicates = Duplicates(share)
    kept = [text for text in texts if duplicates.find(text) is None]
    assert len({tuple(text.split()) for text in kept}) == len(kept)


def test_lengths_are_counted_in_words():
    assert length_problem("one two three", 3, 3) is None
    assert length_problem("one, two", 3, 9) == "2 words, fewer than 3"
    assert length_problem("a b c d", 1, 3) == "4 words, more than 3"


def test_items_of_benchmarks_are_kept_out():
    items = find_task("cti-mcq").load(fixtures_dir() / "data")
    benchmarks = Benchmarks(["cti-mcq"], None)
    texts = ["Which port does SSH use?", items[3].prompt, f"Please tell me: {items[5].prompt} Thank you."]
    held = benchmarks.held_by(texts)
    assert held == {1: items[3].id, 2: items[5].id}
    assert benchmarks.checked == ["cti-mcq@fixture"]
    assert set(benchmarks.unchecked) == {"cti-mcq"}


def test_files_that_lack_a_benchmark_are_told(tmp_path):
    benchmarks = Benchmarks(["cti-mcq", "cti-rcm"], str(tmp_path))
    assert set(benchmarks.unchecked) == {"cti-mcq", "cti-rcm"}
    assert all(reason != "" for reason in benchmarks.unchecked.values())
    assert benchmarks.checked == ["cti-mcq@fixture", "cti-rcm@fixture"]
