"""What is kept of a session that measured everything it was asked: a small file beside its record, so that a campaign
that goes on does not read the records of all others."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_slmsec.campaign.plan import Session
from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.saved_runs import read_runs
from pytest_slmsec.reports.page.rows import cost_row, score_row

DONE, RECORD = "done.json", "json"


@dataclass(frozen=True, slots=True)
class Done:
    """A session whose record is complete.

    Attributes:
        arguments: those of pytest. slot: which of the sessions that ran side by side it was, from 0.
        wall_s, cpu_s: seconds that its process took; processor seconds of the system included.
        scores: a row a benchmark (`reports.page.rows.score_row`). load_s: of the model; None: not known.
    """

    arguments: tuple[str, ...]
    slot: int
    wall_s: float
    cpu_s: float
    load_s: float | None
    scores: tuple[dict[str, Any], ...]


def missing(session: Session, runs: Sequence[BenchmarkRun]) -> list[str]:
    """The benchmarks of a session that a record does not hold whole; records hold whole benchmarks only."""
    found = {str(run.facts.get("task") or run.benchmark) for run in runs}
    return [name for name in session.benchmarks if name not in found]


def recorded_runs(path: Path) -> list[BenchmarkRun]:
    """The whole benchmarks in the record of a session; none where there is no record, or a damaged one."""
    try:
        return read_runs(path) if path.is_file() and path.stat().st_size else []
    except CompareError:
        return []


def read_done(session: Session) -> Done | None:
    """What is known of a session, or None: it did not measure everything yet, or was asked otherwise."""
    try:
        plain = json.loads(session.file(DONE).read_text("utf-8"))
        done = Done(**plain | {"arguments": tuple(plain["arguments"]), "scores": tuple(plain["scores"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return done if done.arguments == session.arguments and session.file(RECORD).is_file() else None


def write_done(session: Session, runs: Sequence[BenchmarkRun], slot: int, wall_s: float, cpu_s: float) -> Done:
    """Store that the record of a session is complete."""
    loads = [seconds for run in runs if (seconds := cost_row(run)["load_s"]) is not None]
    scores = tuple(score_row(run) for run in runs)
    done = Done(session.arguments, slot, wall_s, cpu_s, max(loads, default=None), scores)
    part = session.file(f"{DONE}.part")
    part.write_text(json.dumps(asdict(done), indent=1) + "\n", "utf-8")
    os.replace(part, session.file(DONE))
    return done
