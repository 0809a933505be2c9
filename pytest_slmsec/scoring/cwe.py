"""The weakness id of an answer (CTIBench RCM, Alam et al. 2024, arXiv 2406.07599; upstream
`evaluation/model-prediction.ipynb` and `evaluation/evaluation.ipynb`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.asides import is_aside
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

# "CWE-79".
_OFFICIAL = re.compile(r"CWE-\d+")
# "CWE-79", "cwe 79", "CWE ID: 79", "CWE (79)", "CWE No. 079", "definitions/79"; ids have at most four digits.
_STRICT = re.compile(
    r"(?:\bCWE|\bweakness enumeration|\bweaknesses/|cwe\.mitre\.org/data/definitions/)"
    r"(?:[ \-:#=.(\[\]\"'/)]|IDs?\b|is\b|numbers?\b|No\b|Nr\b|CWE\b){0,10}?0{0,6}([1-9]\d{0,3})(?!\d|[.-]\d)",
    re.I,
)
# "79" as the whole answer or behind "Answer:".
_BARE = re.compile(r"(?:answer|cwe(?: id)?)?[\s:#=.-]{0,4}0{0,6}([1-9]\d{0,3})[\s.)]{0,3}", re.I)
# "The weakness is", "maps to", "classified as", "Answer:", "CWE ID:" before an id.
_STATED = re.compile(
    r"(?:\b(?:answer|weakness|vulnerability|cwe(?: id)?|id|classification|classified|categori[sz]ed|"
    r"identified|mapped|maps?|"
    r"corresponds?|match(?:es)?|final|conclusion|antwort|respuesta|réponse|schwachstelle|therefore|thus|hence|so)\b|答案|漏洞)"
    r"[^.\n]{0,60}?(?:\b(?:is|as|to|under|with|would be|should be|must be|ist|es|est)\b|:|=|->|是|"
    r"为)?[\s:\"'(\[]{0,4}$",
    re.I,
)
# What may stand around an id that is alone on its line: "Final answer: **CWE-79**: Cross-site Scripting".
_ALONE_BEFORE = re.compile(r"(?:[\w ]{0,40}[:=]|->|[\d]{1,2}[.)])?[\s(\[\"']{0,4}", re.I)
_ALONE_AFTER = re.compile(r"[\s.)\]\"']{0,4}(?:$|(?:[:(\[-]|, )[^.\n]{0,120}[.)\]]{0,2}$)")
# Behind an id at the very beginning: "CWE-79.", "CWE-79 (Cross-site Scripting)", "CWE-79, because", "CWE-79 - ".
_OPENS = re.compile(r"\s{0,2}(?:$|\n|[.,:;(\[)-]|because\b|since\b|as\b|due\b)", re.I)


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
    4. the last id that is not set aside ("not to be confused with CWE-20"), else the last one.
    """
    plain = plain_text(text)
    bare = _BARE.fullmatch(plain)
    found = list(_STRICT.finditer(plain))
    if len(found) > 2 * MENTIONS_READ:
        found = found[:MENTIONS_READ] + found[-MENTIONS_READ:]
    if bare and not found:
        return f"CWE-{bare[1]}"
    if not found:
        return None
    meant = [match for match in found if not is_aside(plain, match.start(), match.end())]
    stated = [match for match in meant if _STATED.search(plain, max(0, match.start() - 80), match.start())]
    for chosen in (_alone(plain, found), _opening(plain, meant), stated, meant, found):
        if chosen:
            return f"CWE-{chosen[-1][1]}"
    return None


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


def _opening(text: str, meant: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    first = [match for match in meant[:1] if match.start() <= 2]
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
