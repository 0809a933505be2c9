"""Result files of SEvenLLM (repository `CSJianYang/SEevenLLM`): one JSON object a line, the published item with the
model's answer in ``output``. They lack the field ``task``; the id is the line of the published file, from 1.

``output`` of an extraction item may be a JSON object; it is handed on as JSON text, as a model would write it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.core.items import Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import field, first_object, json_lines

FORM = "a result file of SEvenLLM"
KEYS = {"id", "instruction", "input", "output"}


def reads(path: Path) -> bool:
    """By the keys of its first line."""
    return path.suffix == ".jsonl" and first_object(path).keys() >= KEYS


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    answers = tuple(_answer(number, line, f"{path}, {number}") for number, line in json_lines(path))
    return [Recording(path, "sevenllm-*", answers)]


def _text(answer: Any) -> str:
    """An answer as a model would write it: a structure as JSON, null as nothing."""
    if isinstance(answer, str):
        return answer
    return "" if answer is None else json.dumps(answer, ensure_ascii=False)


def _answer(number: str, line: Mapping[str, Any], where: str) -> Recorded:
    row, answer = field(line, "id", int, where), field(line, "output", (str, dict, list, type(None)), where)
    if row < 1:
        raise ReplayError(f"{where}: the id {row} is not of the form 1, 2, 3.")
    text = _text(answer)
    asked = [line.get(key) for key in ("instruction", "input")]
    holds = tuple(value for value in asked if isinstance(value, str))
    return Recorded(f"{number} (id {row})", Output(text, prompt_tokens=None, new_tokens=None), row=row, holds=holds)
