"""Options that an answer names by a label: at the beginning of a line ("B) Audit"), or in brackets at its end."""

from __future__ import annotations

import re

from pytest_slmsec.scoring import answer_words as words
from pytest_slmsec.scoring.answer_statements import DENIED, NONE_OF, denied_before, is_denied_from
from pytest_slmsec.scoring.answer_words import W
from pytest_slmsec.scoring.graded_options import grade
from pytest_slmsec.scoring.option_lists import NAMED_OPTIONS, OPTION_LIST, OR_OPTION, Letters, letters_in, whole_list

_REASON = re.compile(words.REASON, re.I)
# "B)", "Option C.", "d - ": the label of an option at the beginning of a line.
_LABEL = re.compile(
    r"(?:(?:\(correct\)|->)\s)?(?P<named>(?i:option|choice|opción|antwort)\s|选项\s?)?[\"'(\[]{0,2}"
    r"(?P<letter>[A-Ha-h])(?:(?P<bracket>[)\]]{1,2}|[\"'](?![a-z]))|(?=\s?[.:,](?![\\/A-Za-z0-9]))|(?=\s-\s)|(?=\s->))"
    r"(?![\\/])"
)
# "Lateral Movement (B)." at the end of a line.
_LAST_BRACKETS = re.compile(r"\s[(\[](?:[Oo]ption )?([A-H])[)\]][\s.!]{0,3}$")
# "Lateral Movement: B", "B (Lateral Movement)": a letter beside the text of its option, and nothing else.
_BESIDE_TEXT = re.compile(
    r"(?P<text>(?:(?!\d)[\w'/&.-]{2,30}[ ,]{1,2}){0,9}(?!\d)[\w'/&.-]{2,30}"
    r"(?:\s\([^()\n]{1,40}\))?)\s?:\s[(\[]?([A-H])[)\]]?[.!]?|"
    r"([A-H])\s?\([^()\n]{2,120}\)[.!]?"
)
# "Note: B", "Rejected: B": a label that says something else about the letter.
_OTHER_LABEL = re.compile(
    r"\b(?:wrong|incorrect|worst|least|false|excluded?|excluding|reject\w*|ruled out|discard\w*|eliminat\w*|notes?|"
    r"appendix|figure|table|section|chapter|annex|see|grade|plan|drive|vitamin|class|type|level|part|step|question|"
    r"example|unlike|distractors?|candidates?|maybe|perhaps|possibly)\b",
    re.I,
)
# "wrong" behind a label, and nothing else.
_WRONG = re.compile(r"[\s.:,)>-]{0,4}(?:(?:is )?(?:wrong|incorrect|not correct)|\(wrong\)|falsch)[\s.!]{0,3}", re.I)
LINE_END_CHARS = 200
LINES_READ = 200
"""Lines at the beginning in which labels are looked for."""
# "A is", "(B) this" at the beginning of a line.
_LINE_LETTER = re.compile(rf"^[\"'(\[]{{0,2}}([A-H])(?![{W}])", re.M)
_JOINT = re.compile(words.AND, re.I)
# "A: I am not sure", "A: What?": a turn of a dialogue.
_SPEAKS = re.compile(r"A:\s(?:(?:I|We|You|It|The)\b|[^\n]{1,200}\?$)")


def opening_label(lines: list[str]) -> Letters | None:
    """The label of a first line with an explanation below it, or a letter with its reason ("B, because ...")."""
    first = lines[0]
    bare = OPTION_LIST.match(first)
    letter = bare[0].strip("\"'()[]") if bare else ""
    if bare and len(letter) == 1 and letter.isupper() and _REASON.match(first, bare.end()):
        return frozenset(letter)
    label = _label(first)
    if label is None or len(lines) == 1 or first.endswith((".", "?", "!")) or DENIED.search(first):
        return None
    others = _line_labels(lines[1:]) - {label["letter"].upper()}
    graded = grade(first) if others else None
    if graded is not None and not graded[1]:
        return None  # "A) wrong", "B) correct"
    if not label["named"] and others and min(others) > label["letter"].upper():
        return None  # the options, repeated in their order
    return frozenset(label["letter"].upper())


def _label(line: str) -> re.Match[str] | None:
    label = _LABEL.match(line)
    if label is None or (label["letter"].islower() and not label["bracket"] and line.startswith(",", label.end())):
        return None
    rest = whole_list(line[label.end("letter") :])
    if _WRONG.fullmatch(line, label.end()):
        return None  # "B: wrong"
    if not label["named"] and _next_label(line, label):
        return None  # "A) Audit B) Backup": the options, repeated
    if _SPEAKS.match(line, label.start("letter")) or rest not in (None, frozenset(label["letter"].upper())):
        return None  # "A: I am not sure", "A. B"
    return None if OR_OPTION.match(line, label.end()) or _joined(line, label.end()) else label


def _next_label(line: str, label: re.Match[str]) -> bool:
    """Whether the label of the next option stands further on in the line, and is not denied there."""
    following = chr(ord(label["letter"].upper()) + 1)
    found = re.compile(rf"[\s,;(|\"']{following}[\"']?\s?[):.]").search(line, label.end(), label.end() + LINE_END_CHARS)
    return found is not None and not is_denied_from(line, found.end())


def _joined(text: str, place: int) -> bool:
    joint = _JOINT.match(text, place)
    return joint is not None and OPTION_LIST.match(text, joint.end()) is not None


def only_option(plain: str, lines: list[str]) -> Letters | None:
    """The label at the start, if every other option is denied; else the only option named at all."""
    label = _label(lines[0])
    named = [(letters_in(match[1]), match.end()) for match in NAMED_OPTIONS.finditer(plain)]
    if any(denied_before(plain, match.start()) for match in NAMED_OPTIONS.finditer(plain)):
        return None
    if label:
        letter = frozenset(label["letter"].upper())
        rivals = [end for letters, end in named if letters and letters != letter]
        if (
            not label["named"]
            and not _line_labels(lines) - letter
            and not is_denied_from(lines[0], label.end())
            and all(is_denied_from(plain, end) for end in rivals)
        ):
            return letter
        named.insert(0, (letter, label.end()))
    letters = _line_labels(lines).union(*(letters for letters, _ in named if letters))
    if len(letters) != 1 or not named or is_denied_from(plain, named[0][1]):
        return None
    return letters


def _line_labels(lines: list[str]) -> Letters:
    """The letters with which lines begin as with a label."""
    labels = [_label(line) for line in lines[:LINES_READ]]
    return frozenset(label["letter"].upper() for label in labels if label)


def last_brackets(lines: list[str]) -> Letters | None:
    """The letter in brackets at the end of the last line or, if that has none, of the first."""
    for line in (lines[-1], lines[0]):
        match = _LAST_BRACKETS.search(line[-LINE_END_CHARS:])
        if match and not DENIED.search(line) and not NONE_OF.search(line):
            return frozenset(match[1])
    return None


def beside_its_text(lines: list[str]) -> Letters | None:
    """The letter of an answer of one line that is a letter and the text of its option."""
    match = _BESIDE_TEXT.fullmatch(lines[0]) if len(lines) == 1 else None
    if match is None:
        return None
    said = match["text"] or ""
    if DENIED.search(lines[0]) or NONE_OF.search(said) or _OTHER_LABEL.search(said):
        return None
    return frozenset(match[2] or match[3])


def labels_of_lines(lines: list[str]) -> Letters | None:
    """The labels, if every line begins with another one and the lines do not just repeat all options."""
    labels = [_label(line) for line in lines[: LINES_READ + 1]]
    found = [label["letter"] if label and label["letter"].isupper() else "" for label in labels]
    if "" in found or len(set(found)) < len(found):
        return None
    repeats_options = len(found) > 3 and "".join(found) == "ABCDEFGH"[: len(found)]
    return None if repeats_options else frozenset(found)


def names_others(plain: str, letter: Letters) -> bool:
    """Whether an option besides the one read is named and not denied, as "Option A", "选项A" or at the beginning of a
    line."""
    named = {letters for match in NAMED_OPTIONS.finditer(plain) if not is_denied_from(plain, match.end())
             for letters in [letters_in(match[1])] if letters}  # fmt: skip
    at_start = {frozenset(match[1]) for match in _LINE_LETTER.finditer(plain) if not is_denied_from(plain, match.end())}
    return bool((named | at_start) - {letter})
