"""``cti-TASK-responses.tsv`` of CTIBench (repository `xashru/cti-bench`, folder ``evaluation/responses``): the column
``GT`` and a column of extracted answers for each model, rows in the order of the published items.

Prompts, tokens and times are not recorded.
"""

from __future__ import annotations

from pathlib import Path

from pytest_slmsec.core.errors import DataError, DataUnavailable, ReplayError
from pytest_slmsec.core.items import Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.tasks.tsv import read_tsv

FORM = "TASK-responses.tsv"
RESPONSES = "-responses.tsv"
GOLD = "GT"


def reads(path: Path) -> bool:
    """By its name."""
    return path.name.endswith(RESPONSES)


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    try:
        rows = read_tsv(path, (GOLD,))
    except (DataError, DataUnavailable) as error:
        raise ReplayError(str(error)) from error
    models = [column for column in rows[0] if column != GOLD]
    if not models:
        raise ReplayError(f"{path} has no column of answers beside {GOLD!r}.")
    task = path.name.removesuffix(RESPONSES)
    return [
        Recording(
            path,
            task,
            tuple(
                Recorded(
                    f"row {number}",
                    Output(row[model], prompt_tokens=None, new_tokens=None),
                    row=number,
                    gold=row[GOLD],
                )
                for number, row in enumerate(rows, 1)
            ),
            model=model,
            rows=range(1, len(rows) + 1),
        )
        for model in models
    ]
