"""The verdicts of a comparison as files: numbers as JSON, changed items as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.flips import flips


def write_results(judgements: Sequence[Judgement], json_file: Path | None, flips_file: Path | None) -> None:
    """Write verdicts as one JSON object, and the items that changed as JSON lines (ASCII only).

    Raises:
        CompareError: a file cannot be written.
    """
    if json_file is not None:
        content = {"format": 1, "judgements": [judgement.to_json() for judgement in judgements]}
        _write(json_file, json.dumps(content, indent=1, allow_nan=False) + "\n")
    if flips_file is not None:
        lines = [
            json.dumps({"base": judgement.base, "candidate": judgement.candidate, **flip})
            for judgement in judgements for found in judgement.pairs for flip in flips(found)
        ]  # fmt: skip
        _write(flips_file, "".join(line + "\n" for line in lines))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror or error}.") from error
