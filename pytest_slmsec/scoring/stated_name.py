"""One name out of a closed list, in the answer's last line: an intent, a field of a document, yes or no."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import SHARE
from pytest_slmsec.scoring.named_class import is_denied
from pytest_slmsec.scoring.normalise import plain_text

NAMES, SHARES = "names", "shares"
"""Keys of `Item.meta`: the names of the list (empty: the answer is free text), and what the item counts for besides the
whole."""

# "Answer:", "**Intent** -", "The answer is" before a name.
_LEAD = re.compile(r"^(?:the )?[\w ]{1,30}?(?::|-| is) ")


def stated_name(text: str, names: Sequence[str], mode: Mode) -> str | None:
    """The name that the last line of an answer states, or None.

    Official: the line is the name, apart from case and a full stop. Strict: markup and a lead ("Intent: ") do not
    count, and a line with words around the name counts as well, unless it names several or denies it.
    """
    known = {name.casefold(): name for name in names}
    line = _last_line(text if mode is Mode.OFFICIAL else plain_text(text))
    if mode is Mode.OFFICIAL or line in known:
        return known.get(line)
    behind = _LEAD.sub("", line)
    if behind in known:
        return known[behind]
    found = _pattern(tuple(names)).finditer(line)
    named = dict.fromkeys(match[0] for match in found if not is_denied(line, *match.span()))
    return known[next(iter(named))] if len(named) == 1 else None


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the names as whole words; of two that begin alike the longer one."""
    longest_first = sorted((name.casefold() for name in names), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().strip("\"'`.").strip().casefold() if lines else ""


def score_name(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the stated name is the gold one; an answer that states none is unparsed. An item without a list of
    names is scored by `scoring.exact.score_exact`.

    Raises:
        KeyError: an item rebuilt from a stored run lacks its list.
    """
    names = item.meta[NAMES]
    if not names:
        found = score_exact(item, output, mode)
        return Score(found.value, found.parsed, found.correct, found.extracted, shares(item.meta, found.value))
    said = stated_name(output.text or "", names, mode)
    value = float(said == item.gold)
    return Score(value, said is not None, said == item.gold, said, shares(item.meta, value))


def shares(meta: Mapping[str, object], value: float) -> dict[str, float]:
    """Parts of a score: the accuracy on each kind that an item belongs to."""
    kinds = meta.get(SHARES, ())
    return {f"{SHARE}{kind}": value for kind in kinds} if isinstance(kinds, (list, tuple)) else {}
