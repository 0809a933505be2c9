"""Peak memory of this process over a stretch of time.

On Linux from /proc/self/status (man 5 proc): `VmHWM` is the peak of resident memory, reset through
/proc/self/clear_refs. `ru_maxrss` is not used: a child inherits its parent's. Memory-mapped weights count as resident,
so private (anonymous) memory, `RssAnon`, stands beside it; it has no peak counter and is sampled. Elsewhere psutil's
readings are sampled. A value that a system does not have is None with a reason.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pytest_slmsec.meters.nvml import NOT_ON_GPU, Gpu, Reading, ask, gpu_in_use, process_bytes, torch_cuda

SAMPLE_EVERY_S = 0.02
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
KIB = 1024


class Sample(NamedTuple):
    """Bytes of this process now; None where the system does not say.

    Attributes:
        rss: resident. private: resident and anonymous. peak_rss: highest resident since the last reset.
    """

    rss: int | None
    private: int | None
    peak_rss: int | None


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Peaks between start and stop, in bytes; None where unknown, with the reason under the field's name.

    Attributes:
        peak_rss_bytes: resident memory, mapped files included. peak_private_bytes: anonymous memory only.
        peak_gpu_bytes: allocated by torch on the GPU.
        gpu_process_bytes, gpu_used_bytes: what NVML counts at the end for this process, and for the whole GPU.
    """

    peak_rss_bytes: int | None = None
    peak_private_bytes: int | None = None
    peak_gpu_bytes: int | None = None
    gpu_process_bytes: int | None = None
    gpu_used_bytes: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)


class MemoryMeter:
    """Measures peaks between `start` and `stop`; can be started again, and used as a context manager::

    with MemoryMeter() as meter:
        work()
    print(meter.use.peak_rss_bytes)
    """

    def __init__(self) -> None:
        self.use = MemoryUse()
        self._sampler: Sampler | None = None
        self._resets = False
        self._gpu = Gpu(None, None, "not looked for yet")

    def start(self) -> None:
        """Forget earlier peaks and begin."""
        self.stop_sampling()
        self._resets = reset_peak()
        self._gpu = gpu_in_use()
        cuda = torch_cuda()
        if cuda is not None:
            cuda.reset_peak_memory_stats()
        self._sampler = Sampler()

    def stop(self) -> MemoryUse:
        """End, and give the peaks since `start`."""
        sampler = self._sampler
        if sampler is None:
            raise RuntimeError("MemoryMeter.stop() without start()")
        self.stop_sampling()
        last = read_sample()
        # Without a reset, VmHWM is the peak of the whole life of the process: then the highest sample counts.
        peak_rss = last.peak_rss if self._resets else sampler.rss
        values: dict[str, Reading] = {
            "peak_rss_bytes": Reading(peak_rss, None if peak_rss else _no(sys.platform, "resident memory")),
            "peak_private_bytes": Reading(
                sampler.private, None if sampler.private else _no(sys.platform, "private memory")
            ),
            "peak_gpu_bytes": torch_peak(),
            "gpu_process_bytes": process_bytes(self._gpu, os.getpid()),
            "gpu_used_bytes": ask(self._gpu, "memory", lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used),
        }
        reasons = {name: reading.reason for name, reading in values.items() if reading.reason is not None}
        self.use = MemoryUse(**{name: reading.value for name, reading in values.items()}, reasons=reasons)
        return self.use

    def stop_sampling(self) -> None:
        """End the sampling thread; nothing happens when there is none."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None

    def __enter__(self) -> MemoryMeter:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class Sampler:
    """A thread that keeps the highest samples from its making to `stop`.

    Attributes:
        rss, private: highest so far in bytes, see `Sample`; None where the system does not say.
    """

    def __init__(self) -> None:
        self.rss: int | None = None
        self.private: int | None = None
        self._take()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slmsec-memory", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after one more sample."""
        self._done.set()
        self._thread.join()
        self._take()

    def _run(self) -> None:
        while not self._done.wait(SAMPLE_EVERY_S):
            self._take()

    def _take(self) -> None:
        sample = read_sample()
        self.rss = _highest(self.rss, sample.rss)
        self.private = _highest(self.private, sample.private)


def read_sample() -> Sample:
    """Memory of this process now."""
    try:
        text = STATUS.read_text("ascii", "replace")
    except OSError:
        return _psutil_sample()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Sample(_kib(lines.get("VmRSS")), _kib(lines.get("RssAnon")), _kib(lines.get("VmHWM")))


def reset_peak() -> bool:
    """Reset `VmHWM` to what is resident now. False where the system has no such thing or does not permit it."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK, "ascii")
    except OSError:
        return False
    return read_sample().peak_rss is not None


def torch_peak() -> Reading:
    """Highest memory that torch had allocated on its GPU since the last reset."""
    cuda = torch_cuda()
    if cuda is None:
        return Reading(None, NOT_ON_GPU)
    return Reading(int(cuda.max_memory_allocated()), None)


def _psutil_sample() -> Sample:
    """psutil names private memory on Windows only; on macOS it would stop the process to count pages."""
    try:
        import psutil
    except ImportError:
        return Sample(None, None, None)
    info = psutil.Process().memory_info()
    return Sample(info.rss, getattr(info, "private", None), None)


def _kib(value: str | None) -> int | None:
    return int(value.split()[0]) * KIB if value else None


def _highest(first: int | None, second: int | None) -> int | None:
    return max((value for value in (first, second) if value is not None), default=None)


def _no(platform: str, what: str) -> str:
    return f"{what} of a process cannot be read on this system ({platform})"
