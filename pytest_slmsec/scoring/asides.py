"""Mentions that are no statement: what an answer sets aside, compares with, or only supposes.

"CWE-79. It is a child of CWE-74", "T1027 was considered and left out", "not CWE-20 but CWE-79".
"""

from __future__ import annotations

import re

SENTENCE_CHARS = 300
"""How far a sentence is looked at on either side of a mention."""

# "not CWE-20", "rather than", "a child of", "unlike", "see also", "if it were".
_BEFORE = re.compile(
    r"\b(?:not?|nor|never|neither|without|except|excluding|rather than|instead of|other than|as opposed to|"
    r"unlike|than|versus|"
    r"vs\.?|(?:child|parent|children|variant|peer|ancestor|descendant|member|subset|superset|type|kind|form|part) of|"
    r"(?:parent|child|category|pillar|class|base) (?:is|would be|weakness|being)|parents?|child|"
    r"related(?: to)?|similar to|"
    r"compared? (?:to|with)|confused? with|differs? from|distinct from|see also|if|unless|could also|"
    r"might also|may also|"
    r"also (?:be|relate[ds]?|consider(?:ed)?|involve[ds]?|lead|cause)|(?:was|were|been) considered|considered|consider|"
    r"alternatively|previously|formerly|initially|at first|first thought|isn't|aren't|doesn't|don't|such as|"
    r"follow(?:s|ed) by|"
    r"can precede|precedes?|nicht|statt|no es|pas)\b|不是|而非|类似",
    re.I,
)
# "is wrong", "was considered and left out", "would be too general", "does not fit".
_AFTER = re.compile(
    r"[\s)\]\"',:*-]{0,4}(?:\([^()\n]{0,60}\)\s?)?\b(?:(?:is|was|are|were|would be|seems|"
    r"looks) (?:\w+ ){0,2}?(?:not|wrong|incorrect|too|broader|narrower|"
    r"considered|rejected|excluded|ruled out|left out|discarded|similar|related|less|its parent|the parent|"
    r"a parent|a child|"
    r"a (?:broader|more general)|discouraged|unlikely)|(?:isn|doesn|wasn|don)'t|does not|do not|did not|cannot|can't|"
    r"could also|might also|may also|left out|ruled out|considered|excluded|rejected|discarded|no evidence|"
    r"not (?:observed|used|seen|mentioned|applicable|included))\b",
    re.I,
)
# "rather than CWE-20, this", "unlike T1003, the": behind the comma stands what is meant.
_CONTRAST = re.compile(
    r"\b(?:rather than|instead of|unlike|other than|as opposed to|not)\b[^,\n]{0,60}\d[^,\n]{0,60},\s?"
    r"(?:but )?(?:this|it|that|the|I|we)\b",
    re.I,
)
# "Instead of CWE-20, " at the beginning of a sentence: what comes next is meant.
_OPENING_CONTRAST = re.compile(r"\s?(?:rather than|instead of|unlike)\b[^,\n]{0,60}\d[^,\n]{0,60},\s?", re.I)
_SENTENCE_END = re.compile(r"[.!?;](?=\s)|\n")


def is_aside(text: str, start: int, end: int) -> bool:
    """Whether the sentence around ``text[start:end]`` sets aside what stands there."""
    sentence = _sentence_before(text, start)
    if _OPENING_CONTRAST.fullmatch(sentence):
        return False
    sentence = _CONTRAST.split(sentence)[-1]
    # "not X but Y": what counts is the clause of the mention
    clause = re.split(r"\bbut\b|\bsondern\b|\bsino\b|\bmais\b|而是|\bit is\b(?! not)|\bso\b|\btherefore\b", sentence)[
        -1
    ]
    return _BEFORE.search(clause) is not None or _AFTER.match(text, end, end + 80) is not None


def follows_contrast(text: str, start: int) -> bool:
    """Whether the sentence up to `start` is a contrast and nothing else: "Instead of CWE-20, "."""
    return _OPENING_CONTRAST.fullmatch(_sentence_before(text, start)) is not None


def _sentence_before(text: str, start: int) -> str:
    before = text[max(0, start - SENTENCE_CHARS) : start]
    ends = [match.end() for match in _SENTENCE_END.finditer(before)]
    return before[ends[-1] :] if ends else before
