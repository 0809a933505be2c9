"""What else is told about a benchmark below the tables: who judged, and the shares behind the headline number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_slmsec.config.options import RULE
from pytest_slmsec.perturb.benchmark import PERTURBED
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.robustness import sentences as robust_sentences
from pytest_slmsec.scoring.metrics import SIMILARITY

NO_JUDGE = (
    "no judge was named, so only refusals are told and there is no verdict on the other answers (--slmsec-judge=NAME)"
)


def extras(results: Sequence[EvaluationResult]) -> list[str]:
    """Sentences about the results whose metric wants its extras told, and why semantic similarity is not known."""
    told = [f"{evaluated.label} on {evaluated.model}: {text}." for evaluated in results for text in _of(evaluated)]
    facts = [evaluated.header[SIMILARITY] for evaluated in results if evaluated.header.get(SIMILARITY)]
    reasons = dict.fromkeys(fact["reason"] for fact in facts if fact["reason"])
    return told + [f"{SIMILARITY} is unavailable: {reason.rstrip('.')}." for reason in reasons]


def _of(evaluated: EvaluationResult) -> list[str]:
    judge, result = evaluated.header.get("judge"), evaluated.result()
    told = []
    if judge is not None:
        told.append(NO_JUDGE if judge == RULE else f"judged by {judge}")
    facts = evaluated.header.get(PERTURBED)
    if result is not None and facts is not None:
        return told + robust_sentences(result.extras, facts, evaluated.header["scale"])
    if result is not None and evaluated.metric is not None and evaluated.metric.tell_extras:
        told += sentences(result.extras)
    return told


def sentences(shares: Mapping[str, float | None]) -> list[str]:
    """Shares of 1 as texts: those of the whole together, then those of each division (``language=Hindi``)."""
    whole = [f"{name.replace('_', ' ')} {_percent(share)}" for name, share in shares.items() if "=" not in name]
    divided: dict[str, list[str]] = {}
    for name, share in shares.items():
        division, equals, part = name.partition("=")
        if equals:
            divided.setdefault(division, []).append(f"{part} {_percent(share)}")
    found = [", ".join(whole)] if whole else []
    return found + [f"by {name}: {', '.join(parts)}" for name, parts in divided.items()]


def _percent(share: float | None) -> str:
    return "unavailable" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
