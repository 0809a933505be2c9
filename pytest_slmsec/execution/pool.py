"""The interface between the run and a pool of replicas, and the data that passes through it.

A replica is a process, anywhere, that holds one engine and no pytest (`execution.replica`). The run hands it windows of
requests; it returns measured batches. `execution.dispatch` decides which replica gets which window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.items import Request
from pytest_slmsec.core.journal import StoredBatch
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings


class PoolError(SlmsecError):
    """The pool cannot be used, or has no replica left."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a replica is asked in one go: to load a model, and to answer a part of a window.

    Attributes:
        model, settings: what to load, where another model is loaded there.
        requests: the whole window, from which the replica plans its batches; empty: the model is only loaded.
        rows: the places in `requests` that are to be answered.
    """

    model: ModelSpec
    settings: EngineSettings
    requests: tuple[Request, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job.

    Attributes:
        info, capabilities: of the loaded model, as plain data (`EngineInfo`, `Capability`); None where it could not be
            loaded. refused: why it could not.
        batches: what was measured, with the keys of its answers.
        failed: by place in `Job.requests`, why an item has no valid answer.
        unfit: why the model cannot do what the requests ask for, in which case nothing was asked; None: it can.
        cpu_s, wall_s: seconds of the replica's process, loading not counted.
        load_s: seconds until the model was loaded; 0 where it was.
    """

    info: Mapping[str, Any] | None = None
    capabilities: int = 0
    refused: str | None = None
    batches: tuple[StoredBatch, ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    unfit: str | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    load_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Joined:
    """A replica lives. `kind`: of its machine and versions (`replica.kind`); `place`: its node, for messages."""

    replica: str
    kind: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A replica has ended the oldest of its jobs."""

    replica: str
    done: Done


@dataclass(frozen=True, slots=True)
class Died:
    """A replica is gone, with all its jobs."""

    replica: str
    why: str


Event = Joined | Answered | Died


class Pool(Protocol):
    """Replicas that come and go. A replica works on its jobs one by one, in the order in which it got them."""

    def send(self, replica: str, job: Job) -> None:
        """Hand a job to a replica that has joined."""
        ...

    def receive(self, timeout_s: float) -> Sequence[Event]:
        """What has happened since the last call; waits up to `timeout_s` seconds for something. New nodes get replicas
        here.

        Raises:
            PoolError: the pool is lost.
        """
        ...

    def want(self, more: bool) -> None:
        """Whether there is work for more replicas than there are; without it none are started."""
        ...

    def release(self, replica: str, for_good: bool = False) -> None:
        """Let a replica go. for_good: its node gets no other."""
        ...

    def close(self) -> None:
        """Let all go."""
        ...
