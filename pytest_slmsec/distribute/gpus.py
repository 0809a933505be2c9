"""One worker for each GPU: torch is not asked, since a process that has only asked it holds GPU memory already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables"""
ON_GPU = ("auto", "cuda")
"""Devices that leave open which GPU."""


def gpus_for(device: str) -> list[str]:
    """The GPUs that models may run on, as they stand in CUDA_VISIBLE_DEVICES; empty: none.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, as in `engines.settings.EngineSettings`.
    """
    if not device.startswith("cuda") and device not in ON_GPU:
        return []
    found = visible(os.environ.get(VISIBLE), installed())
    _, _, number = device.partition(":")
    return found if not number else found[int(number) : int(number) + 1]


def installed() -> int:
    """GPUs of this machine, counted by NVML."""
    from pytest_slmsec.meters.nvml import gpu_count

    return gpu_count()


def visible(listed: str | None, n_installed: int) -> list[str]:
    """The GPUs that CUDA lets a process see.

    Args:
        listed: the value of CUDA_VISIBLE_DEVICES, or None. It counts up to its first invalid entry.
    """
    if listed is None or not n_installed:
        return [str(number) for number in range(n_installed)]
    found: list[str] = []
    for entry in map(str.strip, listed.split(",")):
        if not entry or entry.startswith("-") or (entry.isdigit() and int(entry) >= n_installed):
            break
        found.append(entry)
    return found


def crowded(n_workers: int, gpus: Sequence[str]) -> str | None:
    """What to say of more workers than GPUs; None where there is nothing to say."""
    if not gpus or n_workers <= len(gpus):
        return None
    n = "1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    return (
        f"{n_workers} workers share {n}: each loads every model it asks, they take each other's memory and time, and "
        f"what is measured of both says little; use -nauto, which starts one worker a GPU."
    )


class Pins:
    """Which GPU each worker has. A GPU is free again when its worker has gone."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._gpus = gpus
        self._taken: dict[str, str] = {}

    def pin(self, worker: str) -> str:
        """The GPU of a new worker: the one with the fewest workers, the first of several."""
        taken = list(self._taken.values())
        self._taken[worker] = min(self._gpus, key=taken.count)
        return self._taken[worker]

    def release(self, worker: str) -> None:
        """A worker has gone."""
        self._taken.pop(worker, None)


PINNED = "slmsec_gpu"
"""Under which a worker finds its GPU."""


def use_pinned(workerinput: dict[str, Any]) -> None:
    """In a worker: see no other GPU than its own. Torch looks at its first use of CUDA, which comes later."""
    if (gpu := workerinput.get(PINNED)) is not None:
        os.environ[VISIBLE] = gpu
