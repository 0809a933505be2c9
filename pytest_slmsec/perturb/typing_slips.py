"""What hands do to a text: slips of typing, another case, other blanks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span, replaced, some_of, within

WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{4,}(?![A-Za-z])")
BLANK = re.compile(r"(?<=\S) (?=\S)")
SLIPS_A_WORD = 0.1
"""Share of the words of four letters or more that get a slip: one in ten, as in hurried mails."""
OTHER_BLANKS = 0.2
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEXT_KEYS = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in ROWS for at, key in enumerate(row)}
"""The keys to the left and right of each on a QWERTY keyboard."""


def typo(text: str, free: Sequence[Span], seed: Seed) -> str:
    """One word in ten with a slip behind its first letter: letters swapped, one lost or doubled, or the next key."""
    rng = seed.random()
    return replaced(text, some_of(within(text, free, WORD), SLIPS_A_WORD, rng), lambda word: _slip(word, rng))


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    letter, after = word[at], word[at + 1]
    before, behind = word[:at], word[at + 1 :]
    slips = [before + behind, before + letter + letter + behind, before + _next_key(letter, rng) + behind]
    if letter != after:
        slips.append(before + after + letter + behind[1:])
    return slips[rng.randrange(len(slips))]


def _next_key(letter: str, rng: Random) -> str:
    keys = NEXT_KEYS[letter.lower()]
    key = keys[rng.randrange(len(keys))]
    return key.upper() if letter.isupper() else key


def _mixed(rng: Random) -> Callable[[str], str]:
    return lambda word: "".join(letter.upper() if rng.random() < 0.5 else letter.lower() for letter in word)


def case(text: str, free: Sequence[Span], seed: Seed) -> str:
    """All words in small letters, in capitals, with a capital each, or in letters of either case by chance."""
    form = seed.form((str.lower, str.upper, str.capitalize, _mixed(seed.random())))
    return text if form is None else replaced(text, within(text, free, re.compile(r"[A-Za-z]+")), form)


def space(text: str, free: Sequence[Span], seed: Seed) -> str:
    """One blank in five between two words becomes two, three, a tab, or a no-break space."""
    rng = seed.random()
    others = ("  ", "   ", "\t", "\N{NO-BREAK SPACE}")
    chosen = some_of(within(text, free, BLANK), OTHER_BLANKS, rng)
    return replaced(text, chosen, lambda _: others[rng.randrange(len(others))])
