"""A model that is called quantised, but computes many of its layers in full precision."""

from __future__ import annotations

from pytest_slmsec.engines.common.quantized_share import LEAST_SHARE, named_left
from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """The share is counted when the model is loaded; `engines.common.quantized_share` says what counts."""
    found = evidence.quantized or {}
    if not found or found["share"] >= LEAST_SHARE:
        return None
    return (
        f"only {found['share']:.1%} of {found['weights']:,} weights of layers are quantised; left in full precision: "
        f"{named_left(found['left'])}"
    )


SENTINEL = Sentinel(
    "partly-quantised",
    "Many layers of the quantised model are in full precision: its score, size and speed are not those of its bits.",
    "Use a quantisation that knows these layers (GPTQ or GGUF for experts), or report the share with the results.",
    check,
)
