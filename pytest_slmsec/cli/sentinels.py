"""``slmsec sentinels RUN``: signs that the numbers of a stored run are wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.wrap import for_stderr
from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path
from pytest_slmsec.replay import benchmark_json
from pytest_slmsec.reports.sentinels import evidence_of_run, look, tell

FOUND, UNUSABLE = 1, 3
"""Exit statuses of the command."""


def look_at_stored(run: str, root: Path, data: str | None) -> int:
    """``slmsec sentinels RUN``: print what the sentinels find in a stored run.

    Args:
        run: a file of --benchmark-json, its number, or a recorded run. root: folder whose storage counts.
        data: folder of the published files, for recorded runs.

    Returns:
        Exit status: 0 no sentinel fires, 1 one does, 3 the run cannot be read (with a sentence).
    """
    try:
        path = root / Path(run).expanduser()
        stored = not path.exists() or benchmark_json.reads(path)
        data = data or os.environ.get("SLMSEC_DATA")
        runs = read_runs(stored_path(run, root)) if stored else read_recorded(path, data)
        bases = {run.model: str(run.facts["base"]) for run in runs if run.facts.get("quant")}
        findings = look([evidence_of_run(run) for run in runs], bases)
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return UNUSABLE
    looked_at = f"{len(runs)} group{'s' * (len(runs) != 1)}"
    print("\n".join(tell(findings)) if findings else f"No sentinel fires on the {looked_at} of {run}.")
    return FOUND if findings else 0
