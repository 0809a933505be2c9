"""``TASK-scored.jsonl`` of AthenaBench (repository `Athena-Software-Group/athenabench`, ``runs-mini/ORG/MODEL``): one
JSON object ``{id, prompt, response, prediction, answer, score, success}`` a line. The id is that of the full benchmark,
so items are found by their prompts. A response that begins with "Error generating response" is no answer.

Tokens and times are not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.items import Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import field, json_lines, shown
from pytest_slmsec.scoring.error_text import error_text

FORM = "TASK-scored.jsonl of AthenaBench"
# "MCQ3k-scored.jsonl": the full benchmark calls its 3000 questions so, and the mini one kept the name; later "CKT".
NAME = re.compile(r"(MCQ|CKT|ATE|RCM|RMS|VSP|TAA)(?:-?3k)?-scored\.jsonl", re.I)
LATER = {"ckt": "mcq"}
"""Names of later releases."""


def reads(path: Path) -> bool:
    """By its name."""
    return NAME.fullmatch(path.name) is not None


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    found = NAME.fullmatch(path.name)
    assert found is not None
    answers = tuple(_answer(number, line, f"{path}, {number}") for number, line in json_lines(path))
    kind = found[1].lower()
    return [Recording(path, f"athena-{LATER.get(kind, kind)}", answers, model=path.resolve().parent.name)]


def _answer(number: str, line: Mapping[str, Any], where: str) -> Recorded:
    prompt, text = field(line, "prompt", str, where), field(line, "response", str, where)
    gold = field(line, "answer", str, where) if "answer" in line else None
    failed = f"recorded as an error: {shown(text)}" if error_text(text) else None
    output = Output(text, prompt_tokens=None, new_tokens=None, error=failed)
    return Recorded(number, output, prompt=prompt, gold=gold)
