"""The set of letters of a multiple-choice answer that may have several right options.

Two released scorers, with their defects, and our own reading:

* `official_seceval`: `eval/eval.py` of the repository `XuanwuAI/SecEval`: every A, B, C and D anywhere in the text.
* `official_opseval`: `src/network_score.py`, function `format_sc`, of the fork `lwhere/OpsEval-Datasets` (the
  repository of the data has no scorer). Letters must be parted by commas; another capital word makes the answer empty.
* `strict_letters`: what an answer says, in English or Chinese; used in strict mode, and in both modes for SecBench, of
  which no scorer was released (its authors report "correctness", all letters and no other).

All of them count an item as right only when the set is exactly that of the gold answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letters import AFTER_NAME, MARKUP, QUOTES, strict_letter
from pytest_slmsec.scoring.metrics import SHARE, UNSCORED

_ASCII = str.maketrans({code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"\u3001": ",", "\u3002": "."})

# Word boundaries by ASCII, because a Chinese sentence goes on without a blank. Not read: "C++", "D-Link", "C:\", "A.B".
_RUN = r"[\"'(\[]*(?<![A-Za-z0-9_])[A-H]{1,8}(?![A-Za-z0-9_+#@\\-]|'[A-Za-z]|:[\\/]|\.[A-Za-z0-9])[\"')\]]*"
_JOINT = r"(?:(?:\s*(?:[,;/&+]|\band\b|[\u548c\u4e0e\u53ca]))+\s*|\s+)"
_LIST = rf"(?<![A-Za-z0-9_\\/.-])({_RUN}(?:{_JOINT}{_RUN})*)"
_SMALL_LIST = re.compile(r"[\s\"'(\[]*[a-h](?:[\s\"')\](]*(?:[,;/&]|and)[\s\"'(\[)]*[a-h])*[\s\"')\].:,;]*")
_ALONE = re.compile(rf"(?i:options?|choices?|\u9009\u9879)?[\s:]*{_LIST}[\s.:,;!]*")
_OPEN_CHOICE = re.compile(r"\s*(?:\bor\b|\u6216)")
_STATED = re.compile(
    r"(?:(?i:\bit(?:'s| is)\b|\bi(?:'d|'ll| would| will)? (?:choose|select|pick|go with)\b|"
    r"(?<!wrong )(?<!incorrect )\b(?:answers?(?:\(s\))?|"
    r"(?:best|correct|right|final|chosen|selected|appropriate)\s+(?:option|choice|letter|statement)s?(?:\(s\))?)"
    r"[^.\n?\u4e00-\u9fff]{0,60}?(?:\bis\b|\bare\b|\bwould be\b|\bshould be\b|:|=))|"
    r"\u7b54\u6848|\u6b63\u786e\u7684?\u9009\u9879|\u6b63\u786e\u7684(?:\u6709|\u5305\u62ec)?|"
    r"(?<![\u4e0d\u672a\u8bef])\u9009\u62e9?)"
    r"(?:[\s:]|[\u662f\u4e3a\u5e94\u6709\u8be5\u9009\u9879]|(?i:\b(?:the|options?|choices?|letters?|both)\b)){0,12}+"
    + _LIST
)
_VERDICT = re.compile(
    rf"(?:\b(?i:options?|choices?|both)|\u9009\u9879)\s*{_LIST}\s*(?:\b(?i:is|are)\b|\u90fd?\u662f?)\s*"
    r"(?:(?i:all|both|the)\s+){0,2}(?:\b(?i:correct|right|true)\b|\u6b63\u786e|\u5bf9\u7684)"
)
_LABEL = re.compile(r"\s*(?:(?i:option|choice)\s+|\u9009\u9879\s*)?[\"'(\[]*([A-H])\s?[).:\]](?![\\/])")
_NAMED = re.compile(r"(?:(?:\b(?i:option|choice)|\u9009\u9879)\s*|^\s*)[\"'(\[]*([A-H])(?![A-Za-z0-9])", re.M)


def gold_letters(gold: str) -> frozenset[str]:
    """The letters of a published answer (``B``, ``AC``, ``A,D,E,``); a number names the option at that place."""
    letters = frozenset(re.findall(r"[A-H]", gold.upper()))
    place = gold.strip()
    return letters or frozenset("ABCDEFGH"[int(place) - 1] if place in tuple("12345678") else "")


def letters_share(gold: str) -> str:
    """Which accuracy an item counts for besides the whole: that of the items with one right letter, or with several."""
    return "several letters" if len(gold_letters(gold)) > 1 else "one letter"


def official_seceval(text: str) -> str:
    """All of A-D that occur in the text once ``Answer:`` is taken out, in order: ``ABD``; may be empty."""
    return "".join(sorted(set(re.findall(r"[A-D]", text.replace("Answer:", "")))))


def official_opseval(text: str) -> frozenset[str]:
    """The capital words between commas, if all words of the first run of letters are capitals; else nothing.

    ``and`` counts as a comma, also inside a word. The run starts at the first capital letter and ends before the first
    character that is no ASCII letter, blank or comma.
    """
    words = [_run(part.strip()) for part in _run(text).split(",")]
    words = [word for word in words if word]
    return frozenset(words if all(word.isascii() and word.isupper() for word in words) else ())


def _run(text: str) -> str:
    text = text.replace("and", ",")
    start = next((at for at, char in enumerate(text) if char.isupper()), None)
    if start is None:
        return ""
    rest = enumerate(text[start + 1 :], start + 1)
    inside = " ,abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text[start : next((at for at, char in rest if char not in inside), len(text))]


def strict_letters(text: str) -> frozenset[str] | None:
    """The letters that an answer commits to, or None. Strongest reading first:

    1. the whole answer, or its last line, is nothing but letters: "A, C", "(b)", "ACD";
    2. a statement about the answer; the last one counts: "The correct answers are A and C.", "Answer: BD";
    3. the first line is nothing but letters and an explanation follows;
    4. a verdict on named options: "Options A and D are correct";
    5. every line starts with the label of another option; a list of four or more from A on only repeats the question;
    6. the one letter that `scoring.letters.strict_letter` reads, if no other option is named.

    Joined letters count in alphabetical order only ("ACD", not the word "BAD"). Never read: the article "A", letters
    joined by "or", small letters within a sentence.
    """
    plain = MARKUP.sub("", text.translate(QUOTES).translate(_ASCII)).strip()
    lines = [line for line in plain.splitlines() if line.strip()]
    if not lines:
        return None
    readings: tuple[Callable[[], frozenset[str] | None], ...] = (
        lambda: _alone(plain) or _alone(lines[-1]),
        lambda: _last(_STATED, plain),
        lambda: _alone(lines[0]),
        lambda: _last(_VERDICT, plain),
        lambda: _labels(lines),
        lambda: _single(plain),
    )
    return next((found for reading in readings if (found := reading())), None)


def _alone(line: str) -> frozenset[str] | None:
    if _SMALL_LIST.fullmatch(line):
        return frozenset(letter.upper() for letter in re.findall(r"\b[a-h]\b", line))
    match = _ALONE.fullmatch(line)
    return _letters(match[1]) if match else None


def _last(pattern: re.Pattern[str], text: str) -> frozenset[str] | None:
    found = [letters for match in pattern.finditer(text) if (letters := _committed(match))]
    return found[-1] if found else None


def _committed(match: re.Match[str]) -> frozenset[str] | None:
    tail = match.string[match.end(1) : match.end(1) + 40]
    article = match[1] == "A" and not AFTER_NAME.match(tail)
    return None if article or _OPEN_CHOICE.match(tail) else _letters(match[1])


def _letters(listed: str) -> frozenset[str] | None:
    """The letters of a list; None where a run of letters is not in alphabetical order and so may be a word."""
    runs = re.findall(r"(?<![a-z])[A-H]+(?![a-z])", listed)
    if any("".join(sorted(set(run))) != run for run in runs):
        return None
    return frozenset("".join(runs))


def _labels(lines: list[str]) -> frozenset[str] | None:
    labels = [match[1] if (match := _LABEL.match(line)) else "" for line in lines]
    letters = frozenset(labels)
    if "" in letters or len(letters) < len(labels):
        return None
    repeats_options = len(labels) > 3 and "".join(labels) == "ABCDEFGH"[: len(labels)]
    return None if repeats_options else letters


def _single(text: str) -> frozenset[str] | None:
    letter = strict_letter(text)
    return None if letter is None or set(_NAMED.findall(text)) - {letter} else frozenset(letter)


def _score(item: Item, letters: frozenset[str], parsed: bool, right: bool) -> Score:
    shares = {f"{SHARE}{name}": float(right) for name in item.meta.get("shares", ())}
    return Score(float(right), parsed, right, "".join(sorted(letters)) or None, shares)


def score_letter_set(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the answer's letters are exactly those of the gold answer; both modes are the same.

    An item without a published answer (seven of SecEval) cannot be answered: its part `UNSCORED` keeps it out of the
    metric's denominator.
    """
    del mode
    letters, gold = strict_letters(output.text or ""), gold_letters(item.gold)
    if not gold:
        return Score(0.0, letters is not None, False, "".join(sorted(letters or ())) or None, {UNSCORED: 1.0})
    return _score(item, letters or frozenset(), letters is not None, letters == gold)


def score_seceval(item: Item, output: Output, mode: Mode) -> Score:
    """Official: as `official_seceval`; no answer counts as unparsed, the seven items without a published answer are
    right when no letter occurs, and the two answers published as ``AA`` are never right."""
    if mode is Mode.STRICT:
        return score_letter_set(item, output, mode)
    letters = official_seceval(output.text or "")
    return _score(item, frozenset(letters), True, letters.lower() == item.gold.lower())


def score_opseval(item: Item, output: Output, mode: Mode) -> Score:
    """Official: as `official_opseval`; no answer counts as unparsed, and the answers published with a comma at the end
    or as a number are never right."""
    if mode is Mode.STRICT:
        return score_letter_set(item, output, mode)
    letters = official_opseval(output.text or "")
    return _score(item, letters, True, letters == {part.strip() for part in item.gold.split(",")})
