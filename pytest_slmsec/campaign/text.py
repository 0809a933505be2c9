"""What a campaign prints: a line a session, the end of a log, and the table of all scores."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.campaign.done import Done
from pytest_slmsec.campaign.plan import Session
from pytest_slmsec.campaign.run import Ended
from pytest_slmsec.core.wrap import counted, folded, shown
from pytest_slmsec.reports.page.numbers import UNKNOWN, score_text

LOG_LINES, LOG_BYTES = 12, 16_384
PERCENT = re.compile(rb"\[ *(\d+)%\]")
"""The share of test cases that pytest has reported: ``[ 42%]``."""


def duration(seconds: float) -> str:
    """``8 s``, ``3 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def ended_line(number: int, of: int, ended: Ended, left_s: float | None) -> str:
    """A session that has ended: how far the campaign is, what it was, how long it took, how long all others will."""
    width = len(str(of))
    how = "ok    " if ended.done else "FAILED"
    left = "" if left_s is None else f"; about {duration(left_s)} left"
    return f"[{number:{width}}/{of}] {how} {session_text(ended.session)} ({duration(ended.wall_s)}{left})"


def running_lines(running: Sequence[tuple[Session, float]]) -> list[str]:
    """The sessions that run, with the share that pytest has reported."""
    found = []
    for session, seconds in running:
        share = PERCENT.findall(_tail(session.file("log")))
        found.append(f"  running: {session_text(session)} ({int(share[-1]) if share else 0} %, {duration(seconds)})")
    return found


def session_text(session: Session) -> str:
    """A session in a few words."""
    return shown(f"{session.model}: {folded(session.benchmarks, 3)}")


def failure_lines(ended: Ended) -> list[str]:
    """Why a session is not complete, and the end of its log."""
    lines = _tail(ended.session.file("log")).decode("utf-8", "replace").splitlines()
    said = [f"    | {shown(line)}" for line in lines if line.strip()][-LOG_LINES:]
    why = f"  {status_text(ended.status)}; not measured whole: {', '.join(ended.lacks)}; the end of"
    return [why, f"  {ended.session.file('log')}:", *said]


def status_text(status: int) -> str:
    """``exit status 4``, or the signal that ended a process."""
    if status >= 0:
        return f"exit status {status}"
    return f"ended by {signal.Signals(-status).name}"


def _tail(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read()
    except OSError:
        return b""


def table(models: Sequence[str], done: Mapping[Session, Done], width: int) -> list[str]:
    """Scores of models x benchmarks, as many benchmarks side by side as fit, in lines of at most `width` columns.

    Benchmarks are named as in the records, where samples and our own items have names of their own; a dash is a
    benchmark that was not measured.
    """
    rows: dict[str, dict[str, dict[str, Any]]] = {model: {} for model in models}
    for session, one in done.items():
        rows[session.model].update({score["benchmark"]: score for score in one.scores})
    labels = list(dict.fromkeys(label for scores in rows.values() for label in scores))
    names = max(map(len, (*map(shown, models), "model")))
    lines: list[str] = []
    for part in _fitting(labels, width - names):
        lines += ["", f"{'model':{names}}" + "".join(f"  {shown(label)}" for label in part)]
        for model, scores in rows.items():
            cells = (_cell(scores.get(label)).rjust(len(shown(label))) for label in part)
            lines.append(f"{shown(model):{names}}" + "".join(f"  {cell}" for cell in cells))
    return lines


def _cell(score: Mapping[str, Any] | None) -> str:
    return UNKNOWN if score is None else score_text(score["score"], score)


def _fitting(labels: Sequence[str], width: int) -> list[list[str]]:
    """Labels in groups whose columns fit the width, at least one in each."""
    groups: list[list[str]] = []
    room = 0
    for label in labels:
        needed = len(shown(label)) + 2
        if not groups or needed > room:
            groups.append([])
            room = width
        groups[-1].append(label)
        room -= needed
    return groups


def total_line(n_sessions: int, failed: Sequence[Ended]) -> str:
    """How many sessions are complete."""
    complete = f"{n_sessions - len(failed):,} of {counted(n_sessions, 'session')} complete"
    return f"{complete}; {len(failed):,} failed" if failed else complete
