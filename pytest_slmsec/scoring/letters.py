"""The letter of a multiple-choice answer, read out of free text.

`official_letter` follows `format_mcq` of CTIBench (Alam et al. 2024, arXiv 2406.07599; upstream
`evaluation/model-prediction.ipynb`) with its defects. `strict_letter` is our own reading of what an answer says.
"""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode

OFFICIAL_ANSWERS = frozenset("ABCDX")

# Shared with `letter_set`.
MARKUP = re.compile(r"[*_`${}]|^#+\s|\\boxed|\\text(?:bf)?|</?\w{1,10}>", re.M)
QUOTES = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")
_ALONE = re.compile(r"[\s\"'(\[]*([A-Da-d])[\s\"')\].:,;!]*")

# A letter that may name an option. What stands around it keeps out words ("Based"), drives ("C:\"), "D-Link", "C++".
_LETTER = r"[\"'(\[]*(?<![\w\\/.-])([A-Da-d])(?![\w+#&@/\\-]|'\w|:[\\/]|\.\w)[\"')\]]*"
_JOINED = re.compile(r"\s*(?:,|&|/|\band\b|\bor\b)\s*(?:option\s+)?[\"'(\[]*[A-D](?![\w'])")
# What may follow a bare letter A for it to be a name and not the article.
AFTER_NAME = re.compile(
    r"\s*(?:$|[^\s\w]|[A-Z\d]|(?:is|was|as|because|since|due|which|would|will|seems|corresponds|refers)\b)"
)
_ANSWER_IS = re.compile(
    r"(?:\bit(?:'s| is)\b|\bi(?:'d|'ll| would| will)? (?:choose|select|pick|go with)\b|"
    r"(?<!wrong )\b(?:answer|"
    r"(?:best|correct|right|final|chosen|selected|appropriate|likely)\s+(?:option|choice|letter))\b"
    r"[^.\n?]{0,60}?(?:\bis\b|\bwould be\b|\bshould be\b|\bmust be\b|:|=))"
    r"(?:[\s:]|\b(?:the|option|choice|letter|answer|definitely|clearly|therefore)\b){0,16}+" + _LETTER,
    re.I,
)
_ANSWER_LINE = re.compile(
    r"\s*(?:(?:the\s+)?(?:final|correct|best|right)\s+)?(?:(option|choice|answer)\b)?[\s:]*" + _LETTER, re.I
)
_LABEL_END = re.compile(r"\s*[-\u2013\u2014:.(]")
_VERDICT = re.compile(
    r"\b(?:is|would be|seems|appears)\s+(?:to be\s+)?(?:(?:clearly|therefore|thus|definitely)\s+)?(?:the\s+|a\s+)?"
    r"(?:only\s+|single\s+|most\s+)*(?:best|correct|right|accurate|appropriate|suitable|(?<=most )likely)\b",
    re.I,
)
_NAMED = re.compile(r"\b(?:option|choice)[\s:]*" + _LETTER, re.I)
_MARKED = re.compile(_LETTER + r"(?:(?<=[)\]\"'])|(?=\s?[:(]))")
_SUBJECT = re.compile(_LETTER + r"\s*$")
_DENIED = re.compile(
    r"\b(?:is|was|would be|seems)\s+(?:\w+\s+)?(?:not|incorrect|wrong|false|invalid)\b|\bisn't\b|\bcannot be\b"
)
_SENTENCE_ENDS = (". ", "? ", "! ", "\n")


def official_letter(text: str) -> str | None:
    """The answer as CTIBench extracts it; any other text than a letter is returned whole, for the validity test.

    Returns:
        Usually a letter; None where the upstream rule fails with an index error (empty text, a bare ``**``).
    """
    lines = text.split("\n")
    try:
        last = lines[-1].rstrip()
        found = _official_line(last)
        if found is None and not last:
            found = _official_line(lines[-2].rstrip())
    except IndexError:
        return None
    return " ".join(lines) if found is None else found


def _official_line(line: str) -> str | None:
    if line.startswith(("A)", "B)", "C)", "D)")):
        return line[0]
    if line.endswith(("A", "B", "C", "D")):
        return line[-1]
    return line[-3] if line.endswith("**") else None


def strict_letter(text: str) -> str | None:
    """The one letter that an answer commits to, or None.

    The readings, strongest first; within one reading the last statement counts, since a writer who corrects himself
    does so later:

    1. the whole answer, or its last line (where the prompts ask for it), is nothing but a letter;
    2. a statement about the answer: "The correct answer is B)", "Answer: (c)";
    3. an answer line at the start with an explanation below it: "B", or "Option A) Audit" alone on the first of several
       lines. A list that repeats the options ("A) ...", "B) ...") is none;
    4. a verdict on an option: "Option D is the best option";
    5. the only option named at all: "Option A (T1133) corresponds to Brute Force.", "B) Execution Prevention".

    Never read: the article "A", a lower-case letter within a sentence, an option whose sentence denies it, letters that
    are joined ("A and B").
    """
    plain = MARKUP.sub("", text.translate(QUOTES)).strip()
    lines = [line for line in plain.splitlines() if line.strip()]
    if not lines:
        return None
    if alone := _ALONE.fullmatch(plain) or _ALONE.fullmatch(lines[-1]):
        return alone[1].upper()
    return _stated(plain) or _opening(lines) or _verdict(plain) or _only_named(plain)


def _names_option(match: re.Match[str], group: int = 1) -> bool:
    """Whether the matched letter names one option: it is neither the article nor one of several."""
    tail = match.string[match.end() : match.end() + 40]
    if _JOINED.match(tail):
        return False
    if match.string[match.end() - 1] in ")]\"'":
        return True
    if match[group].islower():
        return tail[:1] in ("", ".", ",", ";", ":", "\n")
    return match[group] != "A" or bool(AFTER_NAME.match(tail))


def _stated(text: str) -> str | None:
    found = [match[1].upper() for match in _ANSWER_IS.finditer(text) if _names_option(match)]
    return found[-1] if found else None


def _opening(lines: list[str]) -> str | None:
    first = lines[0].rstrip()
    if alone := _ALONE.fullmatch(first):
        return alone[1].upper()
    match = _ANSWER_LINE.match(first)
    if match is None or len(lines) == 1 or first.endswith((".", "?", "!")) or not _names_option(match, 2):
        return None
    others = (_ANSWER_LINE.match(line) for line in lines[1:])
    repeats_options = not match[1] and any(other and other[2] != match[2] for other in others)
    return None if repeats_options or _DENIED.search(first) else match[2].upper()


def _verdict(text: str) -> str | None:
    found = None
    for match in _VERDICT.finditer(text):
        far = max(0, match.start() - 400)
        start = max(far - 1, *(text.rfind(end, far, match.start()) for end in _SENTENCE_ENDS)) + 1
        found = _spoken_of(text[start : match.start()]) or found
    return found


def _spoken_of(clause: str) -> str | None:
    """The option a clause speaks of: one called so, else one marked as a label, else a bare letter as its subject."""
    for pattern in (_NAMED, _MARKED, _SUBJECT):
        if letters := [match[1] for match in pattern.finditer(clause) if match[1].isupper()]:
            return letters[-1]
    return None


def _only_named(text: str) -> str | None:
    named = [match for match in _NAMED.finditer(text) if match[1].isupper()]
    letters = {match[1] for match in named}
    if label := _label(text):
        named.insert(0, label)
        letters.add(label[2].upper())
    if len(letters) != 1:
        return None
    ends = [at for end in _SENTENCE_ENDS if (at := text.find(end, named[0].end())) >= 0]
    return None if _DENIED.search(text, named[0].end(), min(ends, default=len(text))) else letters.pop()


def _label(text: str) -> re.Match[str] | None:
    """The label of an option at the start: "B) ...", "c. ...", "D - ..."."""
    match = _ANSWER_LINE.match(text)
    if match is None or not _names_option(match, 2):
        return None
    return match if text[match.end() - 1] in ")]" or _LABEL_END.match(text, match.end()) else None


def score_letter(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the letter. Official: valid iff A, B, C, D or X (X, a refusal, is wrong but valid)."""
    text = output.text or ""
    if mode is Mode.OFFICIAL:
        answer = (official_letter(text) or "").upper()
        letter = answer if answer in OFFICIAL_ANSWERS else None
    else:
        letter = strict_letter(text)
    right = letter == item.gold
    return Score(float(right), letter is not None, right, letter)
