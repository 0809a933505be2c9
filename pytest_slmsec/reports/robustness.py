"""What is told about a benchmark of variants (``--slmsec-perturb``) beside its mean over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.perturb.option_order import first_place
from pytest_slmsec.scoring.base import Result
from pytest_slmsec.scoring.canary import INJECTED
from pytest_slmsec.scoring.metrics import wilson_interval

Row = Mapping[str, Any]
CLEAN, FLIPS, ALL_RIGHT, CONSISTENT, KIND = "clean", "flips", "all_variants_right", "consistent", "kind="


def robust_result(plain: Result, rows: Sequence[Row], clean: Sequence[Row], scale: float, binary: bool) -> Result:
    """The result of variants, with an interval that knows that those of one item belong together.

    Args:
        plain: as the metric sums the variants up. rows: measured variants. clean: measured published texts, as far as
            they were asked. scale: worst minus best. binary: the metric counts answers.

    Returns:
        Extras ``clean`` (the score of the published texts of the same items), ``kind=typo`` .., ``flips`` (variants
        that are right where the published text is wrong, or the reverse), ``all_variants_right`` (items), and where
        they were asked ``injected`` and ``consistent`` (questions with the same option chosen in every order).
    """
    first = {row["item"]: row for row in clean}
    pairs = [(row, first[row[VARIANT]["item"]]) for row in rows if row[VARIANT]["item"] in first]
    own = {name: value for name, value in plain.extras.items() if name != INJECTED}
    extras: dict[str, float | None] = {**own, CLEAN: None, FLIPS: None}
    if pairs:
        originals = {row["item"]: row["score"]["value"] for _, row in pairs}
        extras[CLEAN] = fmean(originals.values())
        extras[FLIPS] = fmean(one["score"]["correct"] != other["score"]["correct"] for one, other in pairs)
    extras[ALL_RIGHT] = fmean(all(row["score"]["correct"] for row in group) for group in _by_item(rows))
    extras |= {KIND + kind: fmean(row["score"]["value"] for row in group) for kind, group in _by_kind(rows).items()}
    took = [row["score"]["parts"][INJECTED] for row in rows if INJECTED in row["score"]["parts"]]
    extras |= {INJECTED: fmean(took)} if took else {}
    agreed = list(_agreed(rows, first))
    extras |= {CONSISTENT: fmean(agreed)} if agreed else {}
    low, high = _interval(plain, rows, scale, binary)
    return replace(plain, low=low, high=high, extras=extras)


def _by_item(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[VARIANT]["item"], []).append(row)
    return list(groups.values())


def _by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[VARIANT]["kind"], []).append(row)
    return groups


def _interval(plain: Result, rows: Sequence[Row], scale: float, binary: bool) -> tuple[float | None, float | None]:
    """The interval as if there were only so many independent variants as the spread between items shows."""
    if plain.value is None or plain.low is None or plain.high is None:
        return plain.low, plain.high
    from pytest_slmsec.gates.statistics.paired_binary import cluster_ratio

    clusters = [str(row["cluster"]) for row in rows]
    values = [float(row["score"]["correct" if binary else "value"]) for row in rows]
    groups = len({*clusters})
    if groups < 2:
        return None, None
    ratio = cluster_ratio(values, clusters) if min(values) < max(values) else (len(rows) / groups) ** 0.5
    ratio = max(1.0, ratio)
    if binary:
        n = plain.n / ratio**2
        return wilson_interval(n if plain.value == 1 else plain.value * n, n)
    return max(0.0, plain.value - ratio * (plain.value - plain.low)), min(
        scale, plain.value + ratio * (plain.high - plain.value)
    )


def _agreed(rows: Sequence[Row], clean: Mapping[str, Row]) -> Iterator[bool]:
    """Of each question that was asked with its options in two orders or more, whether one option was always chosen."""
    for group in _by_item([row for row in rows if "shift" in row[VARIANT]]):
        chosen = [first_choice(row["score"]["extracted"], **_order(row[VARIANT])) for row in group]
        original = clean.get(group[0][VARIANT]["item"])
        if original is not None:
            chosen.append(first_choice(original["score"]["extracted"], 0, group[0][VARIANT]["options"]))
        if len(chosen) > 1:
            yield None not in chosen and len({*chosen}) == 1


def _order(variant: Mapping[str, Any]) -> dict[str, int]:
    return {"shift": variant["shift"], "n": variant["options"]}


def first_choice(extracted: str | None, shift: int, n: int) -> frozenset[str] | None:
    """The letters that the chosen options had before they were shifted, or None where no letter of theirs was read."""
    letters = re.findall(r"\b[A-J]+\b", extracted or "")
    chosen = [letter for word in letters for letter in word]
    if not chosen or max(chosen) >= chr(ord("A") + n):
        return None
    return frozenset(first_place(letter, shift, n) for letter in chosen)


def sentences(extras: Mapping[str, float | None], facts: Mapping[str, Any], scale: float) -> list[str]:
    """What is told below the tables about the variants of one benchmark on one model."""
    kinds = [f"{name.removeprefix(KIND)} {_score(value, scale)}" for name, value in extras.items() if KIND in name]
    told = [f"published texts {_score(extras.get(CLEAN), scale)}, by kind: {', '.join(kinds)}"]
    shares = {FLIPS: "of the variants flip", ALL_RIGHT: "of the items are right in all variants",
              CONSISTENT: "of the questions get the same option in every order",
              INJECTED: "of the injections succeed"}  # fmt: skip
    told.append(
        ", ".join(f"{_share(extras[name])} {text}" for name, text in shares.items() if extras.get(name) is not None)
    )
    same = [f"{kind} {n}" for kind, n in facts["unchanged"].items()]
    told += [f"not asked, since the text would be the same: {', '.join(same)}"] if same else []
    return told + _left_out(facts["left_out"])


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    """A sentence on each reason for which kinds are not asked."""
    kinds: dict[str, list[str]] = {}
    for kind, why in reasons.items():
        kinds.setdefault(why, []).append(kind)
    return [f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not asked: {why}"
            for why, names in kinds.items()]  # fmt: skip


def _share(value: float | None) -> str:
    return "unavailable" if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def _score(value: float | None, scale: float) -> str:
    return _share(value) if scale == 1 or value is None else f"{value:.2f}"
