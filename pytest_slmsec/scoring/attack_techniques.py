"""Sets of MITRE ATT&CK technique ids (CTIBench ATE, Alam et al. 2024, arXiv 2406.07599; no scorer was released: the
paper compares the ids on the answer's last line, main techniques only)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.asides import is_aside
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

# "T1059" of "T1059.001"; not of "AT1059" or "T10591".
_TECHNIQUE = re.compile(r"(?<![A-Za-z\d])T\d{4}(?!\d)", re.I)
# "T1059.001", "T-1059", "T1059/001", "and", ", ".
_ID = r"(?<![A-Za-z\d])T[ -]?\d{4}(?!\d)(?:\s?[./:-]?\s?\d{3}(?!\d))?"
_FOUND = re.compile(_ID, re.I)
_IDS_AND_SEPARATORS = re.compile(rf"{_ID}|\b(?:and|und|y|et|or|plus|as well as)\b|[\W_]+", re.I)
# "1. ", "a) ", "| 2 | ": what may stand before the id that a line of a list is about.
_LINE_BEGIN = re.compile(
    r"[\s|\"'(\[*-]{0,6}(?:(?:\d{1,3}|[a-z])[.):]\s)?(?:\|?\s?\d{1,3}\s?\|)?[\s|\"'(\[]{0,4}", re.I
)
# "https://attack.mitre.org/techniques/T1059/001/": the same as T1059.001.
_URL = re.compile(r"(?:https?://)?(?:www\.)?attack\.mitre\.org/techniques/(T\d{4})(?:/(\d{3}))?(?!\d)/?", re.I)
# "Technique ID: ", "- Execution: ", "ID = ", "Mail -> ": a label before the ids of a line.
_LABEL = re.compile(r"[^:=\n]{0,60}?(?:[:=]|->)\s?")
# " (Execution), ", " - Command, ", "\": \"PowerShell\", \"": the name of a technique, and a sign before the next id.
_WORD = r"(?!(?:not|rather|instead|than|unlike|was|is|are|because|but|which|used|seen)\b)\w[\w&'-]{0,19}"
_NAMED = re.compile(
    rf"[^\w\n]{{1,6}}(?:{_WORD}(?:[^\w\n.;]{{1,4}}{_WORD}){{0,5}})?[^\w\n]{{0,3}}[,;|\"'\[][^\w\n]{{0,4}}(?:and\s)?",
    re.I,
)
_LONGEST_NAME = 120
# ": used to run" behind "PowerShell (T1059)".
_DEFINED = re.compile(r"[)\]\"']{1,2}\s?(?:[:=]|-[\s>])")
# "Final answer:", "Therefore, the technique IDs are:", "Answer:" begin the list that counts.
_FINAL = re.compile(
    r"\b(?:final|answer|answers|result|summary|conclusion|therefore|thus|antwort|respuesta|réponse|"
    r"(?:main |mitre |att&ck |attack )*techniques?(?: ids?)?(?: (?:are|used|is|list))?|ids?)\b[^:\n]{0,40}[:=]",
    re.I,
)
# "the techniques are", "uses", "include": a sentence that states ids.
_SAID = re.compile(
    r"\b(?:techniques?|ids?|answer|ttps?)\b[^\n]{0,80}?(?:\b(?:are|is|include[sd]?|used|following)\b|:)", re.I
)
# "Note:", "Considered but left out", "Tactics": lines about ids that are no answer.
_NOTE = re.compile(
    r"\s*(?:note|remark|ps|p\.s\.|also considered|considered|excluded|not included|left out|rejected|ruled out|"
    r"i (?:did not|excluded|left out|considered)|hinweis|nota|remarque)\b",
    re.I,
)
# "T1027 was considered, but the final answer is: ": what stands before the answer on its line.
_BEFORE_ANSWER = re.compile(
    r".*\b(?:but|so|therefore|thus|hence),? (?=(?:the |my )?(?:final |main |correct )?(?:answer|techniques?|ids?)\b"
    r"[^:=\n]{0,40}?(?:\b(?:is|are)\b|[:=]))",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of an answer that names techniques.

    Attributes:
        text: the line. ids: those that it is about. pure: it holds ids and separators only, perhaps behind a label.
        final: its label announces the answer.
    """

    text: str
    ids: tuple[str, ...]
    pure: bool
    final: bool


def technique_ids(text: str) -> frozenset[str]:
    """All technique ids in `text`; a sub-technique (``T1059.001``) counts as its main technique."""
    return frozenset(found.upper() for found in _TECHNIQUE.findall(text))


def answered_ids(text: str, mode: Mode) -> frozenset[str]:
    """The ids of an answer.

    Official: those on the last line that is not blank. Strict, strongest reading first:

    1. the last list: lines that hold only ids, or that begin with one (bullets, numbers, a table), taken together; a
       comma-separated line below such a list, and a line labelled as the answer, begin a new one;
    2. the last sentence that states ids ("The techniques are T1071 and T1573.");
    3. those on the last line.

    Ids that are set aside ("T1027 was considered and left out") do not count.
    """
    if mode is Mode.OFFICIAL:
        lines = [line for line in text.splitlines() if line.strip()]
        return technique_ids(lines[-1]) if lines else frozenset()
    plain = _URL.sub(lambda found: ".".join(filter(None, found.groups())), plain_text(text))
    lines = [_from_answer(line.strip()) for line in plain.split("\n") if line.strip()]
    if not lines:
        return frozenset()
    return _last_list(lines) or _last_stated(lines) or _meant(lines[-1])


def _from_answer(line: str) -> str:
    before = _BEFORE_ANSWER.match(line)
    return line[before.end() :] if before else line


def _main(found: str) -> str:
    """``T1059`` of ``t-1059.001``."""
    return "T" + re.sub(r"\D", "", found)[:4]


def _meant(line: str) -> frozenset[str]:
    """The ids of a sentence without those that it sets aside."""
    if _NOTE.match(line):
        return frozenset()
    return frozenset(
        _main(match[0]) for match in _FOUND.finditer(line) if not is_aside(line, match.start(), match.end())
    )


def _last_list(lines: Sequence[str]) -> frozenset[str]:
    """The ids of the last list of lines."""
    found: list[_Line] = []
    for text in lines:
        line = _line(text)
        if line is None:
            continue
        if found and _begins_anew(line, found[-1]):
            found = []
        found.append(line)
    return frozenset(name for line in found for name in line.ids)


def _begins_anew(line: _Line, before: _Line) -> bool:
    """Whether a line starts another list than the line before it: it is labelled as the answer and that one is not
    labelled the same, or it is a row of several ids below a list of single ones."""
    label, other = _LABEL.match(line.text), _LABEL.match(before.text)
    if line.final:
        return label is None or other is None or _unnumbered(label[0]) != _unnumbered(other[0])
    if label and other:  # "Execution: T1059", "Command and control: T1071, T1573"
        return False
    return line.pure and len(line.ids) > 1 and not (before.pure and (len(before.ids) > 1 or before.final))


def _unnumbered(label: str) -> str:
    """``technique :`` of ``Technique 2:``."""
    return re.sub(r"\d+", "", label).casefold()


def _line(text: str) -> _Line | None:
    """A line of a list, or None for prose and notes."""
    places = list(_FOUND.finditer(text))
    if not places or _NOTE.match(text):
        return None
    label = _LABEL.match(text[: places[0].start()])
    rest = text[label.end() :] if label else text
    ids = tuple(_main(match[0]) for match in places if not is_aside(text, match.start(), match.end()))
    final = _FINAL.match(text[: places[0].start()].lstrip()) is not None
    if not _IDS_AND_SEPARATORS.sub("", rest):
        return _Line(text, ids, True, final)
    begin = _LINE_BEGIN.match(text)
    opens = begin is not None and begin.end() >= places[0].start()
    listed = (begin is not None and begin.end() > 0) or text.startswith("|")
    ends = text.rstrip(" .)|]").endswith(places[-1][0].rstrip()) and len(text) < 120 and len(places) == 1
    defined = places[0].start() < 80 and _DEFINED.match(text, places[0].end()) is not None
    named = opens or defined or (listed and places[0].start() < 80) or (ends and any(sign in text for sign in "([|"))
    first = places[0]
    if named and not is_aside(text, first.start(), first.end()):
        return _Line(text, _first_ids(text, places), False, final)
    return None


def _first_ids(text: str, places: Sequence[re.Match[str]]) -> tuple[str, ...]:
    """The ids that a line of a list is about: the first, and those joined to it by separators only."""
    ids = [_main(places[0][0])]
    for before, after in itertools.pairwise(places):
        between = text[before.end() : after.start()]
        if _IDS_AND_SEPARATORS.sub("", between) and not (len(between) < _LONGEST_NAME and _NAMED.fullmatch(between)):
            break
        if not is_aside(text, after.start(), after.end()):
            ids.append(_main(after[0]))
    return tuple(ids)


def _last_stated(lines: Sequence[str]) -> frozenset[str]:
    for line in reversed(lines):
        for sentence in reversed(re.split(r"(?<=[.!?])\s(?=[A-Z])", line)):
            ids = _meant(sentence) if _SAID.search(sentence) else frozenset()
            if ids:
                return ids
    return frozenset()


def f1(tp: float, fp: float, fn: float) -> float:
    """Harmonic mean of precision and recall from counts; 0 when nothing is right."""
    return 2 * tp / (2 * tp + fp + fn) if tp else 0.0


def score_techniques(item: Item, output: Output, mode: Mode) -> Score:
    """F1 of the answered id set against the gold set; an answer without ids scores 0 in both modes."""
    gold, ids = technique_ids(item.gold), answered_ids(output.text or "", mode)
    tp, fp, fn = len(gold & ids), len(ids - gold), len(gold - ids)
    parts = {"tp": float(tp), "fp": float(fp), "fn": float(fn)}
    return Score(f1(tp, fp, fn), bool(ids), ids == gold, ", ".join(sorted(ids)) or None, parts)
