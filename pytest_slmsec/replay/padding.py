"""Token counts that cannot be those of the texts: padding was counted as tokens."""

from __future__ import annotations

from collections.abc import Sequence

MARKERS = 16
"""Tokens that may stand in an answer without a byte of text: begin, end and blanks that were stripped."""


def padding(counts: Sequence[int], texts: Sequence[str], batch: int | None) -> str | None:
    """Why counts of new tokens are no measurement, or None.

    A batch is generated until its longest answer ends. A harness that counts the columns of the padded batch gives each
    of its answers the same count, whatever their lengths; and counts of more tokens than a text has bytes, when a token
    is at least a byte.

    Args:
        counts, texts: of each answer, in the order in which they were generated.
        batch: answers that were generated together, where that is known.
    """
    if batch is not None and batch > 1 and _constant(counts, texts, batch):
        return f"within each batch of {batch} every answer has the same token count, so padding was counted as tokens"
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    most = [(count, size) for count, size in zip(counts, sizes, strict=True) if count > size + MARKERS]
    if most:
        count, size = max(most, key=lambda pair: pair[0] - pair[1])
        return (f"{len(most)} of {len(counts)} answers have more tokens than bytes (one of {size} bytes has {count} "
                "tokens), so padding was counted as tokens")  # fmt: skip
    return None


def _constant(counts: Sequence[int], texts: Sequence[str], batch: int) -> bool:
    """The same count in each batch, though the texts in it differ in length, or equal texts differ in their counts."""
    starts = range(0, len(counts), batch)
    if any(len(set(counts[start : start + batch])) > 1 for start in starts):
        return False
    differ = any(len({len(text) for text in texts[start : start + batch]}) > 1 for start in starts)
    return differ or len(set(zip(texts, counts, strict=True))) > len(set(texts))
