"""The threat actor an answer names, and whether it is the right one (CTIBench TAA, Alam et al. 2024, arXiv 2406.07599;
upstream `evaluation/evaluation.ipynb`).

The authors read the name out of each response by hand; `extract_actor` does it by rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import ANSWER, plain_text

BARE_NAME_WORDS = 4
BARE_NAME_CHARS = 60
NO_NAMES = frozenset({"x", "n/a", "na", "none", "nan", "unknown", "placeholder", "[placeholder]", "error"})

# "APT-C-36", "UNC 2452", "TA505".
_NUMBERED = r"(?:APT|UNC|FIN|TA|DEV|TAG|UAC|ITG|ATK|TG|Storm|TEMP|STAC)[ -]?(?:C-)?\d{1,5}"
# Second words of the names that CrowdStrike and Microsoft give: "Wizard Spider", "Forest Blizzard".
_ANIMALS = "Panda|Bear|Kitten|Spider|Chollima|Tiger|Leopard|Wolf|Buffalo|Blizzard|Sandstorm|Sleet|Typhoon|Tempest"
# "**Lazarus Group**".
_BOLD = re.compile(r"\*\*[^*:\n]{2,60}\*\*")
# "is attributed to", "the threat actor", "most likely", "carried out by": a name follows.
_CLAIM = re.compile(
    r"\b(?:attribut(?:ed?|able|ion|es)|responsible|threat actors?|perpetrators?|culprits?|answer|"
    r"is (?:most |highly )?likely|suggests?|indicates?|points? to|the work of|(?:carried out|conducted) by)\b",
    re.I,
)
# "Final answer: **": what may stand before a name on its line.
_LABEL = re.compile(r"[\s*_#>-]*(?:[\w ]{0,40}:)?[\s*_]*")
# " (also known as Cozy Bear)." behind a name that stands alone on its line.
_AFTER_ALONE = re.compile(r"[\s*_]*(?:\([^()]*\))?[\s*_.]*")
# ". ", "! " or a line break: where a sentence ends.
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
# The hyphen of "apt-41".
_SEPARATORS = re.compile(r"[^a-z\d]+")
# "apt" and "41" of "apt41".
_PIECES = re.compile(r"[a-z]+|\d+")


def extract_actor(text: str, known: Sequence[str]) -> str | None:
    """The name an answer settles on, as it is spelled there, in lower case.

    In this order: the whole answer if it is no longer than a name; the last line if it is a name, perhaps after a label
    and a colon; the first name behind a claim ("attributed to", "threat actor ... is") in the first sentence that makes
    one; the first name of the last line; the first name at all. A name is a known one, a numbered group (``TA505``), an
    animal (``Wizard Spider``), and behind a claim also words in bold. The claim comes before the prose of the last
    line, because these prompts ask for a name and then for reasons, and reasons end with comparisons to other groups.

    Args:
        known: all names of the alias and related graphs, lower case.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    names = _pattern(tuple(known))
    if len(lines) == 1 and len(lines[0]) <= BARE_NAME_CHARS and len(lines[0].split()) <= BARE_NAME_WORDS:
        found = names.search(lines[0])
        return _lower(found) if found else lines[0].strip("*_` .").lower()
    last = _alone(names, lines[-1])
    if last:
        return _lower(last)
    for sentence in _SENTENCE.split(text):
        claim = _CLAIM.search(sentence)
        name = _claimed(names, sentence, claim.end()) if claim else None
        if name:
            return _lower(name)
    mentioned = names.search(lines[-1]) or names.search(text)
    return _lower(mentioned) if mentioned else None


def _alone(names: re.Pattern[str], line: str) -> re.Match[str] | None:
    """The name that a line consists of, perhaps between a label and a second name in brackets."""
    label = _LABEL.match(line)
    name = names.match(line, label.end() if label else 0)
    return name if name and _AFTER_ALONE.fullmatch(line, name.end()) else None


def _claimed(names: re.Pattern[str], sentence: str, start: int) -> re.Match[str] | None:
    """The first name at or behind `start`, or the first words in bold if no name stands before their end."""
    name = names.search(sentence, start)
    bold = next((m for m in _BOLD.finditer(sentence, start) if not _CLAIM.search(m[0])), None)
    return bold if bold and (name is None or name.start() > bold.end()) else name


def squeezed(name: str) -> str:
    """A name without case, blanks and hyphens: "APT-41" and "apt 41" are one name."""
    return _SEPARATORS.sub("", name.lower())


def _lower(name: re.Match[str]) -> str:
    return name[0].strip("*").lower()


@lru_cache(maxsize=8)
def _pattern(known: tuple[str, ...]) -> re.Pattern[str]:
    """Any known name with or without separators, and the usual forms of others. A name that is an English word
    ("lead", "snake") must have its capital."""
    longest_first = sorted({name for name in known if len(name) > 2}, key=len, reverse=True)
    spelled = (r"[\s_-]?".join(_PIECES.findall(name)) for name in longest_first)
    forms = [f"(?i:{name})" for name in spelled if name] + [_NUMBERED, f"[A-Z][a-z]+ (?:{_ANIMALS})"]
    return re.compile(rf"\b(?=\w*[A-Z\d])(?:{'|'.join(forms)})\b")


def score_actor(item: Item, output: Output, mode: Mode) -> Score:
    """Right if the gold name reaches the answer over aliases; the part ``plausible`` counts related groups as well.

    The names that count stand in the item: `meta` holds ``known`` and, for each mode's name, ``correct`` and
    ``plausible`` (see `actor_graph.ActorGraph`). Official: any answer that is not empty is valid, as upstream has no
    validity test, and names are compared letter by letter. Strict: an answer without a name ("X", "unknown") is
    unparsed, and names are compared without blanks and hyphens.
    """
    text, names = output.text or "", item.meta[mode.value]
    if mode is Mode.OFFICIAL:
        return _judged(extract_actor(text, item.meta["known"]), bool(text.strip()), names)
    actor = extract_actor(plain_text(text).removeprefix(ANSWER), item.meta["known"])
    if actor is None or actor in NO_NAMES:
        return _judged(None, False, names)
    spelled = {squeezed(name): name for name in names["plausible"]}
    return _judged(spelled.get(squeezed(actor), actor), True, names)


def _judged(actor: str | None, parsed: bool, names: Mapping[str, Sequence[str]]) -> Score:
    correct, plausible = actor in names["correct"], actor in names["plausible"]
    return Score(float(correct), parsed, correct, actor, {"plausible": float(plausible)})
