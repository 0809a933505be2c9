"""Which GPU each worker of pytest-xdist uses.

GPUs are counted by NVML: a process that counts them with torch takes GPU memory for itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables"""
ANY_GPU = ("auto", "cuda")
"""Values of ``--slmsec-device`` that leave open which GPU is used."""


def gpus_for(device: str) -> list[str]:
    """The GPUs that models may run on, as they stand in CUDA_VISIBLE_DEVICES; empty: none.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, as in `engines.common.settings.EngineSettings`.
    """
    if not device.startswith("cuda") and device not in ANY_GPU:
        return []
    found = visible(os.environ.get(VISIBLE), installed())
    _, _, number = device.partition(":")
    return found if not number else found[int(number) : int(number) + 1]


def installed() -> int:
    """GPUs of this machine, counted by NVML."""
    from pytest_slmsec.meters.nvml import gpu_count

    return gpu_count()


def visible(listed: str | None, n_installed: int) -> list[str]:
    """The GPUs that CUDA lets a process see, as they stand in CUDA_VISIBLE_DEVICES.

    Args:
        listed: the value of CUDA_VISIBLE_DEVICES, or None. CUDA ignores its first invalid entry and all after it.
        n_installed: GPUs of this machine.
    """
    if listed is None or not n_installed:
        return [str(number) for number in range(n_installed)]
    found: list[str] = []
    for entry in map(str.strip, listed.split(",")):
        if not entry or entry.startswith("-") or (entry.isdigit() and int(entry) >= n_installed):
            break
        found.append(entry)
    return found


def shared_gpus_warning(n_workers: int, gpus: Sequence[str]) -> str | None:
    """The warning that several workers share a GPU; None where each worker has its own, or there is no GPU."""
    if not gpus or n_workers <= len(gpus):
        return None
    n = "1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    return (
        f"{n_workers} workers share {n}: each loads every model it asks, they take each other's memory and time, and "
        f"what is measured of both says little; use -nauto, which starts one worker a GPU."
    )


class GpuAssignment:
    """Which GPU each worker has. A GPU is free again once its worker has ended."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._gpus = gpus
        self._taken: dict[str, str] = {}

    def assign(self, worker: str) -> str:
        """The GPU for a new worker: the first of those with the fewest workers."""
        taken = list(self._taken.values())
        self._taken[worker] = min(self._gpus, key=taken.count)
        return self._taken[worker]

    def release(self, worker: str) -> None:
        """Free the GPU of a worker that has ended."""
        self._taken.pop(worker, None)


GPU_KEY = "slmsec_gpu"
"""Key of `workerinput` under which a worker finds its GPU."""


def use_assigned_gpu(workerinput: dict[str, Any]) -> None:
    """In a worker: hide all GPUs but its own. Torch reads the variable when it first uses CUDA, which comes later."""
    gpu = workerinput.get(GPU_KEY)
    if gpu is not None:
        os.environ[VISIBLE] = gpu
