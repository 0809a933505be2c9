"""One place among the options, whatever stands there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.5
"""Half of the questions: by chance one place is named in both of two orders in half of all cases where there are two
options, in a quarter where there are four."""


def check(evidence: Evidence) -> str | None:
    """The questions with one letter in every order of their options, if these are surely more than `SHARE`.

    Variants of other kinds show the published order; the first of them stands for it.
    """
    placed = [letters.pop() for letters in _letters_by_question(evidence) if len(letters) == 1]
    asked = sum(1 for _ in _letters_by_question(evidence))
    if not surely_above(len(placed), asked, SHARE):
        return None
    [(letter, count)] = Counter(placed).most_common(1)
    return (f"the same letter was chosen in every order of the options in {len(placed)} of {asked} questions, "
            f"{letter} in {count} of them")  # fmt: skip


def _letters_by_question(evidence: Evidence) -> Iterable[set[str]]:
    """The letters that were chosen for each question that was asked, and read, in two orders or more."""
    orders: dict[str, dict[int, str | None]] = {}
    for variant, extracted in zip(evidence.variant, evidence.extracted, strict=False):
        if variant is not None:
            orders.setdefault(variant["item"], {}).setdefault(variant.get("shift", 0), extracted)
    shifted = [by_order for by_order in orders.values() if len(by_order) > 1 and max(by_order) > 0]
    return ({letter for letter in by_order.values() if letter is not None} for by_order in shifted
            if None not in by_order.values())  # fmt: skip


SENTINEL = Sentinel(
    "position-bias",
    "The model chooses one place among the options, whatever stands there.",
    "The score depends on where the right options stand: compare the share of the base, judge by the mean over orders "
    "(`--slmsec-perturb=options:3`), or ask a benchmark that shows no letters, such as cti-mcq-cloze.",
    check,
)
