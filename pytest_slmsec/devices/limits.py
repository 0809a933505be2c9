"""Approximate limits on this process: processors, threads, its data segment, and a watch on resident memory.

``RLIMIT_AS`` would also refuse weights that are mapped from files, and ``RLIMIT_RSS`` does nothing on Linux
(setrlimit(2)). ``RLIMIT_DATA`` stops private writable memory, so weights that are mapped are watched only.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.devices.profile import GB, Profile
from pytest_slmsec.meters.memory import Sampler

THREADS = "OMP_NUM_THREADS"
INSIDE = 0.95
"""Inside a control group the limits of the process lie this much lower, so that it is not killed by the kernel."""
NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "could not create a primitive")
"""What torch, CUDA, C++ and oneDNN say; oneDNN computes only shapes that it created a primitive for before."""
Restore = Callable[[], None]


def limit_process(profile: Profile, share: float = 1.0) -> tuple[list[str], Restore]:
    """Limit this process to a profile as far as this system can.

    Args:
        share: of the profile's memory.

    Returns:
        What holds, in words, and a function that takes the limits back.
    """
    held, undo = [], list[Restore]()
    for limit in (_limit_processors, _limit_threads, _limit_data):
        words, restore = limit(profile, share)
        if words is not None:
            held.append(words)
            undo.append(restore)
    held.append("a watch on resident memory")

    def restore_all() -> None:
        for restore in reversed(undo):
            restore()

    return held, restore_all


Limited = tuple[str | None, Restore]


def _nothing() -> None:
    pass


def _limit_processors(profile: Profile, share: float) -> Limited:
    current, choose = getattr(os, "sched_getaffinity", None), getattr(os, "sched_setaffinity", None)
    if current is None or choose is None:
        return None, _nothing
    before = current(0)
    choose(0, sorted(before)[: profile.cores])
    return f"{profile.cores} of {len(before)} processors by affinity", lambda: choose(0, before)


def _limit_threads(profile: Profile, share: float) -> Limited:
    before = os.environ.get(THREADS)
    asked = int(before) if before is not None and before.isdigit() else profile.threads
    threads = max(1, min(asked, profile.threads))
    os.environ[THREADS] = str(threads)

    def restore() -> None:
        if before is None:
            os.environ.pop(THREADS, None)
        else:
            os.environ[THREADS] = before

    return f"{threads} thread{'' if threads == 1 else 's'} by {THREADS}", restore


def _limit_data(profile: Profile, share: float) -> Limited:
    if not sys.platform.startswith("linux"):
        return None, _nothing
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = round(profile.memory_bytes * share)
    if before[1] != resource.RLIM_INFINITY:
        wanted = min(wanted, before[1])
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, before[1]))
    return "RLIMIT_DATA", lambda: resource.setrlimit(resource.RLIMIT_DATA, before)


class MemoryGuard:
    """Turns memory that runs out into one sentence: an allocation that failed, or resident memory above the limit."""

    def __init__(self, profile: Profile, share: float = 1.0) -> None:
        self._name, self._memory_gb = profile.name, profile.memory_gb
        self._limit = round(profile.memory_bytes * share)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Watch a stretch of work.

        Raises:
            EngineError: memory ran out. The work itself may have ended well; what it gave is not valid then.
        """
        _release()
        watch = Sampler()
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if _is_out_of_memory(error):
                raise EngineError(f"out of memory: {self._sentence()}") from error
            raise
        finally:
            watch.stop()
        highest = watch.rss or 0
        if highest > self._limit:
            raise EngineError(f"out of memory: it took {highest / GB:.2f} GB, and {self._sentence()}")

    def _sentence(self) -> str:
        remedy = "take a smaller model or --slmsec-batch-tokens"
        return f"the device profile {self._name} has {self._memory_gb:g} GB; {remedy}."


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in NO_MEMORY)


def _release() -> None:
    """Give memory that nobody uses back to the system, so that one batch does not fail for the one before."""
    gc.collect()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
