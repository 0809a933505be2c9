"""Next-token distributions as they are stored: the most probable tokens of each place, and the mass of all others."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.gates.records.fact_kinds import AGAIN
from pytest_slmsec.gates.statistics.kl_bound import TopK

TOP = 64
"""Tokens kept of each place: with half-precision log-probabilities about 390 bytes."""

PARTITION = f"top {TOP}"
KEYS = ("benchmark", "item", "text", "tokens", "places", "ids", "logprobs", "tail")


@dataclass(frozen=True, slots=True)
class Kept:
    """The distributions of a model along one of its own answers.

    Attributes:
        benchmark, item, text: the answer. tokens: digest of prompt and answer, as the model reads them.
    """

    benchmark: str
    item: str
    text: str
    tokens: str
    top: TopK


def to_plain(kept: Kept) -> dict[str, Any]:
    """As plain data: ids as 32-bit integers, log-probabilities at half and tails at single precision, in base64."""
    top = kept.top
    return {
        "benchmark": kept.benchmark,
        "item": kept.item,
        "text": kept.text,
        "tokens": kept.tokens,
        "places": len(top.ids),
        "ids": _packed(top.ids, "<i4"),
        "logprobs": _packed(top.logprobs, "<f2"),
        "tail": _packed(top.rest(), "<f4"),
    }


def from_plain(record: Any, where: str) -> Kept:
    """The inverse of `to_plain`.

    Raises:
        CompareError: the record is damaged.
    """
    if not isinstance(record, Mapping) or any(key not in record for key in KEYS):
        raise CompareError(f"{where}: a stored distribution is damaged: it lacks a key of {', '.join(KEYS)}; {AGAIN}.")
    name = f"{where}: the stored distribution of {record['item']}"
    try:
        places = int(record["places"])
        ids = _unpacked(record["ids"], "<i4").reshape(places, -1).astype(np.int64)
        logprobs = _unpacked(record["logprobs"], "<f2").reshape(places, -1).astype(np.float64)
        top = TopK(ids, logprobs, _unpacked(record["tail"], "<f4").astype(np.float64))
    except (ValueError, TypeError, binascii.Error, UsageError) as error:
        raise CompareError(f"{name} is damaged ({error}); {AGAIN}.") from None
    return Kept(str(record["benchmark"]), str(record["item"]), str(record["text"]), str(record["tokens"]), top)


def _packed(values: Any, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def _unpacked(text: str, kind: str) -> Any:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
