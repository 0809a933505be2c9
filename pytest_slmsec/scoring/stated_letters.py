"""The letters of the options that an answer commits to: our own reading, for one right option or several.

The text comes from `normalise.plain_text`; the words from `answer_words`. Every pattern has bounded repetitions, so
reading takes time proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_slmsec.scoring import answer_words as words
from pytest_slmsec.scoring.answer_words import W
from pytest_slmsec.scoring.normalise import plain_text

Letters = frozenset[str]

# A letter or letters that may name options, not the beginning of "Based", "C:\", "D-Link", "C++", "A.B" or "don't".
_RUN = (
    rf"[\"'(\[<]{{0,2}}(?<![{W}])(?:[A-H]{{1,8}}|[a-h])"
    rf"(?![{W}#@\\]|-[{W}]|[+&/](?![\"'(\[]?[A-H](?![{W}]))|'[a-z]|:[\\/]|\.[A-Za-z0-9])[\"')\]>]{{0,2}}"
)
_FIRST = rf"(?<![{W}\\/.@-]){_RUN}"
# "B", "(A) and (C)", "A, C, D", "ACD".
_LIST = re.compile(rf"{_FIRST}(?:(?i:{words.AND}){_RUN}){{0,7}}")
_SPACED_LIST = re.compile(rf"{_FIRST}(?:(?:(?i:{words.AND})|\s){_RUN}){{0,7}}")
# "Option B.", "(b)", "选项 A, C" and nothing else.
_ALONE = re.compile(
    rf"[\s.:;\"'(\[<>=-]{{0,4}}(?:(?i:options?|choices?|letter|antwort|opción|choix)\s|选项\s?)?"
    rf"({_RUN}(?:(?:(?i:{words.AND})|\s{{1,2}}){_RUN}){{0,7}})[\s.,:;!\"')\]>=-]{{0,6}}(?:\((?:correct)\))?\s?"
)
_FILLER = re.compile(rf"(?:{words.FILLER}){{0,12}}+", re.I)
# "The correct answer to the question is", "Answer:", "Option ->", "I choose", "答案是"; one group for each kind.
_CUE = re.compile(
    rf"{words.LINE_START}|(?P<noun>{words.ANSWER_NOUN})|{words.WEAK_NOUN}|{words.VERB}|(?:{words.CHINESE})",
    re.I | re.M,
)
_GAP = re.compile(rf"(?:[^.\n?!:=|]|\.(?=\S)){{0,70}}?(?P<link>{words.LINK})", re.I)
# "answer is Lateral Movement (B)": the letter stands in brackets behind the text of the option.
_BRACKETED = re.compile(r"[^\n]{1,120}?[(\[](?:[Oo]ption )?([A-H])[)\]]")
_SO = re.compile(rf"(?:{words.SO})", re.I)
_CLAUSE_END = re.compile(r"\s?(?:[.!;\n]|$)")
_VERDICT = re.compile(rf"(?:{words.VERDICT})", re.I)
_SUPERLATIVE = re.compile(r"\b(?:best|most|only|single|beste|mejor|meilleure|answer|más|plus)\b", re.I)
_DENIED = re.compile(rf"(?:{words.DENIED})", re.I)
_DENIED_NEXT = re.compile(rf"[^.\n]{{0,3}}(?:{words.DENIED})", re.I)
_CONDITIONAL = re.compile(rf"(?:{words.CONDITIONAL})", re.I)
_NONE_OF = re.compile(r"\b(?:none|neither|nor|not|except|no)\b|没有|都不", re.I)
_OR = re.compile(words.OR, re.I)
# Behind a bare letter A: a verb, a sign or the end, so that it is not the article of "A Trojan horse".
_NO_ARTICLE = re.compile(
    r"\s?(?:$|\n|[^\s\w]|[\u3000-\u9fff])|\s(?:is|was|as|because|since|due|which|would|will|seems|corresponds|refers|fits|"
    r"matches|describes|and|or|not|over|rather|ist|weil|und|es|porque|est|car|et)\b"
)
_REASON = re.compile(words.REASON, re.I)
# "A: B" is short for "Answer: B", if nothing else follows on its line.
_A_COLON = re.compile(r"^A\s?:\s?(?=[\"'(\[]?[A-Ha-h][)\]\"'.]{0,2}(?:\s|$))", re.M)
# "1. B": the only point of a list.
_NUMBER = re.compile(r"^\d{1,2}[.)]\s")
# "B)", "Option C.", "d - ": the label of an option at the beginning of a line.
_LABEL = re.compile(
    r"(?:(?:\(correct\)|->)\s)?(?P<named>(?i:option|choice|opción|antwort)\s|选项\s?)?[\"'(\[]{0,2}"
    r"(?P<letter>[A-Ha-h])(?:(?P<bracket>[)\]]{1,2}|[\"'])|(?=\s?[.:,](?![\\/A-Za-z0-9]))|(?=\s-\s)|(?=\s->))"
    r"(?![\\/])"
)
# "Option A", "choice C", "选项B".
_NAMED = re.compile(rf"(?:\b(?i:options?|choices?|both)\s|选项\s?)({_LIST.pattern})")
# "B)" or "(B)" anywhere.
_MARKED = re.compile(rf"(?<![{W}])\(?([A-H])[)\]]")
# "B", "I think B", "of the options, B" before "is the best"; not "plan B".
_SUBJECT = re.compile(
    rf"(?:^|[,;:]|(?i:\b(?:that|think|believe|so|but|and|thus|hence|therefore|say|options|choices|only)\s))\s?"
    rf"({_LIST.pattern})\s?(?:选项|项)?\s?$"
)
# "Lateral Movement (B)." at the end of a line.
_LAST_BRACKETS = re.compile(r"\s[(\[](?:[Oo]ption )?([A-H])[)\]][\s.!]{0,3}$")
_SENTENCE_ENDS = (". ", "? ", "! ", "\n", "\u3002")
_SENTENCE_CHARS = 300
LINE_END_CHARS = 200
LINES_READ = 200
"""Lines at the beginning in which labels are looked for."""
# "A is", "(B) this" at the beginning of a line.
_LINE_LETTER = re.compile(rf"^[\"'(\[]{{0,2}}([A-H])(?![{W}])", re.M)
_JOINT = re.compile(words.AND, re.I)


def stated_letters(text: str) -> Letters | None:
    """The letters A to H that an answer with several possible options commits to, or None. Strongest reading first:

    1. the whole answer, or its last line, is nothing but letters: "A, C", "(b)", "ACD";
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
        _alone(plain) or _alone(lines[-1]) or _last(_statements(plain, several=True)) or _alone(lines[0])
        or _last(_verdicts(plain, several=True)) or _labels(lines)
    )  # fmt: skip
    if found:
        return found
    letter = _single(plain, lines)
    return None if letter is None or _others(plain, letter) else letter


def stated_letter(text: str, options: str = "ABCD") -> str | None:
    """The one letter that an answer commits to, or None. Strongest reading first; within one reading the last statement
    counts, since a writer who corrects himself does so later:

    1. the whole answer, or its last line, is nothing but a letter;
    2. a statement about the answer: "The correct answer is B)", "Answer: (c)", "A: B", "答案是B";
    3. an answer line at the start: "B" or "Option A) Audit" with an explanation below it, or "B, because ...";
    4. a verdict on an option: "Option D is the best option";
    5. a conclusion: "... so B.";
    6. the label at the start, or the only option named at all: "B) Execution Prevention", "Option A is it.";
    7. the letter in brackets at the end: "Lateral Movement (B)".

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
    whole = _alone(plain) or _alone(lines[-1])
    if whole:
        return whole
    for found in (
        _last(_statements(plain, several=False)),
        _alone(lines[0]),
        _opening(lines),
        _last(_verdicts(plain, several=False)),
        _conclusion(plain),
        _only_named(plain, lines),
        _last_brackets(lines),
    ):
        if found and len(found) == 1:
            return found
    return None


def _alone(line: str) -> Letters | None:
    match = _ALONE.fullmatch(line)
    return _letters(match[1]) if match else None


def _letters(listed: str) -> Letters | None:
    """The letters of a list; None where a run of letters is not in alphabetical order and so may be a word."""
    runs = re.findall(rf"(?<![{W}])(?:[A-H]{{1,8}}|[a-h])(?![{W}])", listed)
    if any("".join(sorted(set(run))) != run for run in runs):
        return None
    return frozenset("".join(runs).upper())


def _last(found: Iterator[Letters]) -> Letters | None:
    letters = None
    for letters in found:  # noqa: B007
        pass
    return letters


def _statements(text: str, several: bool) -> Iterator[Letters]:
    """The letters of each statement about the answer, in order."""
    end = 0
    for cue in _CUE.finditer(text):
        if cue.start() < end:
            continue
        start = cue.end()
        if cue["noun"]:
            gap = _GAP.match(text, start, start + 90)
            if gap is None:
                continue
            start = gap.end()
        letters, after = _list_at(text, start, several)
        if letters is None and cue["noun"]:
            letters, after = _bracketed_at(text, start)
        if letters and not _supposed(text, cue.start()):
            end = after
            yield letters


def _list_at(text: str, start: int, several: bool) -> tuple[Letters | None, int]:
    filler = _FILLER.match(text, start, start + 80)
    place = filler.end() if filler else start
    while place > start and text[place - 1] in "\"'([":
        place -= 1
    pattern = _SPACED_LIST if several else _LIST
    match = pattern.match(text, place)
    if match is None or not _names_options(match, several):
        return None, start
    return _letters(match[0]), match.end()


def _bracketed_at(text: str, start: int) -> tuple[Letters | None, int]:
    match = _BRACKETED.match(text, start, start + 130)
    if match is None or _DENIED_NEXT.match(text, match.end()) or any(end in match[0] for end in _SENTENCE_ENDS):
        return None, start
    return frozenset(match[1]), match.end()


def _names_options(match: re.Match[str], several: bool) -> bool:
    """Whether a matched list names options: it is not the article, not denied, and no choice left open by "or"."""
    text, end, listed = match.string, match.end(), match[0]
    if _OR.match(text, end) or _DENIED_NEXT.match(text, end):
        return False
    letters = listed.strip("\"'()[]<>")
    marked = listed[-1] in "\"')]>"
    if len(letters) == 1 and letters.islower():
        return marked or text[end : end + 1] in ("", ".", ",", ";", ":", "\n")
    if letters == "A" and not marked:
        return bool(_NO_ARTICLE.match(text, end))
    return several or len(letters) == 1


def _sentence_start(text: str, place: int) -> int:
    far = max(0, place - _SENTENCE_CHARS)
    return max(far - 1, *(text.rfind(end, far, place) for end in _SENTENCE_ENDS)) + 1


def _supposed(text: str, place: int) -> bool:
    """Whether the sentence of a statement begins with a condition ("If it were signed, the answer would be A")."""
    return _CONDITIONAL.search(text, _sentence_start(text, place), place) is not None


def _opening(lines: list[str]) -> Letters | None:
    """The label of a first line with an explanation below it, or a letter with its reason ("B, because ...")."""
    first = lines[0]
    bare = _LIST.match(first)
    if bare and len(bare[0]) == 1 and bare[0].isupper() and _REASON.match(first, bare.end()):
        return frozenset(bare[0])
    label = _label(first)
    if label is None or len(lines) == 1 or first.endswith((".", "?", "!")) or _DENIED.search(first):
        return None
    if not label["named"] and _line_labels(lines[1:]) - {label["letter"].upper()}:
        return None  # the options, repeated
    return frozenset(label["letter"].upper())


def _label(line: str) -> re.Match[str] | None:
    label = _LABEL.match(line)
    if label is None or (label["letter"].islower() and not label["bracket"] and line.startswith(",", label.end())):
        return None
    return None if _OR.match(line, label.end()) or _joined(line, label.end()) else label


def _joined(text: str, place: int) -> bool:
    joint = _JOINT.match(text, place)
    return joint is not None and _LIST.match(text, joint.end()) is not None


def _verdicts(text: str, several: bool) -> Iterator[Letters]:
    """The options that are called right, in order. Of several right options none is "the best"."""
    for match in _VERDICT.finditer(text):
        if several and _SUPERLATIVE.search(match[0]):
            continue
        clause = text[_sentence_start(text, match.start()) : match.start()]
        letters = None if _NONE_OF.search(clause) or _CONDITIONAL.search(clause) else _spoken_of(clause)
        if letters and not text.startswith("?", match.end()):
            yield letters


def _spoken_of(clause: str) -> Letters | None:
    """The options a clause speaks of: those called so, else one marked as a label, else bare letters as its subject."""
    for pattern in (_NAMED, _MARKED, _SUBJECT):
        found = [
            match[1] for match in pattern.finditer(clause) if match[1].strip("\"'()[]<>").isupper() or len(match[1]) > 1
        ]
        letters = _letters(found[-1]) if found else None
        if letters:
            return letters
    return None


def _conclusion(text: str) -> Letters | None:
    """The letter of the last "so B." or "therefore, option B"."""
    found = None
    for cue in _SO.finditer(text):
        start = cue.end() + text.startswith(",", cue.end())
        letters, end = _list_at(text, start, several=False)
        if letters and (text[end - 1] in ")]" or _CLAUSE_END.match(text, end)):
            found = letters
    return found


def _only_named(plain: str, lines: list[str]) -> Letters | None:
    """The label at the start, if every other option is denied; else the only option named at all."""
    label = _label(lines[0])
    named = [(_letters(match[1]), match.end()) for match in _NAMED.finditer(plain)]
    if label:
        letter = frozenset(label["letter"].upper())
        rivals = [end for letters, end in named if letters and letters != letter]
        if (
            not label["named"]
            and not _line_labels(lines) - letter
            and not _denied_from(lines[0], label.end())
            and all(_denied_from(plain, end) for end in rivals)
        ):
            return letter
        named.insert(0, (letter, label.end()))
    letters = _line_labels(lines).union(*(letters for letters, _ in named if letters))
    if len(letters) != 1 or not named or _denied_from(plain, named[0][1]):
        return None
    return letters


def _line_labels(lines: list[str]) -> Letters:
    """The letters with which lines begin as with a label."""
    labels = [_label(line) for line in lines[:LINES_READ]]
    return frozenset(label["letter"].upper() for label in labels if label)


def _denied_from(text: str, place: int) -> bool:
    """Whether the sentence that goes on at a place denies what it speaks of."""
    far = min(len(text), place + _SENTENCE_CHARS)
    ends = [at for at in (text.find(end, place, far) for end in _SENTENCE_ENDS) if at >= 0]
    return _DENIED.search(text, place, min(ends, default=far)) is not None


def _last_brackets(lines: list[str]) -> Letters | None:
    """The letter in brackets at the end of the last line or, if that has none, of the first."""
    for line in (lines[-1], lines[0]):
        match = _LAST_BRACKETS.search(line[-LINE_END_CHARS:])
        if match and not _DENIED.search(line) and not _NONE_OF.search(line):
            return frozenset(match[1])
    return None


def _labels(lines: list[str]) -> Letters | None:
    """The labels, if every line begins with another one and the lines do not just repeat all options."""
    labels = [_LABEL.match(line) for line in lines[: LINES_READ + 1]]
    found = [label["letter"] if label and label["letter"].isupper() else "" for label in labels]
    if "" in found or len(set(found)) < len(found):
        return None
    repeats_options = len(found) > 3 and "".join(found) == "ABCDEFGH"[: len(found)]
    return None if repeats_options else frozenset(found)


def _others(plain: str, letter: Letters) -> bool:
    """Whether an option besides the one read is named, as "Option A", "选项A" or at the beginning of a line."""
    named = {letters for match in _NAMED.finditer(plain) for letters in [_letters(match[1])] if letters}
    at_start = {frozenset(match[1]) for match in _LINE_LETTER.finditer(plain)}
    return bool((named | at_start) - {letter})
