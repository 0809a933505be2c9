"""Verdicts in plain words.

Always "worse by up to", never "no difference": a gate bounds a drop, it does not show equality.
"""

from __future__ import annotations

from enum import Enum

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.statistics.result import GAIN, PERCENT, POINTS, TIME, UNINFORMATIVE, GateResult, Verdict

_PRINTED_TIMES_100 = {POINTS: " points", PERCENT: " %", TIME: " %"}


def printed(value: float, result: GateResult) -> float:
    """A drop as it is printed: the growth of a time as the share of the tokens/s that is lost, at most 1."""
    return value / (1 + value) if result.unit == TIME else value


def amount(value: float, result: GateResult, *, digits: int = 1) -> str:
    """A drop with its unit: ``1.1 points``, ``3.0 %``, ``0.018 nats/token``."""
    if result.unit in _PRINTED_TIMES_100:
        return f"{_fixed(100 * printed(value, result), digits)}{_PRINTED_TIMES_100[result.unit]}"
    return f"{value:.3g} {result.unit}"


def _fixed(value: float, digits: int) -> str:
    """`value` with `digits` decimals, without a minus before zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _limit(result: GateResult) -> str:
    if result.unit in _PRINTED_TIMES_100:
        return f"{100 * printed(result.margin, result):.3g}{_PRINTED_TIMES_100[result.unit]}"
    return f"{result.margin:g} {result.unit}"


def in_runs(p: float) -> str:
    """A probability as a frequency: ``about 1 of 1,000 runs`` (rounded to one leading digit)."""
    if p < 1e-6:
        return "fewer than 1 of 1,000,000 runs"
    if p >= 0.1:
        return f"about {round(10 * p)} of 10 runs"
    return f"about 1 of {int(float(f'{1 / p:.1g}')):,} runs"


def sentence(result: GateResult, name: str | None = None, confidence: float = 0.95) -> str:
    """What a gate found, in one to four sentences.

    Args:
        name: of the benchmark or measure; the gate's own name by default.
        confidence: of each bound, 1 - alpha.
    """
    subject, sure = name or result.gate, f"{100 * confidence:g} % sure"
    if GAIN in result.details and result.verdict is not Verdict.ERROR:
        return " ".join([_gained(result, subject, sure), *result.reasons])
    tell = {Verdict.PASS: _passed, Verdict.FAIL: _failed, Verdict.INCONCLUSIVE: _undecided, Verdict.ERROR: _broken}
    return " ".join([tell[result.verdict](result, subject, sure), *_translated(result), *result.reasons])


def _translated(r: GateResult) -> list[str]:
    """The limit on time as it was set, and the tokens/s that it stands for."""
    if r.unit != TIME or r.verdict is Verdict.ERROR:
        return []
    return [f"The limit is {100 * r.margin:.3g} % more time a token, which is {_limit(r)} fewer tokens/s."]


def _gained(r: GateResult, subject: str, sure: str) -> str:
    """What a gate on a gain found."""
    asked = f"at least {amount(r.details[GAIN], r)} are asked for"
    least = None if r.upper is None else amount(-r.upper, r)
    most = None if r.lower is None else amount(-r.lower, r)
    if r.verdict is Verdict.PASS:
        return f"We are {sure} that on {subject} the candidate gains at least {least}; {asked}."
    if r.verdict is Verdict.FAIL:
        return f"We are {sure} that on {subject} the candidate gains at most {most}; {asked}."
    return (
        f"On {subject} the candidate gains between {least or 'an unknown amount'} and {most or 'any amount'}; {asked}."
    )


def _passed(r: GateResult, subject: str, sure: str) -> str:
    if r.upper is None:
        return f"{subject}: within the limit of {_limit(r)}."
    if r.method in ("threshold", "exact"):
        return f"{subject}: {_change(r.upper, r)}; you allowed up to {_limit(r)} worse."
    if r.upper < 0:
        return f"We are {sure} that on {subject} the candidate is better by at least {_size(r.upper, r)}."
    worse = f"worse by up to {amount(r.upper, r)}, not more"
    return f"We are {sure} that on {subject} the candidate is {worse}; you allowed {_limit(r)}."


def _failed(r: GateResult, subject: str, sure: str) -> str:
    if r.lower is None:
        return f"{subject}: beyond the limit of {_limit(r)}."
    if r.method in ("threshold", "exact"):
        return f"{subject}: {_change(r.lower, r)}; you allowed up to {_limit(r)} worse."
    parts = [f"We are {sure} that on {subject} the candidate is worse by at least {amount(r.lower, r)}; you allowed "
             f"{_limit(r)}."]  # fmt: skip
    if "lost" in r.details:
        parts.insert(0, f"On {subject} the candidate lost {counted(r.details['lost'], 'answer')} and won back "
                        f"{r.details['gained']} of {r.n:,}.")  # fmt: skip
    if r.p_fail is not None:
        gap = f"a gap this big would turn up in {in_runs(r.p_fail)}"
        parts.append(f"If it were really at most {_limit(r)} worse, {gap}.")
    return " ".join(parts)


def _change(drop: float, r: GateResult) -> str:
    better, worse = ("more tokens/s", "fewer tokens/s") if r.unit == TIME else ("better", "worse")
    return f"{_size(drop, r)} {better if drop < 0 else worse}"


def _size(drop: float, r: GateResult) -> str:
    """A drop or a gain without its sign."""
    return amount(drop, r).lstrip("-")


def _undecided(r: GateResult, subject: str, sure: str) -> str:
    if UNINFORMATIVE in r.details:
        return str(r.details[UNINFORMATIVE])
    if (r.lower is None and r.upper is None) or r.method in ("threshold", "exact"):
        estimate = "" if r.estimate is None else f" The measured change is {_change(r.estimate, r)}."
        return f"{subject} could not be decided against the limit of {_limit(r)}.{estimate}"
    parts = [f"On {subject} the candidate may be {_range(r)}; the limit is {_limit(r)}.", _why(r)]
    if r.upper is not None and r.upper > r.margin:
        time = f" ({100 * r.upper:.1f} % more time a token)" if r.unit == TIME else ""
        parts.append(f"The largest limit these data do prove is {amount(r.upper, r)}{time}.")
    if r.details.get("leaning"):
        parts.append(f"Leaning {r.details['leaning']}.")
    return " ".join(p for p in parts if p)


def _range(r: GateResult) -> str:
    if r.upper is not None and r.upper < 0:
        return f"better by at least {_size(r.upper, r)}"
    up = "worse by any amount" if r.upper is None else f"worse by up to {amount(r.upper, r)}"
    if r.lower is not None and r.lower >= 0:
        return f"{up}, and at least {amount(r.lower, r)}"
    return up if r.lower is None else f"{up}, or better by up to {_size(r.lower, r)}"


class Lack(Enum):
    """Why a gate is undecided, in the words of a list; the gravest first."""

    UNINFORMATIVE = "the base is not shown to be better than a constant answer"
    FLOOR = "too few items to prove their limit"
    ITEMS = "more items are needed"
    FEW = "a few more items may do"
    CLOSE = "too close to the limit for more items to help soon"
    OTHER = "not for want of items"


def lack(r: GateResult) -> Lack:
    """Why an undecided gate is undecided."""
    d = r.details
    if UNINFORMATIVE in d:
        return Lack.UNINFORMATIVE
    if d.get("below_floor"):
        return Lack.FLOOR
    if d.get("close_to_limit"):
        return Lack.CLOSE
    if not d.get("items_needed"):
        return Lack.OTHER
    return Lack.ITEMS if d["items_needed"] > r.n else Lack.FEW


def _why(r: GateResult) -> str:
    d, items = r.details, counted(r.n, "item")
    floor = f"below the floor of {d.get('floor_items', 0):,}"
    said = {
        Lack.FLOOR: f"{counted(r.n, 'item', 'are')} {floor}, too few for that limit.",
        Lack.ITEMS: f"It has {items} and needs about {d.get('items_needed') or 0:,}{_assuming(r)}; or allow a larger "
        "limit.",
        Lack.FEW: f"It has {items} and may be decided by a few more{_assuming(r)}; or allow a larger limit.",
        Lack.CLOSE: "The drop is close to the limit itself; more items will not help soon.",
    }
    return said.get(lack(r), "")


def _assuming(r: GateResult) -> str:
    """What the number of items needed (`statistics.common.items_to_decide`) assumes: that it goes on as measured."""
    if "lost" not in r.details:
        return ", if the drop and its spread stay as measured"
    changed = (r.details["lost"] + r.details["gained"]) / r.n
    if not changed:
        return ", if no answer changes"
    return f", if {_fixed(100 * changed, 1)} % of the answers change and the drop stays {amount(r.estimate or 0.0, r)}"


def _broken(r: GateResult, subject: str, _: str) -> str:
    return f"The comparison on {subject} is broken and says nothing about the candidate."
