"""What a case shows, and the peak it is held against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

SIDE, PRODUCTS = 1024, 8


@dataclass(frozen=True)
class Row:
    """One case: seconds of our engine and of lm-eval at its best batch size, tokens, share of the peak, agreement."""

    case: str
    dtype: str
    vocabulary: int
    path: object
    cpu_s: float
    wall_s: float
    batch_size: int
    their_cpu_s: float
    their_wall_s: float
    fed: int
    their_fed: int
    needed: int | None
    peak_share: float | None
    agreement: str
    on_cpu: bool


def peak_flops(dtype: torch.dtype, device: str) -> float:
    """Floating-point operations a second of large square products in this dtype; processor seconds on a CPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    side = SIDE if device == "cpu" else 8 * SIDE
    left = torch.randn(side, side, dtype=torch.float32, device=device).to(dtype)
    best = 0.0
    for _ in range(3):
        if device != "cpu":
            torch.cuda.synchronize()
        began = clock()
        for _ in range(PRODUCTS):
            left @ left
        if device != "cpu":
            torch.cuda.synchronize()
        best = max(best, PRODUCTS * 2 * side**3 / (clock() - began))
    return best


LIMIT = "limit"
"""Stands for a batch size where our own engine, running every answer to the limit, is the other side."""
COLUMNS = (
    ("case", "<16"), ("dtype", "<5"), ("vocab", ">6"), ("cpu s", ">7"), ("wall s", ">7"), ("lm-eval", ">8"),
    ("batch", ">5"), ("ratio", ">6"), ("fed/need", ">8"), ("theirs", ">7"), ("peak", ">5"), (" agrees to", "<"),
)  # fmt: skip


def print_header() -> None:
    """The names of the columns; lm-eval's seconds are those of its best batch size, which stands beside them."""
    print(" ".join(f"{name:{width}}" for name, width in COLUMNS), flush=True)


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows as they come."""
    for row in rows:
        share = "" if row.needed is None else f"{row.fed / row.needed:8.3f} {row.their_fed / row.needed:7.2f}"
        peak = "" if row.peak_share is None else f"{row.peak_share:5.0%}"
        batch = row.batch_size if row.batch_size > 0 else LIMIT
        ratio = row.their_cpu_s / row.cpu_s if row.on_cpu else row.their_wall_s / row.wall_s
        print(
            f"{row.case:16} {row.dtype:5} {row.vocabulary:6} {row.cpu_s:7.2f} {row.wall_s:7.2f} {row.their_cpu_s:8.2f} "
            f"{batch:>5} {ratio:5.1f}x {share:16} {peak:5}  {row.agreement} ({row.path})",
            flush=True,
        )
