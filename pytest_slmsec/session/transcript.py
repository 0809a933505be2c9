"""``--slmsec-transcript``: every item as one JSON line."""

from __future__ import annotations

import json
from typing import Any, TextIO

from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.session.state import SessionState


class Transcript:
    """Writes the transcript in the main process, which under xdist is the only one that sees all answers."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._file: TextIO | None = None

    def pytest_sessionstart(self) -> None:
        """Open the file before anything runs, so that a bad path does not show up after an hour."""
        path = self._state.settings.transcript
        if path is None or self._state.is_worker or self._state.config.option.collectonly:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise usage_error(
                f"--slmsec-transcript={path}: cannot be written ({error.strerror}); name another file."
            ) from None

    def write(self, line: dict[str, Any]) -> None:
        """Append one item."""
        assert self._file is not None
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._file is not None:
            self._file.close()
