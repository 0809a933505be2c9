"""Transcripts of this project (``--slmsec-transcript``, `docs/records.md`): one JSON object a line and item."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.core.items import Output, Reply, Score
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import field, first_object, json_lines, shown

FORM = "a transcript (--slmsec-transcript)"
KEYS = {"group", "model", "item", "prompt", "score"}


def reads(path: Path) -> bool:
    """By the keys of its first line."""
    return path.suffix == ".jsonl" and first_object(path).keys() >= KEYS


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    groups: dict[tuple[str, str], list[Recorded]] = {}
    decoding: dict[tuple[str, str], Mapping[str, Any]] = {}
    for number, line in json_lines(path):
        where = f"{path}, {number}"
        key = field(line, "group", str, where), field(line, "model", str, where)
        groups.setdefault(key, []).append(_answer(number, line, where))
        decoding[key] = field(line, "decoding", dict, where) if "decoding" in line else {}
    return [
        Recording(
            path,
            task_of(label),
            tuple(answers),
            model=model,
            decoding=decoding[label, model],
            label=label,
            source="fixture" if "@fixture" in label else None,
            mode="official" if label.endswith("~official") else "strict",
        )
        for (label, model), answers in groups.items()
    ]


def task_of(label: str) -> str:
    """The task of a label: ``cti-mcq`` of ``cti-mcq@fixture~official``."""
    return re.split("[@~]", label, maxsplit=1)[0]


def _answer(number: str, line: Mapping[str, Any], where: str) -> Recorded:
    error = field(line, "error", (str, type(None)), where)
    output = Output(
        text=field(line, "text", (str, type(None)), where),
        choice_logprobs=_numbers(line, "logprobs", where),
        choice_scores=_numbers(line, "choice_scores", where, gaps=True),
        prompt_tokens=_count(line, "prompt_tokens", where),
        new_tokens=_count(line, "new_tokens", where),
        hit_limit=field(line, "hit_limit", bool, where),
        thought=field(line, "thought", (str, type(None)), where) if "thought" in line else None,
        thought_tokens=_count(line, "thought_tokens", where) if "thought_tokens" in line else 0,
        error=None if error is None else f"recorded as an error: {error}",
        replies=_replies(line, where),
        seconds=field(line, "seconds", (float, int, type(None)), where) if "seconds" in line else None,
    )
    return Recorded(
        number,
        output,
        item=field(line, "item", str, where),
        prompt=field(line, "prompt", str, where),
        system=field(line, "system", (str, type(None)), where) if "system" in line else None,
        choices=tuple(field(line, "choices", list, where)) if "choices" in line else None,
        sha256=field(line, "item_sha256", str, where) if "item_sha256" in line else None,
        gold=field(line, "gold", str, where),
        score=score_of(field(line, "score", (dict, type(None)), where), where),
    )


def score_of(value: Mapping[str, Any] | None, where: str) -> Score | None:
    """A stored score.

    Raises:
        ReplayError: it is none.
    """
    if value is None:
        return None
    number = field(value, "value", (float, int), where)
    if not math.isfinite(number):
        raise ReplayError(f"{where}: the score is {number}, not a finite number.")
    parsed, correct = (field(value, key, bool, where) for key in ("parsed", "correct"))
    extracted = field(value, "extracted", (str, type(None)), where)
    return Score(float(number), parsed, correct, extracted, dict(field(value, "parts", dict, where)))


def _numbers(line: Mapping[str, Any], key: str, where: str, gaps: bool = False) -> Any:
    values = field(line, key, (list, type(None)), where) if key in line else None
    if values is None:
        return None
    for value in values:
        if not (gaps and value is None) and (not isinstance(value, (int, float)) or not math.isfinite(value)):
            raise ReplayError(f"{where}: {key!r} holds {shown(value)}, not a finite number.")
    return tuple(None if value is None else float(value) for value in values)


def _count(line: Mapping[str, Any], key: str, where: str) -> int | None:
    return field(line, key, (int, type(None)), where) if key in line else None


def _replies(line: Mapping[str, Any], where: str) -> tuple[Reply, ...]:
    try:
        return tuple(Reply(**reply) for reply in line.get("replies") or ())
    except TypeError as error:
        raise ReplayError(f"{where}: 'replies' is not what this version writes ({error}).") from error
