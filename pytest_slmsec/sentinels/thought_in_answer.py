"""Thoughts that were taken for answers, because nothing marks them as thoughts."""

from __future__ import annotations

import re

from pytest_slmsec.core.thought_tags import NAMED_TAG
from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.05
LONGEST_BEGINNING = 200
# "Okay, so the user is asking", "Alright, let me think", "Hmm, I need to", "First, I need to figure out".
THINKS_ALOUD = re.compile(
    r"\s*(?:(?:okay|ok|alright|all right|hmm+|well|so|first)\b[,.]?\s+)+(?:so\s+)?"
    r"(?:the user\b|the question (?:is|asks)|i (?:need|have|should|am being asked) to|"
    r"let me (?:think|see|break|recall)|"
    r"let's (?:think|see|break)|we (?:need|have) to|i'm trying to)",
    re.IGNORECASE,
)
# "The user asks about ...", "We need to answer: ...".
SPEAKS_OF_USER = re.compile(
    r"\s*(?:the user (?:is asking|asks|wants|said)|we need to (?:answer|choose|decide|output))", re.I
)
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


def is_thought(text: str) -> bool:
    """Whether a text has a tag of a thought outside of code, or begins as thoughts do ("Okay, so the user ...")."""
    beginning = text[:LONGEST_BEGINNING]
    if THINKS_ALOUD.match(beginning) or SPEAKS_OF_USER.match(beginning):
        return True
    return NAMED_TAG.search(CODE.sub("", text)) is not None


def check(evidence: Evidence) -> str | None:
    """Answers that look like thoughts."""
    texts = evidence.texts
    found = sum(map(is_thought, texts))
    return f"{found} of {len(texts)} answers look like thoughts" if surely_above(found, len(texts), SHARE) else None


SENTINEL = Sentinel(
    "thought-in-answer",
    "Answers look like thoughts: the model thinks in a way that nothing marks, and the score reads its thoughts.",
    "Read some answers with --slmsec-transcript; let the server send the reasoning in a field of its own (vLLM: "
    "--reasoning-parser, llama.cpp: --reasoning-format), or switch thinking off with --slmsec-thinking=off.",
    check,
)
