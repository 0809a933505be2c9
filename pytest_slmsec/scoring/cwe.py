"""The weakness id of an answer (CTIBench RCM, Alam et al. 2024, arXiv 2406.07599; upstream
`evaluation/model-prediction.ipynb` and `evaluation/evaluation.ipynb`)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.asides import follows_contrast, is_aside
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

# "CWE-79".
_OFFICIAL = re.compile(r"CWE-\d+")
# "CWE-79", "cwe 79", "CWE ID: 79", "CWE (79)", "CWE No. 079", "definitions/79"; ids have at most four digits.
_STRICT = re.compile(
    r"(?:(?<![A-Za-z0-9])CWE|\bweakness enumeration|\bweakness ids?\b|\bweaknesses/|"
    r"cwe\.mitre\.org/data/definitions/)"
    r"(?:[ \-:#=.(\[\]\"'/)]|IDs?\b|is\b|numbers?\b|No\b|Nr\b|N\b|CWE\b|code\b|identifier\b|entry\b|category\b|"
    r"value\b){0,10}?"
    r"0{0,6}([1-9]\d{0,3})(?!\d|[.-]\d)",
    re.I | re.ASCII,
)
# "79", "Answer: 79", "Answer: 79 (Cross-site Scripting)": the whole answer.
_BARE = re.compile(
    r"(?:(?:the )?(?:final |correct )?(?:answer|cwe(?: id)?)(?: "
    r"is)?)?[\s:#=.\"'-]{0,4}0{0,6}([1-9]\d{0,3})[\s.)\"']{0,3}(?:(?<=\s)\([^()\d\n]{2,120}\)\.?)?",
    re.I,
)
# "The weakness is", "maps to", "classified as", "Answer:", "CWE ID:" before an id.
_STATED = re.compile(
    r"(?:\b(?:answer|weakness|vulnerability|cwe(?: id)?|id|classification|classified|categori[sz]ed|"
    r"identified|mapped|maps?|"
    r"corresponds?|match(?:es)?|final|conclusion|antwort|respuesta|réponse|schwachstelle|therefore|thus|hence|so)\b|"
    r"答案|漏洞)"
    r"[^.\n]{0,60}?(?:\b(?:is|as|to|under|with|would be|should be|must be|ist|es|est)\b|:|=|->|是|"
    r"为)?[\s:\"'(\[]{0,4}$",
    re.I,
)
# What may stand around an id that is alone on its line: "Final answer: **CWE-79**: Cross-site Scripting".
_ALONE_BEFORE = re.compile(r"(?:[\w ]{0,40}[:=]|->|[\d]{1,2}[.)])?[\s(\[\"']{0,4}", re.I)
_ALONE_AFTER = re.compile(r"[\s.)\]\"']{0,4}(?:$|(?:[:(\[-]|, )[^.\n]{0,120}[.)\]]{0,2}$)")
# Behind an id at the very beginning: "CWE-79.", "CWE-79 (Cross-site Scripting)", "CWE-79, because", "CWE-79 - ".
_OPENS = re.compile(
    r"\s{0,2}(?:$|\n|[.,:;(\[)>-]|(?:because|since|as|due|over|and not|rather|instead|leads?|falls|"
    r"is (?:an? |the )?(?:\w+ )?(?:child|variant|kind|type|more specific|better))\b)",
    re.I,
)
# "Parent: ", "Related CWEs:", "A secondary weakness is": labels of ids that are not the answer.
_OTHER_LABEL = re.compile(
    r"[\s(\[\"']{0,4}(?:\w+ )?(?:parents?|child|children|related|secondary|alternatives?|others?|similar|see also|"
    r"candidates?|"
    r"rejected|considered|excluded|not|note|peers?|ancestors?|contributing|runner[- ]up|also)\b[^:\n]{0,40}:",
    re.I,
)
# "seen with CWE-20": company, whatever stands before it.
_COMPANY = re.compile(
    r"\b(?:(?:seen|found|combined|together|along|associated|coupled|appears?|occurs?) (?:\w+ )?with|secondary|"
    r"contributing|rule[sd]? out|ruling out|(?:anything|all|everything) but|doubt\b[^.\n]{0,20}|unlikely\b[^.\n]{0,20}|"
    r"other (?:candidates?|weaknesses|options?)|similar|alternatives?)\b[^.\n]{0,20}$",
    re.I,
)
# "CWE-79, which leads to CWE-200", "CWE-79 over CWE-20": behind another id of the sentence.
_CONSEQUENCE = re.compile(
    r"(?:\b(?:lead(?:s|ing)?|result(?:s|ing|ed)?|falls?|belongs?|caus(?:es|ing)|enabl(?:es|ing)|allow(?:s|ing)|over|"
    r"than|"
    r"under|with|possibly|perhaps|maybe|impact|consequence)\b|->|>)[^.\n]{0,20}$",
    re.I,
)
# "CWE-20 or CWE-79", "CWE-20/CWE-79", "CWE-20 and CWE-79": what joins two ids, of which none is stated then.
_JOINED = re.compile(
    r"[\s)\]\"']{0,3}(?:\([^()\n]{0,80}\)\s?)?(?:,?\s?\b(?:and|or|und|oder|y|o|et|ou)\b|[/,&\n]|或|和|与)"
    r"[\s(\[\"']{0,3}(?:\d{1,2}[.)]\s)?"
)
# "CWE-20 is possible", "CWE-74 is its parent" behind another id.
_SECOND_BEST = re.compile(
    r"\s?(?:\([^()\n]{0,60}\)\s?)?\b(?:is|was|are) (?:also )?(?:possible|plausible|an option|a candidate|its parent|"
    r"the parent)\b",
    re.I,
)
_QUESTION = re.compile(r"[\s)\]\"']{0,3}\?")
HIGHEST_BARE = 1999
"""The highest number that is an id without the word CWE: the list of CWE 4.19 ends below 1,500, and above stand years
and other numbers ("Answer: 2024")."""


# "CVE Description: ...": behind an answer, a base model writes the next example of the prompt.
_NEXT_EXAMPLE = re.compile(r"^[ >#]{0,4}CVE description ?:", re.I | re.M)
MENTIONS_READ = 100
"""Ids at the beginning and at the end of an answer that are looked at."""


def official_cwe(text: str) -> str | None:
    """The last ``CWE-<digits>``, else the whole text if that, in capitals, starts so; None is invalid."""
    found = _OFFICIAL.findall(text)
    answer = (found[-1] if found else text).upper()
    return answer if answer.startswith("CWE-") else None


def strict_cwe(text: str) -> str | None:
    """The weakness id that an answer states, in any usual spelling, as ``CWE-79``, or None. Strongest reading first:

    1. the last id that stands alone on its line, perhaps with a label before it or its title behind it;
    2. an id that opens the answer ("CWE-79. It is a child of CWE-74");
    3. the last id behind words that state it ("the weakness is", "maps to");
    4. the last id that is not set aside ("not to be confused with CWE-20", "seen with CWE-22").

    Of ids that are joined ("CWE-20 or CWE-79") none is stated.
    """
    plain = plain_text(text)
    following = _NEXT_EXAMPLE.search(plain)
    if following and (_STRICT.search(plain, 0, following.start()) or _BARE.fullmatch(plain, 0, following.start())):
        plain = plain[: following.start()].strip()
    bare = _BARE.fullmatch(plain)
    found = list(_STRICT.finditer(plain))
    if len(found) > 2 * MENTIONS_READ:
        found = found[:MENTIONS_READ] + found[-MENTIONS_READ:]
    if bare and not found:
        return f"CWE-{bare[1]}" if int(bare[1]) <= HIGHEST_BARE or "cwe" in bare[0].casefold() else None
    if not found:
        return None
    meant = _meant(plain, found)
    stated = [match for match in meant if _STATED.search(plain, max(0, match.start() - 80), match.start())]
    for chosen in (_alone(plain, meant), _opening(plain, found), stated, meant):
        if chosen:
            return None if _is_joined(plain, meant, chosen[-1]) else f"CWE-{chosen[-1][1]}"
    return None


def _meant(text: str, found: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """The ids that are not set aside: by a word before or behind them, by the label of their line or list, or together
    with the id that they are joined to."""
    meant, below, end, aside = [], False, 0, False
    for place, match in enumerate(found):
        start = text.rfind("\n", 0, match.start()) + 1
        if start >= end:  # the first id of its line
            below = _is_below_label(text, end, start, match.start(), below)
        end = _line_end(text, match.end())
        joined = place > 0 and _joins(text, found[place - 1].end(), match.start())
        aside = below or (aside and joined) or _is_set_aside(text, found, place)
        if not aside:
            meant.append(match)
    return meant


def _is_below_label(text: str, before: int, start: int, place: int, below: bool) -> bool:
    """Whether the line of an id belongs to a list below a label such as "Related:".

    Args:
        before: where the line of the id before it ends. start: where its own line begins. below: whether that id
            belongs to such a list.
    """
    if text[start:place].strip(" \"'([0123456789."):
        return False
    heading = text[before:start].strip().rpartition("\n")[2]
    return below if not heading else heading.endswith(":") and _OTHER_LABEL.match(heading) is not None


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _is_set_aside(text: str, found: Sequence[re.Match[str]], place: int) -> bool:
    match = found[place]
    start = text.rfind("\n", 0, match.start()) + 1
    start = max(start, text.rfind(". ", start, match.start()) + 1)
    if _OTHER_LABEL.match(text[start : min(match.start(), start + 80)]):
        return True
    if is_aside(text, match.start(), match.end()) or _QUESTION.match(text, match.end()):
        return True
    if _COMPANY.search(text, max(0, match.start() - 80), match.start()):
        return True
    if not place or found[place - 1][1] == match[1]:
        return False
    if _SECOND_BEST.match(text, match.end()):
        return True
    between = text[max(found[place - 1].end(), match.start() - 80) : match.start()]
    return "\n" not in between and ". " not in between and _CONSEQUENCE.search(between) is not None


def _is_joined(text: str, found: Sequence[re.Match[str]], chosen: re.Match[str]) -> bool:
    """Whether another id is joined to one by "or", "and" or a sign that parts equals."""
    if chosen not in found:
        return False
    place = found.index(chosen)
    return any(
        first[1] != second[1] and _joins(text, first.end(), second.start())
        for first, second in itertools.pairwise(found[max(0, place - 1) : place + 2])
    )


def _joins(text: str, end: int, start: int) -> bool:
    """Whether what stands between two ids joins them."""
    return _JOINED.fullmatch(text, end, start) is not None and not follows_contrast(text, start)


def _alone(text: str, found: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """The ids that have their line to themselves."""
    alone = []
    for match in found:
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.end())
        line_end = len(text) if end < 0 else end
        before, after = text[start : match.start()], text[match.end() : line_end]
        if len(before) < 60 and _ALONE_BEFORE.fullmatch(before) and _ALONE_AFTER.match(after) and "CWE" not in after:
            alone.append(match)
    return alone


def _opening(text: str, found: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    first = [match for match in found[:1] if not text[: match.start()].strip(" \"'([")]
    return first if first and _OPENS.match(text, first[0].end()) else []


def canonical_cwe(text: str) -> str:
    """An id without leading zeros and in capitals: ``CWE-79`` of ``cwe-079``; other texts as they are."""
    match = re.fullmatch(r"\s*CWE-0*(\d+)\s*", text, re.I)
    return f"CWE-{match[1]}" if match else text


def score_cwe(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the weakness id. Strict: leading zeros count neither in the answer nor in the gold answer."""
    text = output.text or ""
    cwe, gold = (
        (official_cwe(text), item.gold) if mode is Mode.OFFICIAL else (strict_cwe(text), canonical_cwe(item.gold))
    )
    right = cwe == gold
    return Score(float(right), cwe is not None, right, cwe)
