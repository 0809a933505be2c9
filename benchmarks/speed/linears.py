"""How much faster linear layers are whose weights oneDNN laid out in advance: `python benchmarks/speed/linears.py`."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import linear

from pytest_slmsec.engines.packed.linears import packed_weight

SHAPES = ((512, 1536), (1536, 512), (3072, 8192), (512, 32000))
ROWS = (1, 8, 32, 128, 512)
RUNS = 12


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


@torch.inference_mode()
def main() -> None:
    """Print GFLOP/s of plain and packed products of several sizes, and their ratio."""
    print(
        f"{torch.get_num_threads()} threads\n{'dtype':6}{'inputs':>7}{'outputs':>8}{'rows':>5}{'plain':>7}{'packed':>7}"
    )
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        for inputs, outputs in SHAPES:
            weight = torch.randn(outputs, inputs).to(dtype)
            packed = packed_weight(weight, None, ROWS[-1])
            if packed is None:
                print(f"{name:6}{inputs:7}{outputs:8}  not to be had here")
                continue
            for rows in ROWS:
                given = torch.randn(rows, inputs).to(dtype)
                plain_s = fastest(lambda given=given, weight=weight: linear(given, weight))  # type: ignore[misc]
                packed_s = fastest(lambda given=given, packed=packed: packed(given))  # type: ignore[misc]
                work = 2e-9 * rows * inputs * outputs
                print(f"{name:6}{inputs:7}{outputs:8}{rows:5}{work / plain_s:7.0f}{work / packed_s:7.0f}"
                      f"{plain_s / packed_s:6.2f}x", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
