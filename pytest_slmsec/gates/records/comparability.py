"""Checks that two runs may be compared: the same items, prompts, decoding and scorer.

A difference that could change a score is an error. A different engine, batch size or machine is a warning for scores,
and an error for speed and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.items import Score
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.statistics.sequential_design import design_of
from pytest_slmsec.scoring.metrics import UNSCORED

EMPTY_SHARE = 0.5
DEGENERATE_FROM_ITEMS = 30
DEGENERATE_FROM_SHARE = 0.2
NAMED = 3
PACKAGES = ("The torch version", "The transformers version")
"""Packages that some engines (llama.cpp) do not use; such an engine records no version of them."""

Rescore = Callable[[BenchmarkRun], "list[Score] | str"]
"""Scores the stored answers of a run with today's scorer, or says in a sentence why that is not possible."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two comparable runs, their items in the same order.

    Attributes:
        warnings: differences that may move scores a little, one sentence each.
        cost_errors: why speed and memory must not be compared, one sentence each.
    """

    base: BenchmarkRun
    candidate: BenchmarkRun
    warnings: tuple[str, ...]
    cost_errors: tuple[str, ...]


def pair(base: BenchmarkRun, candidate: BenchmarkRun, rescore: Rescore | None = None) -> Pair:
    """Pair two runs item by item.

    Raises:
        CompareError: they are not comparable; names everything that differs.
    """
    found = [*_identity(base, candidate), *_items(base, candidate)]
    if found:
        raise CompareError(_not_comparable(base, candidate, found))
    aligned = _aligned(base, candidate)
    warnings, found = _prompts(base, aligned)
    for run in (base, aligned):
        found += _empty(run)
        if rescore is not None:
            trouble, remark = _reproduced(run, rescore(run))
            found, warnings = found + trouble, warnings + remark
    found += _degenerate(base, aligned)
    if found:
        raise CompareError(_not_comparable(base, candidate, found))
    differing = _conditions(base, aligned)
    base, aligned, remark = _answerable(base, aligned)
    warnings += remark
    warnings += [f"{text}; scores may move by a few near-ties." for text in differing]
    return Pair(base, aligned, tuple(warnings), tuple(f"{text}: speed and memory say nothing." for text in differing))


def _answerable(base: BenchmarkRun, candidate: BenchmarkRun) -> tuple[BenchmarkRun, BenchmarkRun, list[str]]:
    """Both runs without the items that have no published answer: no model can be right on them."""
    kept = [index for index, parts in enumerate(base.columns["parts"]) if not parts.get(UNSCORED)]
    if len(kept) == base.n:
        return base, candidate, []
    remark = f"Not judged: {base.n - len(kept)} of {base.n} items, for want of a published answer."
    return base.taken(kept), candidate.taken(kept), [remark]


def restricted(base: BenchmarkRun, candidate: BenchmarkRun) -> BenchmarkRun:
    """The base on the items that a candidate which stopped early was asked, in its order; else the base as it is.

    Raises:
        CompareError: the base itself stopped before it had all items that are needed.
    """
    design, own = design_of(candidate.facts, candidate.name), design_of(base.facts, base.name)
    wanted = candidate.identities()
    place = {key: position for position, key in enumerate(base.identities())}
    lacking = [key for key in wanted if key not in place]
    if own is not None and base.n < own.n_total and lacking:
        raise CompareError(f"{base.name} stopped early, after {base.n} of {own.n_total} items, and lacks {len(lacking)}"
                           " that the candidate was asked: measure the base whole.")  # fmt: skip
    stopped = design is not None and candidate.n < design.n_total
    if lacking or not (stopped or (own is not None and candidate.n < base.n)):
        return base
    return base.taken([place[key] for key in wanted])


def _not_comparable(base: BenchmarkRun, candidate: BenchmarkRun, found: Sequence[str]) -> str:
    return f"{candidate.name} cannot be compared with {base.model}: {'; '.join(found)}."


def _identity(base: BenchmarkRun, candidate: BenchmarkRun) -> list[str]:
    """What was asked and how it was scored, as far as it holds for all items."""
    if base.benchmark != candidate.benchmark:
        return [f"the base was measured on {base.benchmark}"]
    found = []
    for key, what in (("scorer", "scorer"), ("mode", "scoring mode"), ("metric", "metric"), ("judge", "judge")):
        a, b = base.facts.get(key), candidate.facts.get(key)
        if a != b:
            found.append(f"the {what} differs ({a} and {b})")
    return found + _decoding(base.facts["decoding"] or {}, candidate.facts["decoding"] or {})


def _decoding(base: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    keys = sorted({*base, *candidate})
    return [
        f"decoding differs in {key} ({base.get(key)!r} and {candidate.get(key)!r})"
        for key in keys
        if base.get(key) != candidate.get(key)
    ]


def _items(base: BenchmarkRun, candidate: BenchmarkRun) -> list[str]:
    """Identity of an item: what is asked, what can be chosen, and what is right."""
    ours, theirs = (
        dict(zip(base.identities(), base.columns["item"], strict=True)),
        dict(zip(candidate.identities(), candidate.columns["item"], strict=True)),
    )
    missing = [item for key, item in ours.items() if key not in theirs]
    extra = [item for key, item in theirs.items() if key not in ours]
    found = []
    if missing:
        found.append(f"{len(missing)} of the base's {base.n} items are missing or differ in prompt or gold answer "
                     f"({_named(missing)})")  # fmt: skip
    if extra:
        found.append(f"{len(extra)} of the candidate's {candidate.n} items are not the base's ({_named(extra)})")
    return found


def _named(items: Sequence[str]) -> str:
    return ", ".join(map(str, items[:NAMED])) + (", ..." if len(items) > NAMED else "")


def _aligned(base: BenchmarkRun, candidate: BenchmarkRun) -> BenchmarkRun:
    place = {key: position for position, key in enumerate(candidate.identities())}
    positions = [place[key] for key in base.identities()]
    return candidate if positions == list(range(base.n)) else candidate.taken(positions)


def _engine(run: BenchmarkRun) -> Mapping[str, Any]:
    """Facts about the engine that gave the answers; of recorded answers there are none."""
    return {} if run.facts.get("recorded") else run.facts.get("engine") or {}


def _prompts(base: BenchmarkRun, candidate: BenchmarkRun) -> tuple[list[str], list[str]]:
    """Warnings and errors of the rendered prompts: chat template, and tokens of each prompt.

    Models of different bases render and tokenise in their own way; that is part of what is compared.
    """
    known = () if any(run.facts.get("recorded") for run in (base, candidate)) else ("template", "tokenizer")
    differ = [what for what in known if _engine(base).get(f"{what}_sha256")
              != _engine(candidate).get(f"{what}_sha256")]  # fmt: skip
    counts = zip(base.columns["item"], base.columns["prompt_tokens"], candidate.columns["prompt_tokens"], strict=True)
    longer = [item for item, a, b in counts if a != b]
    if base.facts["base"] != candidate.facts["base"]:
        text = f"the models have different bases ({base.facts['base']} and {candidate.facts['base']})"
        return ([f"{text}, and so their own chat templates or tokenizers."] if differ or longer else []), []
    if "template" in differ and base.facts.get("adapter") != candidate.facts.get("adapter"):
        return ["The adapter brings a chat template of its own, so prompts were rendered in different ways."], []
    errors = ["the chat template differs"] if "template" in differ else []
    if longer:
        errors.append(f"prompts differ in their token counts ({_named(longer)}; {len(longer)} in all)")
    return (["The tokenizers differ, but give every prompt the same length."] if differ and not errors else []), errors


def _empty(run: BenchmarkRun) -> list[str]:
    if run.facts["by_choice"]:
        return []
    empty = sum(not (text or "").strip() for text in run.columns["text"])
    return [f"{empty} of {run.n} answers of {run.model} are empty"] if empty > EMPTY_SHARE * run.n else []


def _reproduced(run: BenchmarkRun, scores: list[Score] | str) -> tuple[list[str], list[str]]:
    """Errors and warnings of the self-test: today's scorer must find in the stored answers what is stored."""
    if isinstance(scores, str):
        return [], [scores]
    differ = [
        run.columns["item"][row]
        for row, score in enumerate(scores)
        if (score.value, score.parsed, score.correct, score.extracted)
        != tuple(run.columns[key][row] for key in ("value", "parsed", "correct", "extracted"))
    ]
    if not differ:
        return [], []
    return [
        f"today's scorer does not reproduce stored scores of {run.model} ({_named(differ)}; {len(differ)} in all)"
    ], []


def _degenerate(base: BenchmarkRun, candidate: BenchmarkRun) -> list[str]:
    """A candidate whose every score is the worst one, though the base can do it: more likely broken than bad."""
    scale, up = float(base.facts["scale"]), bool(base.facts["higher_is_better"])
    a, b = base.values / scale, candidate.values / scale
    quality_a, quality_b = (a, b) if up else (1 - a, 1 - b)
    if base.n < DEGENERATE_FROM_ITEMS or float(quality_a.mean()) < DEGENERATE_FROM_SHARE:
        return []
    if float(np.abs(quality_b).max()) > 1e-12:
        return []
    return [f"every one of the {candidate.n} scores of {candidate.model} is the worst possible"]


def _conditions(base: BenchmarkRun, candidate: BenchmarkRun) -> list[str]:
    """How engine, batch and machine differ. Quantisations have loaders of their own: that is part of the candidate."""
    same_kind = all(base.facts.get(key) == candidate.facts.get(key) for key in ("quant", "adapter"))
    recorded = [run.model for run in (base, candidate) if run.facts.get("recorded")]
    unknown = [f"On what the recorded answers of {recorded[0]} were made is not known"] if len(recorded) == 1 else []
    return unknown + [
        f"{what} differs ({_shown(a)} and {_shown(b)})"
        for what, a, b in (
            ("The engine", _engine(base).get("engine"), _engine(candidate).get("engine")),
            ("The dtype", *_dtypes(base, candidate)),
            ("The device", _engine(base).get("device"), _engine(candidate).get("device")),
            ("The torch version", _extra(base, "torch"), _extra(candidate, "torch")),
            ("The transformers version", _extra(base, "transformers"), _extra(candidate, "transformers")),
            ("The batch size", *_batch_sizes(base, candidate)),
            ("The CPU", base.machine.get("cpu"), candidate.machine.get("cpu")),
            ("The number of usable CPUs", base.machine.get("cpus_usable"), candidate.machine.get("cpus_usable")),
            ("The GPU", _gpu(base), _gpu(candidate)),
            ("The device profile", _profile(base), _profile(candidate)),
        )
        if a != b and (same_kind or what != "The engine") and not ((unknown or what in PACKAGES) and None in (a, b))
    ]


def _dtypes(base: BenchmarkRun, candidate: BenchmarkRun) -> tuple[Any, Any]:
    """What the same weights were computed in, under names that do not say so; of other weights it is a part."""
    ours, theirs = _engine(base), _engine(candidate)
    same = base.facts.get("quant") == candidate.facts.get("quant")
    same = same and ours.get("weights_sha256") == theirs.get("weights_sha256")
    return (ours.get("dtype"), theirs.get("dtype")) if same else (None, None)


def _batch_sizes(base: BenchmarkRun, candidate: BenchmarkRun) -> tuple[Any, Any]:
    """The largest batch of each; that of a candidate which stopped early may well be one of the base's smaller ones."""
    ours, theirs = base.facts.get("largest_batch"), candidate.facts.get("largest_batch")
    design = design_of(candidate.facts, candidate.name)
    stopped = design is not None and candidate.n < design.n_total
    return (theirs, theirs) if stopped and ours is not None and theirs is not None and theirs < ours else (ours, theirs)


def _profile(run: BenchmarkRun) -> str:
    """The device profile of a run and how its limits held; costs under two of them say nothing beside each other."""
    found = run.facts.get("device_profile")
    return "none" if not found else f"{found.get('name')}, {found.get('how')}"


def _shown(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _extra(run: BenchmarkRun, package: str) -> Any:
    return (_engine(run).get("extra") or {}).get(package)


def _gpu(run: BenchmarkRun) -> str | None:
    return run.machine.get("gpu") or ("none" if "gpu" in run.machine else None)
