"""What the sentences of an answer say about the options: statements, verdicts and conclusions.

"The correct answer is B", "Options A and D are correct", "... so B."
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_slmsec.scoring import answer_words as words
from pytest_slmsec.scoring.answer_words import W
from pytest_slmsec.scoring.option_lists import DENIED_NEXT, NAMED_OPTIONS, OPTION_LIST, Letters, letters_in, list_at
from pytest_slmsec.scoring.spans import spans

# "The correct answer to the question is", "Answer:", "Option ->", "I choose", "答案是"; one group for each kind.
_CUE = re.compile(
    rf"{words.LINE_START}|(?P<noun>{words.ANSWER_NOUN})|{words.WEAK_NOUN}|{words.VERB}|{words.CONTRAST}|"
    rf"(?:{words.CHINESE})",
    re.I | re.M,
)
_GAP = re.compile(rf"(?:[^.\n?!:=|]|\.(?=\S)){{0,70}}?(?P<link>{words.LINK})", re.I)
# "answer is Lateral Movement (B)": the letter stands in brackets behind the text of the option.
_BRACKETED = re.compile(r"[^\n]{1,120}?[(\[](?:[Oo]ption )?([A-H])[)\]]")
_SO = re.compile(rf"(?:{words.SO})", re.I | re.M)
_CLAUSE_END = re.compile(r"\s?(?:[.!;\n]|$)")
_VERDICT = re.compile(rf"(?:{words.VERDICT})", re.I | re.M)
# "A is wrong; B", "Not A. B.", "Not A or C: B": the letter that remains; not "Not the answer: B".
_REMAINS = re.compile(r"(?:[.;!]\s|\n|(?<=\b[A-H]):\s)([A-H])[.!]?$")
_EXCLUDES = re.compile(rf"\bnot\b|\bneither\b|{words.DENIED}", re.I)
_SUPERLATIVE = re.compile(r"\b(?:best|most|only|single|beste|mejor|meilleure|answer|más|plus)\b", re.I)
DENIED = re.compile(rf"(?:{words.DENIED})", re.I)
_SUPPOSED = re.compile(rf"(?:{words.CONDITIONAL}|{words.DOUBTED})", re.I)
_HEDGED = re.compile(words.HEDGED, re.I)
_DENIED_LINK = re.compile(words.DENIED_LINK, re.I)
# "I would not choose A but": what was doubted before it is over.
_CONTRAST = re.compile(words.CONTRAST, re.I)
NONE_OF = re.compile(r"\b(?:none|neither|nor|not|except|no|nicht|não|pas|не)\b|没有|都不", re.I)
# "B)" or "(B)" anywhere.
_MARKED = re.compile(rf"(?<![{W}])\(?([A-H])[)\]]")
# "B", "I think B", "of the options, B" before "is the best"; not "plan B".
_SUBJECT = re.compile(
    rf"(?:^|[,;:]|(?i:\b(?:that|think|believe|so|but|and|thus|hence|therefore|say|options|choices|only|daher ist|"
    rf"answer)\s))\s?"
    rf"(?:选项|選択肢)?({OPTION_LIST.pattern})\s?(?:选项|项)?\s?$"
)
_SENTENCE_ENDS = (". ", "? ", "! ", "\n", "\u3002")
_SENTENCE_CHARS = 300


def statements(text: str, several: bool) -> Iterator[Letters]:
    """The letters of each statement about the answer, in order."""
    for span in spans(_CUE.finditer(text), lambda cue: _statement(cue, several)):
        yield span.value


def _statement(cue: re.Match[str], several: bool) -> tuple[int, Letters] | None:
    """The letters behind an announcement of the answer, and where they end."""
    text, start = cue.string, cue.end()
    if denied_before(text, cue.start()):
        return None
    if cue["noun"]:
        gap = _GAP.match(text, start, start + 90)
        if gap is None or _DENIED_LINK.search(text, start, gap.start("link")):
            return None
        start = gap.end()
    found = list_at(text, start, several)
    if found is None and cue["noun"]:
        found = _bracketed_at(text, start)
    if found is None or _HEDGED.match(text, found[0]):
        return None
    return None if _supposed(text, cue.start()) and not _CONTRAST.fullmatch(cue[0]) else found


def _bracketed_at(text: str, start: int) -> tuple[int, Letters] | None:
    match = _BRACKETED.match(text, start, start + 130)
    if match is None or DENIED_NEXT.match(text, match.end()) or any(end in match[0] for end in _SENTENCE_ENDS):
        return None
    return match.end(), frozenset(match[1])


def denied_before(text: str, place: int) -> bool:
    """Whether the word right before a place denies what follows."""
    return _DENIED_LINK.search(text, max(0, place - 15), place) is not None


def _sentence_start(text: str, place: int) -> int:
    far = max(0, place - _SENTENCE_CHARS)
    return max(far - 1, *(text.rfind(end, far, place) for end in _SENTENCE_ENDS)) + 1


def _supposed(text: str, place: int) -> bool:
    """Whether the sentence of a statement begins with a condition or a doubt ("If it were signed, the answer would be
    A", "I don't think that the answer is A"). What "but" begins is a sentence of its own here."""
    start = _sentence_start(text, place)
    return _SUPPOSED.search(text, max(start, text.rfind(" but ", start, place)), place) is not None


def verdicts(text: str, several: bool) -> Iterator[Letters]:
    """The options that are called right, in order. Of several right options none is "the best"."""
    for match in _VERDICT.finditer(text):
        if several and _SUPERLATIVE.search(match[0]):
            continue
        clause = text[_sentence_start(text, match.start()) : match.start()]
        letters = None if NONE_OF.search(clause) or _SUPPOSED.search(clause) else _spoken_of(clause)
        if letters and not _HEDGED.match(text, match.end()) and not DENIED_NEXT.match(text, match.end()):
            yield letters


def _spoken_of(clause: str) -> Letters | None:
    """The options a clause speaks of: those called so, else one marked as a label, else bare letters as its subject."""
    for pattern in (NAMED_OPTIONS, _MARKED, _SUBJECT):
        found = [
            match[1] for match in pattern.finditer(clause) if match[1].strip("\"'()[]<>").isupper() or len(match[1]) > 1
        ]
        letters = letters_in(found[-1]) if found else None
        if letters:
            return letters
    return None


def conclusion(text: str) -> Letters | None:
    """The letter of the last "so B." or "therefore, option B"."""
    found = None
    for cue in _SO.finditer(text):
        start = cue.end() + text.startswith(",", cue.end())
        listed = list_at(text, start, several=False)
        if listed is None:
            continue
        end, letters = listed
        if text[end - 1] in ")]" or _CLAUSE_END.match(text, end):
            found = letters
    return found


def remaining(text: str) -> Letters | None:
    """The letter that a text ends with, where other options were excluded before it ("A is wrong; B")."""
    last = _REMAINS.search(text, max(0, len(text) - 6))
    if last is None or not _EXCLUDES.search(text, max(0, last.start() - _SENTENCE_CHARS), last.start()):
        return None
    return frozenset(last[1])


def is_denied_from(text: str, place: int) -> bool:
    """Whether the sentence that goes on at a place denies what it speaks of."""
    far = min(len(text), place + _SENTENCE_CHARS)
    ends = [at for at in (text.find(end, place, far) for end in _SENTENCE_ENDS) if at >= 0]
    return DENIED.search(text, place, min(ends, default=far)) is not None
