"""What ``--slmsec-perturb`` asks for: kinds, and how many variants of each."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from pytest_slmsec.core.errors import UsageError

KINDS = ("typo", "case", "space", "homoglyph", "zerowidth", "defang", "template", "options", "inject")
OPTION = "--slmsec-perturb"
MOST = 100
"""Variants of one kind: more would tell nothing new of an item, and a slip of the finger would take all memory."""


class Wanted(NamedTuple):
    """One kind of perturbation, and how many variants of each item."""

    kind: str
    n: int = 1


def read_wanted(text: str) -> tuple[Wanted, ...]:
    """The kinds of ``KIND[:n],...``, in the order given.

    Raises:
        UsageError: an unknown kind (with a near match), one that is named twice, or a number that is none from 1 on.
    """
    parts = [part.strip() for part in text.split(",")]
    wanted = tuple(_one(text, part) for part in parts if part)
    if not wanted:
        raise UsageError(f"{OPTION}={text}: names no kind; write KIND[:n],... of {', '.join(KINDS)}.")
    for place, one in enumerate(wanted):
        if one.kind in [other.kind for other in wanted[:place]]:
            raise UsageError(f"{OPTION}={text}: {one.kind} is named twice; write {one.kind}:2 for two variants of it.")
    return wanted


def _one(text: str, part: str) -> Wanted:
    kind, colon, number = (piece.strip() for piece in part.partition(":"))
    if kind not in KINDS:
        near = difflib.get_close_matches(kind.casefold(), KINDS, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KINDS)}."
        raise UsageError(f"{OPTION}={text}: there is no kind {kind!r}; {hint}")
    digits = number.isascii() and number.isdecimal() and len(number.lstrip("0")) <= len(str(MOST))
    if colon and not (digits and 1 <= int(number) <= MOST):
        raise UsageError(f"{OPTION}={text}: {part} must end in a whole number from 1 to {MOST}, such as {kind}:2.")
    return Wanted(kind, int(number) if colon else 1)
