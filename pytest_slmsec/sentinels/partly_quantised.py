"""A model that is called quantised, but computes many of its layers in full precision."""

from __future__ import annotations

from pytest_slmsec.engines.common.quantized_share import partly
from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """The share is counted when the model is loaded; `engines.common.quantized_share` says what counts."""
    return partly(evidence.quantized)


SENTINEL = Sentinel(
    "partly-quantised",
    "Many layers of the quantised model are in full precision: its score, size and speed are not those of its bits.",
    "Use a quantisation that knows these layers (GPTQ or GGUF for experts), or report the share with the results.",
    check,
)
