"""``slmsec compare BASE CANDIDATE``: the verdict on two stored runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.config.files import read_gate
from pytest_slmsec.core.errors import CompareError, SlmsecError
from pytest_slmsec.core.wrap import columns, for_stderr
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Rescore
from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gating.score_check import Rescorer
from pytest_slmsec.perturb.benchmark import with_variants
from pytest_slmsec.replay import benchmark_json
from pytest_slmsec.replay.registry import CHOOSE
from pytest_slmsec.reports.gate.json_files import write_results
from pytest_slmsec.reports.gate.text import report
from pytest_slmsec.tasks.registry import tasks


def compare(
    base: str, candidate: str, root: Path, *, preset: str | None = None, data: str | None = None,
    json_file: Path | None = None, flips_file: Path | None = None, verbose: bool = False,
) -> int:  # fmt: skip
    """Judge a candidate against its base from two stored runs; print the verdict and write the requested files.

    Args:
        base, candidate: a file of ours, its number in the storage, or a recorded run; ``FILE::MODEL`` chooses a model.
        root: folder whose configuration and storage count.
        verbose: show every gate, losses by category, and variants by kind.

    Returns:
        Exit status: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 ERROR. An unusable input is an ERROR with a sentence on why.
    """
    try:
        judgement = _judged(base, candidate, root, preset, data or os.environ.get("SLMSEC_DATA") or None)
        print(report(judgement, columns(), verbose))
        write_results([judgement], json_file, flips_file)
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return Verdict.ERROR.exit_code
    return judgement.verdict.exit_code


def _judged(base: str, candidate: str, root: Path, preset: str | None, data: str | None) -> Judgement:
    runs = [read_side(side, root, data) for side in (base, candidate)]
    rescore = rescorer_of([*runs[0], *runs[1]], data)
    return judged_runs(runs[0], runs[1], read_gate(root, preset), rescore, date.today())


def judged_runs(
    bases: Sequence[BenchmarkRun],
    candidates: Sequence[BenchmarkRun],
    config: GateConfig,
    rescore: Rescore | None,
    day: date,
) -> Judgement:  # fmt: skip
    """The verdict on the runs of one model against those of its base.

    `rescore`: None: what is stored was scored just now. `day`: a changed margin whose date lies before it becomes a
    warning.

    Raises:
        CompareError: they have no benchmark in common. UsageError: the configuration does not fit the benchmarks.
    """
    config.check_benchmarks({*with_variants(tasks()), *(run.benchmark for run in (*bases, *candidates))})
    return judge(bases, candidates, config, day, rescore)


def rescorer_of(runs: Sequence[BenchmarkRun], data: str | None) -> Rescore:
    """Scores what is stored again, each run once; what was scored just now (recorded answers) is not."""
    files = {run.where for run in runs}
    scored_now = {where for where in files if not benchmark_json.reads(Path(where))}
    rescorer = cache(Rescorer(data))
    return lambda run: [] if run.where in scored_now else rescorer(run)


def read_side(text: str, root: Path, data: str | None) -> list[BenchmarkRun]:
    """All runs of one model.

    Raises:
        CompareError: several models and none chosen, or the chosen one is not there, or the file cannot be used.
    """
    name, _, model = text.rpartition(CHOOSE) if CHOOSE in text else (text, "", "")
    path = root / Path(name).expanduser()
    if path.exists() and not benchmark_json.reads(path):
        return read_recorded(path, data, model or None)
    return choose(read_runs(stored_path(name, root)), model or None, name)


def choose(runs: Sequence[BenchmarkRun], model: str | None, where: str) -> list[BenchmarkRun]:
    """The runs of `model`; without a name, those of the only model in the file.

    Raises:
        CompareError: there is no such model, or several.
    """
    models = list(dict.fromkeys(run.model for run in runs))
    if model is None and len(models) > 1:
        raise CompareError(f"{where} holds {len(models)} models ({', '.join(models)}): choose one, for example "
                           f"{where}{CHOOSE}{models[0]}.")  # fmt: skip
    chosen = [run for run in runs if model in (None, run.model)]
    if not chosen:
        raise CompareError(f"{where} holds no model {model!r}; it holds {', '.join(models)}.")
    return chosen
