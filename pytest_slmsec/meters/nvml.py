"""NVIDIA's management library, where there is one. Imports no torch; asks it for its device when it is already loaded.

NVML: https://docs.nvidia.com/deploy/nvml-api/, package nvidia-ml-py (module `pynvml`).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

NOT_ON_GPU = "this process does not compute on a GPU"


class Gpu(NamedTuple):
    """The GPU in use: NVML module and device handle; or None twice, and why."""

    nvml: Any
    handle: Any
    reason: str | None


class Reading(NamedTuple):
    """A value, or None and why."""

    value: int | None
    reason: str | None


def find_gpu() -> Gpu:
    """The GPU that torch computes on; the first one while torch is not loaded."""
    nvml = _nvml()
    if isinstance(nvml, str):
        return Gpu(None, None, nvml)
    try:
        return Gpu(nvml, _handle(nvml), None)
    except nvml.NVMLError as error:
        return Gpu(None, None, f"NVML finds no GPU ({error})")


def gpu_in_use() -> Gpu:
    """As `find_gpu`, but none where this process computes on the CPU: others may be using the GPU."""
    return find_gpu() if torch_cuda() is not None else Gpu(None, None, NOT_ON_GPU)


@functools.cache
def _nvml() -> Any:
    """The initialised module, or the reason why there is none."""
    try:
        import pynvml
    except ImportError:
        return "the package nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return "no NVIDIA GPU or driver on this machine"
    return pynvml


def gpu_count() -> int:
    """GPUs of this machine, whether this process uses them or not."""
    nvml = _nvml()
    return 0 if isinstance(nvml, str) else int(nvml.nvmlDeviceGetCount())


def torch_cuda() -> Any:
    """`torch.cuda` where this process computes on a GPU, else None. Never imports torch."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None


def _handle(nvml: Any) -> Any:
    cuda = torch_cuda()
    if cuda is None:
        return nvml.nvmlDeviceGetHandleByIndex(0)
    # CUDA_VISIBLE_DEVICES renumbers devices for torch, not for NVML.
    uuid = cuda.get_device_properties(cuda.current_device()).uuid
    return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")


def ask(gpu: Gpu, what: str, question: Callable[[Any, Any], Any]) -> Reading:
    """Ask NVML one thing: `question(nvml, handle)`."""
    if gpu.nvml is None:
        return Reading(None, gpu.reason)
    try:
        return Reading(int(question(gpu.nvml, gpu.handle)), None)
    except gpu.nvml.NVMLError as error:
        return Reading(None, f"NVML does not give {what} ({error})")


def process_bytes(gpu: Gpu, pid: int) -> Reading:
    """GPU memory that the driver counts for this process, its CUDA context included."""
    if gpu.nvml is None:
        return Reading(None, gpu.reason)
    try:
        running = gpu.nvml.nvmlDeviceGetComputeRunningProcesses(gpu.handle)
    except gpu.nvml.NVMLError as error:
        return Reading(None, f"NVML does not list processes ({error})")
    own = [process.usedGpuMemory for process in running if process.pid == pid and process.usedGpuMemory is not None]
    return Reading(sum(own), None) if own else Reading(None, "NVML does not list this process (a container?)")
