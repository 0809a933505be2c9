"""Text that no sound model writes: the mark of damaged weights or of a broken kernel.

Checked on recorded answers to security questions. Of 600 answers of two unquantised models 4 are called garbled. Of 600
answers of their 4-bit forms 57 are, 55 of them on three of the six benchmarks.
"""

from __future__ import annotations

import re
import zlib

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.02
"""One in fifty: sound small models repeat themselves too, on single items."""
RATIO = 4.0
"""Bytes over bytes compressed by zlib. Whisper's decoder calls 2.4 a loop (Radford et al. 2022, arXiv 2212.04356); CVSS
reasoning, which repeats its own headings, reaches 3.2 in sound answers."""
SHORTEST = 200
"""Bytes; shorter texts do not compress enough to tell."""
# "unaut0000", "pass000word".
DIGITS_IN_WORD = re.compile(r"[a-z]{3,}(\d)\1{2,}|[a-z]{3,}0+[a-z]{3,}")
"""Equal digits right behind a word ("unaut0000"), or zeros inside one; not "log4shell", "sha256sum" or "T1059"."""


def is_garbled(text: str) -> bool:
    """Whether a text has replacement characters or digits within words, or repeats itself without end."""
    data = text.encode("utf-8", "surrogatepass")
    loops = len(data) >= SHORTEST and len(data) > RATIO * len(zlib.compress(data, 9))
    return "\ufffd" in text or loops or DIGITS_IN_WORD.search(text) is not None


def check(evidence: Evidence) -> str | None:
    """Generated texts that are garbled."""
    texts = evidence.texts
    bad = [text for text in texts if is_garbled(text)]
    if not surely_above(len(bad), len(texts), SHARE):
        return None
    digits = sum(DIGITS_IN_WORD.search(text) is not None for text in bad)
    kinds = (
        f"{digits} with digits inside words, {len(bad) - digits} repeating themselves or with replacement characters"
    )
    return f"{len(bad)} of {len(texts)} answers are garbled ({kinds})"


SENTINEL = Sentinel(
    "garbled-text",
    "Answers hold broken words, replacement characters or endless repetition.",
    "Verify the quantised weights against their base (slmsec quantize does), try another kernel or dtype, and check "
    "the tokenizer's files.",
    check,
)
