"""Runs the sessions of a campaign, several at a time, each in a process of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pytest_slmsec.campaign.done import RECORD, Done, missing, recorded_runs, write_done
from pytest_slmsec.campaign.plan import Session
from pytest_slmsec.distribute.gpus import VISIBLE
from pytest_slmsec.execution.openmp import THREADS

HEARTBEAT_S = 60.0
GRACE_S = 60.0
"""Seconds that sessions have after Ctrl-C to end the batch that they compute."""
KILLPG: Any = getattr(os, "killpg", None)
WAIT4: Any = getattr(os, "wait4", None)
SIGKILL: Any = getattr(signal, "SIGKILL", None)
SIGHUP: Any = getattr(signal, "SIGHUP", None)
AVAILABLE = KILLPG is not None
"""Whether this system has groups of processes: Linux and macOS do, Windows does not."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session whose process has ended.

    Attributes:
        status: exit status of pytest; negative: the signal that ended it. lacks: benchmarks that its record lacks.
        wall_s: seconds that it took. done: None unless the record is complete.
    """

    session: Session
    status: int
    lacks: tuple[str, ...]
    wall_s: float
    done: Done | None


@dataclass
class Sessions:
    """Runs sessions.

    Args:
        jobs: how many at a time. gpus: of this machine, as in CUDA_VISIBLE_DEVICES; each job has one of them, where
            there are several jobs. cores: processor cores, which the jobs divide. lock: a descriptor to be inherited.
    """

    jobs: int
    gpus: Sequence[str]
    cores: int
    lock: int
    _running: dict[Session, tuple[subprocess.Popen[bytes], float]] = field(default_factory=dict)
    _guard: Lock = field(default_factory=Lock)
    _stopped: bool = False

    def run(self, sessions: Sequence[Session], heartbeat: Callable[[Sequence[tuple[Session, float]]], None],
            every_s: float = HEARTBEAT_S) -> Iterator[Ended]:  # fmt: skip
        """Each session as it ends.

        Args:
            heartbeat: called with the running sessions and their seconds so far, when none has ended for a while.
            every_s: seconds between two such calls.

        Raises:
            KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; the sessions were told to stop and have ended.
        """
        slots: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(self.jobs):
            slots.put(slot)
        with signals_interrupt(), ThreadPoolExecutor(self.jobs) as pool:
            try:
                waiting: set[Future[Ended | None]] = {pool.submit(self._one, session, slots) for session in sessions}
                while waiting:
                    ended, waiting = wait(waiting, every_s, FIRST_COMPLETED)
                    yield from (one for future in ended if (one := future.result()) is not None)
                    if not ended:
                        heartbeat(self._so_far())
            except BaseException:
                self._stop()
                raise

    def _one(self, session: Session, slots: queue.SimpleQueue[int]) -> Ended | None:
        slot = slots.get()
        try:
            process = self._start(session, slot)
            return None if process is None else self._finish(session, slot, process)
        finally:
            slots.put(slot)

    def _start(self, session: Session, slot: int) -> subprocess.Popen[bytes] | None:
        session.stem.parent.mkdir(parents=True, exist_ok=True)
        session.file(f"{RECORD}.part").unlink(missing_ok=True)
        with self._guard, session.file("log").open("wb") as log:
            if self._stopped:
                return None
            process = subprocess.Popen(
                command(session), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._environment(slot), pass_fds=[self.lock], start_new_session=True,
            )  # fmt: skip
            self._running[session] = process, time.monotonic()
        return process

    def _environment(self, slot: int) -> dict[str, str]:
        found = dict(os.environ)
        if self.jobs > 1:
            found.setdefault(THREADS, str(max(1, self.cores // self.jobs)))
            if self.gpus:
                found[VISIBLE] = self.gpus[slot % len(self.gpus)]
        return found

    def _finish(self, session: Session, slot: int, process: subprocess.Popen[bytes]) -> Ended:
        _, status, usage = WAIT4(process.pid, 0)
        with self._guard:
            process.returncode = os.waitstatus_to_exitcode(status)
            _, began = self._running.pop(session)
        wall_s = time.monotonic() - began
        runs = recorded_runs(session.file(f"{RECORD}.part"))
        lacks = missing(session, runs)
        done = None
        if not lacks:
            os.replace(session.file(f"{RECORD}.part"), session.file(RECORD))
            done = write_done(session, runs, slot, wall_s, usage.ru_utime + usage.ru_stime)
        return Ended(session, process.returncode, tuple(lacks), wall_s, done)

    def _so_far(self) -> list[tuple[Session, float]]:
        now = time.monotonic()
        with self._guard:
            return [(session, now - began) for session, (_, began) in self._running.items()]

    def _stop(self) -> None:
        """Begin nothing more, tell what runs to stop, and wait for it; a second signal, or a long wait, kills it."""
        with self._guard:
            self._stopped = True
        try:
            self._signal(signal.SIGINT)
            end = time.monotonic() + GRACE_S
            while self._running and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            self._signal(SIGKILL)

    def _signal(self, number: int) -> None:
        with self._guard:
            for process, _ in self._running.values():
                if process.returncode is None:
                    KILLPG(process.pid, number)


def command(session: Session) -> list[str]:
    """The command line of a session; where it measured something before, it goes on from there."""
    files = {"--slmsec-journal": "journal.jsonl", "--benchmark-json": f"{RECORD}.part"}
    named = [f"{option}={session.file(ending)}" for option, ending in files.items()]
    return [sys.executable, "-m", "pytest", *session.arguments, *named, "--slmsec-resume"]


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt. A shell starts what runs in its background without SIGINT."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
