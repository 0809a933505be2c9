"""What copying and evading do to a text: letters that look alike, characters that are not seen, defanged addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span, replaced, some_of, within
from pytest_slmsec.perturb.typing_slips import WORD

LOOKALIKES = str.maketrans("aceopxyACEHKMOPTX", "асеорхуАСЕНКМОРТХ")
"""Latin letters to Cyrillic ones of the same shape (Unicode's list of confusables, UTS 39)."""
ALIKE = re.compile("[aceopxyACEHKMOPTX]")
UNSEEN = ("\N{ZERO WIDTH SPACE}", "\N{ZERO WIDTH NON-JOINER}", "\N{WORD JOINER}")
SHARE = 0.2
"""Share of the words of four letters or more that are touched."""
ENDINGS = "com|org|net|io|info|biz|gov|edu|mil|int|example|test|invalid|local|onion|top|xyz|site|online|ru|cn|de|uk|eu"
SCHEME = re.compile(r"\bhttp(?=s?://)", re.I)
ADDRESS = re.compile(
    rf"(?<![\w.])(?:(?:\d{{1,3}}\.){{3}}\d{{1,3}}|(?:[A-Za-z0-9-]+\.)+(?:{ENDINGS}))(?![\w-]|\.\w)", re.I
)
"""An IPv4 address, or a host name with one of the usual endings."""


def homoglyph(text: str, free: Sequence[Span], seed: Seed) -> str:
    """One letter of one word in five becomes a Cyrillic letter of the same shape."""
    rng = seed.random()

    def one(word: str) -> str:
        places = [match.start() for match in ALIKE.finditer(word)]
        at = places[rng.randrange(len(places))]
        return word[:at] + word[at].translate(LOOKALIKES) + word[at + 1 :]

    fitting = [span for span in within(text, free, WORD) if ALIKE.search(text, *span)]
    return replaced(text, some_of(fitting, SHARE, rng), one)


def zerowidth(text: str, free: Sequence[Span], seed: Seed) -> str:
    """One word in five with a character inside that has no width."""
    rng = seed.random()

    def one(word: str) -> str:
        at = rng.randrange(1, len(word))
        return word[:at] + UNSEEN[rng.randrange(len(UNSEEN))] + word[at:]

    return replaced(text, some_of(within(text, free, WORD), SHARE, rng), one)


def defang(text: str, free: Sequence[Span], seed: Seed) -> str:
    """Addresses as reports write them, so that nobody clicks: ``hxxp://evil[.]example``; all of them, in one way.

    Dots become ``[.]``, ``(.)`` or ``[dot]``; the scheme becomes ``hxxp`` or ``hXXp``.
    """
    way = seed.form((("[.]", "hxxp"), ("(.)", "hXXp"), ("[dot]", "hxxp")))
    if way is None:
        return text
    dot, scheme = way
    dots: Callable[[str], str] = lambda address: address.replace(".", dot)  # noqa: E731
    found = {span: dots for span in within(text, free, ADDRESS)} | {
        span: (lambda _: scheme) for span in within(text, free, SCHEME)
    }
    for span in sorted(found, reverse=True):
        text = replaced(text, [span], found[span])
    return text
