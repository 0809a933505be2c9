"""``slmsec arena FILE``: ratings of models from recorded verdicts on pairs of their answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.core.errors import CompareError, SlmsecError, UsageError
from pytest_slmsec.core.wrap import counted, for_stderr, shown
from pytest_slmsec.gates.records.pair_verdicts import verdicts_of_run
from pytest_slmsec.gates.records.saved_runs import read_runs
from pytest_slmsec.gates.statistics.bradley_terry import (
    Rating,
    Verdict,
    bradley_terry,
    elo,
    first_position,
    tallies,
)
from pytest_slmsec.gates.statistics.judge_habits import Judged
from pytest_slmsec.gates.statistics.judged_pairs import judged_gate
from pytest_slmsec.gates.statistics.margins import read_margin
from pytest_slmsec.gates.statistics.result import GateResult
from pytest_slmsec.gates.statistics.result import Verdict as Verdicts
from pytest_slmsec.replay import benchmark_json
from pytest_slmsec.scoring.metrics import wilson_interval
from pytest_slmsec.tasks.verdicts import read_judged, read_verdicts


def arena(files: Sequence[Path], models: Sequence[str], with_elo: bool, json_file: Path | None) -> int:
    """Print a table of ratings, the best model first, and how often the first place won.

    Args:
        files: JSON lines of verdicts, or runs in which a judge was asked, one after the other.
        models: names that may occur; empty: any.
        with_elo: Elo ratings, which depend on the order of the lines, instead of Bradley-Terry ratings.
        json_file: gets every number as well.

    Returns:
        0.

    Raises:
        DataError, DataUnavailable: a file cannot be used, or there is no finite estimate.
    """
    verdicts = [verdict for file in files for verdict in _verdicts(file, models)]
    ratings = _elo(verdicts) if with_elo else bradley_terry(verdicts)
    print("\n".join(table(verdicts, ratings, "Elo" if with_elo else "Bradley-Terry")))
    if json_file is not None:
        json_file.write_text(json.dumps(_plain(verdicts, ratings), indent=1) + "\n", encoding="utf-8")
    return 0


def judge_gate(files: Sequence[Path], pair: str, margin: str, json_file: Path | None) -> int:
    """Print whether a judge preferred the candidate as often as its base.

    Args:
        files: verdicts with their judge and answers. pair: ``CANDIDATE,BASE``. margin: such as ``5pt``.
        json_file: gets the result, and of each verdict the item, the order, the digests of both answers and its text.

    Returns:
        Exit status: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 ERROR, with a sentence.
    """
    try:
        candidate, base = _two_names(pair)
        judged = [verdict for file in files for verdict in _judged(file)]
        result = judged_gate(judged, candidate, base, read_margin(margin, "--margin").of(0.5))
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return Verdicts.ERROR.exit_code
    print("\n".join(told(result, candidate, base)))
    if json_file is not None:
        content = {"gate": result.to_json(), "verdicts": [verdict._asdict() for verdict in judged]}
        json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return result.verdict.exit_code


def _judged(file: Path) -> list[Judged]:
    """The judge's verdicts of a file of JSON lines, or of a run with ``--slmsec-pair-judge``.

    Raises:
        DataError, DataUnavailable: it cannot be used. CompareError: a damaged run, or one without verdicts.
    """
    if not benchmark_json.reads(file):
        return read_judged(file)
    runs = [(run.benchmark, verdict) for run in read_runs(file) for verdict in verdicts_of_run(run)]
    if not runs:
        raise CompareError(f"{file} holds no verdicts of a judge; name one in the run, with --slmsec-pair-judge=MODEL.")
    return [verdict._replace(item=f"{benchmark} {verdict.item}", cluster=f"{benchmark} {verdict.cluster}")
            for benchmark, verdict in runs]  # fmt: skip


def _verdicts(file: Path, models: Sequence[str]) -> list[Verdict]:
    """The verdicts of a file for ratings. Of a run, replies that are no verdict count for nobody."""
    if not benchmark_json.reads(file):
        return read_verdicts(file, models)
    judged = _judged(file)
    unknown = {name for verdict in judged for name in (verdict.first, verdict.second)} - set(models or ())
    if models and unknown:
        raise CompareError(f"{file} has verdicts on {', '.join(sorted(unknown))}, which --models does not name.")
    return [Verdict(verdict.first, verdict.second, verdict.points, verdict.item) for verdict in judged
            if verdict.points is not None]  # fmt: skip


def _two_names(pair: str) -> tuple[str, str]:
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise UsageError(f"--gate={pair}: write the candidate and its base, two different models: --gate=NEW,OLD.")
    return names[0], names[1]


def told(result: GateResult, candidate: str, base: str) -> list[str]:
    """The lines to print of a judge's gate."""
    share, inconsistent = 100 * result.details["win_share"], 100 * result.details["inconsistent"]
    bounds = [None if bound is None else min(max(100 * (0.5 - bound), 0.0), 100.0)
              for bound in (result.upper, result.lower)]  # fmt: skip
    ends = " .. ".join("?" if bound is None else f"{bound:.1f}" for bound in bounds)
    return [f"{shown(candidate)} against {shown(base)}: win share {share:.1f} % ({ends}) of {result.n} pairs, "
            f"{inconsistent:.1f} % of them inconsistent; at least {100 * (0.5 - result.margin):.1f} % is asked for.",
            *map(shown, result.reasons), f"JUDGE'S GATE: {result.verdict.value}"]  # fmt: skip


def _elo(verdicts: Sequence[Verdict]) -> dict[str, Rating]:
    return {model: Rating(value) for model, value in elo(verdicts).items()}


def table(verdicts: Sequence[Verdict], ratings: dict[str, Rating], method: str) -> list[str]:
    """The lines to print."""
    width, counts = max(map(len, (*map(shown, ratings), "model"))), tallies(verdicts)
    items = counted(len({verdict.item for verdict in verdicts}), "item")
    lines = [f"{counted(len(verdicts), 'verdict')} on {items}, {method}",
             f"{'model':{width}}  rating   95 % interval   wins   ties  losses"]  # fmt: skip
    for model, rating in ratings.items():
        ends = "" if rating.low is None else f"{rating.low:.0f} .. {rating.high:.0f}"
        wins, ties, losses = counts[model]
        lines.append(f"{shown(model):{width}}  {rating.value:6.0f}  {ends:>14}  {wins:5}  {ties:5}  {losses:6}")
    if all(rating.low is None for rating in ratings.values()) and method != "Elo":
        lines.append("No intervals: some resamples of the items have no finite estimate.")
    won, decided = first_position(verdicts)
    if decided:
        low, high = wilson_interval(won, decided)
        lines.append(f"The first place won {100 * won / decided:.1f} % of {decided} decided verdicts "
                     f"({100 * low:.1f} .. {100 * high:.1f} %).")  # fmt: skip
    return lines


def _plain(verdicts: Sequence[Verdict], ratings: dict[str, Rating]) -> dict[str, object]:
    won, decided = first_position(verdicts)
    rated = {model: {**rating._asdict(), "tally": tallies(verdicts)[model]} for model, rating in ratings.items()}
    return {"ratings": rated, "first_place_won": won, "decided": decided, "verdicts": len(verdicts)}
