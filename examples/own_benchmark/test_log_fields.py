"""A benchmark of one's own: which value does a log line give for a field?"""

import json
from pathlib import Path

import pytest

from pytest_slmsec import Item, Score, Task
from pytest_slmsec.scoring.metrics import ACCURACY

QUESTION = "Which {field} does this log line name? Answer with the value only.\n{line}"


def read_items():
    """One item for each line of items.jsonl."""
    rows = map(json.loads, Path(__file__).with_name("items.jsonl").read_text("utf-8").splitlines())
    return [Item(row["id"], QUESTION.format_map(row), gold=row["value"]) for row in rows]


def score_value(item, output, mode):
    """Right if the first line of the answer is the value; quotes and a full stop at its end do not count.

    A scorer must return a `Score` for every text that a model may write. `parsed` is False where there is no answer to
    read at all.
    """
    lines = (output.text or "").strip().splitlines()
    said = lines[0].strip().strip("\"'`").rstrip(".") if lines else ""
    correct = said.casefold() == item.gold.casefold()
    return Score(float(correct), parsed=bool(said), correct=correct, extracted=said or None)


@pytest.mark.slmsec_gate(max_drop="10pt")
@pytest.mark.slmsec(Task("log-fields", score_value, ACCURACY, read_items(), max_new_tokens=24))
def test_log_fields(answer):
    assert answer.error is None
