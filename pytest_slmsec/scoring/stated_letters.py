"""The letters of the options that an answer commits to: our own reading, for one right option or several."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_slmsec.scoring.answer_statements import conclusion, remaining, statements, verdicts
from pytest_slmsec.scoring.graded_options import graded_options
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.option_labels import (
    beside_its_text,
    labels_of_lines,
    last_brackets,
    names_others,
    only_option,
    opening_label,
)
from pytest_slmsec.scoring.option_lists import Letters, whole_list

# "A: B" is short for "Answer: B", if nothing else follows on its line.
_A_COLON = re.compile(r"^A\s?:\s?(?=[\"'(\[]?[A-Ha-h][)\]\"'.]{0,2}(?:\s|$))", re.M)
# "1. B", "Q1: B": the only point of a list.
_NUMBER = re.compile(r"^(?:(?:q|question|answer)\s?\d{1,3}\s?[.:)]|\d{1,2}[.)])\s", re.I)


def stated_letters(text: str) -> Letters | None:
    """The letters A to H that an answer with several possible options commits to, or None. Strongest reading first:

    1. the whole answer, or its last line, is nothing but letters: "A, C", "(b)", "ACD"; or its lines grade the options
       ("A) wrong", "B) correct");
    2. a statement about the answer; the last one counts: "The correct answers are A and C.", "Antwort: B, D";
    3. the first line is nothing but letters and an explanation follows;
    4. a verdict on named options: "Options A and D are correct";
    5. every line starts with the label of another option; a list of four or more from A on only repeats the question;
    6. the one letter that `stated_letter` reads, if no other option is named.

    Joined letters count in alphabetical order only ("ACD", not the word "BAD"). Never read: the article "A", letters
    joined by "or", small letters within a sentence, what is denied or only supposed.
    """
    plain, lines = _prepared(text)
    if not lines:
        return None
    found = (
        whole_list(plain) or whole_list(lines[-1]) or graded_options(lines)
        or _last(statements(plain, several=True)) or whole_list(lines[0])
        or _last(verdicts(plain, several=True)) or labels_of_lines(lines)
    )  # fmt: skip
    if found:
        return found
    letter = _single(plain, lines)
    return None if letter is None or names_others(plain, letter) else letter


def stated_letter(text: str, options: str = "ABCD") -> str | None:
    """The one letter that an answer commits to, or None. Strongest reading first; within one reading the last statement
    counts, since a writer who corrects himself does so later:

    1. the whole answer, or its last line, is nothing but a letter; or its lines grade the options ("A) wrong");
    2. a statement about the answer: "The correct answer is B)", "Answer: (c)", "A: B", "答案是B";
    3. an answer line at the start: "B" or "Option A) Audit" with an explanation below it, or "B, because ...";
    4. a verdict on an option: "Option D is the best option";
    5. a conclusion: "... so B."; or the letter that remains: "A is wrong; B";
    6. the label at the start, or the only option named at all: "B) Execution Prevention", "Option A is it.";
    7. the letter in brackets at the end: "Lateral Movement (B)"; or beside a text that is all else there is:
       "Lateral Movement: B", "B (Lateral Movement)".

    Never read: the article "A", a small letter within a sentence, an option whose sentence denies it, letters that are
    joined ("A and B").
    """
    plain, lines = _prepared(text)
    if not lines:
        return None
    found = _single(plain, lines)
    letter = "".join(found or ())
    return letter if len(letter) == 1 and letter in options else None


def _prepared(text: str) -> tuple[str, list[str]]:
    plain = plain_text(text)
    plain = _A_COLON.sub("Answer: ", plain)
    if "\n" not in plain:
        plain = _NUMBER.sub("", plain)
    return plain, [line.strip() for line in plain.split("\n") if line.strip()]


def _single(plain: str, lines: list[str]) -> Letters | None:
    whole = whole_list(plain) or whole_list(lines[-1]) or graded_options(lines)
    if whole:
        return whole
    for found in (
        _last(statements(plain, several=False)),
        whole_list(lines[0]),
        opening_label(lines),
        _last(verdicts(plain, several=False)),
        conclusion(plain),
        remaining(plain),
        only_option(plain, lines),
        last_brackets(lines),
        beside_its_text(lines),
    ):
        if found and len(found) == 1:
            return found
    return None


def _last(found: Iterable[Letters]) -> Letters | None:
    return next(reversed(list(found)), None)
