"""The same text, whatever is asked."""

from __future__ import annotations

from collections import Counter

from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.sentinels.base import QUOTED, Evidence, Sentinel, surely_above

SHARE = 0.5
"""Half of all texts. Answers that could be read, such as letters, are left to `collapsed`."""


def check(evidence: Evidence) -> str | None:
    """The most frequent text that no answer could be read out of."""
    rows = zip(evidence.texts, evidence.parsed, strict=False)
    texts = Counter(text.strip() for text, parsed in rows if text.strip() and not parsed)
    [(text, count)] = texts.most_common(1) or [("", 0)]
    if not surely_above(count, len(evidence.texts), SHARE):
        return None
    quoted = shortened(text, QUOTED)
    return f"{count} of {len(evidence.texts)} answers are the same text, which gives no answer: {quoted!r}"


SENTINEL = Sentinel(
    "identical-answers",
    "Different questions get the same text.",
    "Look at the rendered prompts with --slmsec-transcript. Possible causes: a server that ignores the messages, or an "
    "error text in place of an answer.",
    check,
)
