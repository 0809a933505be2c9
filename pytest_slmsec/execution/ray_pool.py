"""A pool of replicas on Ray: one Ray actor for each GPU, or for each node without GPUs.

Ray starts and ends processes, sees that nodes die, and carries data. Which replica gets which window is decided in
`execution.dispatch`; whether a cluster is safe to use, in `execution.ray_connection`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.pool_address import OPTION, PoolAddress, is_public
from pytest_slmsec.execution.packed_weights import pack_model
from pytest_slmsec.execution.pool import Answered, Died, Event, Job, Joined, PoolError
from pytest_slmsec.execution.ray_connection import AUTH_MODE, NO_TOKEN, connect, first_line
from pytest_slmsec.execution.replica import Replica

NODES_EVERY_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass
class _Actor:
    """A replica as Ray knows it. `jobs`: what it was sent, oldest first; `hello`: its first answer, until it came."""

    name: str
    node: str
    handle: Any
    hello: Any
    jobs: list[Any] = field(default_factory=list)

    @property
    def oldest(self) -> Any:
        """What is waited for."""
        return self.hello if self.hello is not None else (self.jobs[0] if self.jobs else None)


@dataclass
class _Node:
    """A living node: how many replicas it may have, and when the next may be started if some died at once."""

    places: int
    place: str
    resources: dict[str, float]
    not_before: float = 0.0
    pause_s: float = 1.0
    is_refused: bool = False


class RayPool:
    """See `execution.pool.Pool`.

    Args:
        say: shows one line. replica: the class whose objects answer.

    Raises:
        MissingExtraError, UsageError, PoolError: see `ray_connection.connect`.
    """

    def __init__(self, address: PoolAddress, say: Callable[[str], None], replica: type[Replica] = Replica) -> None:
        self._address, self._say, self._replica = address, say, replica
        self._ray = connect(address)
        self._actors: dict[str, _Actor] = {}
        self._nodes: dict[str, _Node] = {}
        self._looked = 0.0
        self._wanted = True
        self._count = 0
        self._packed: dict[ModelSpec, list[Any]] = {}
        self._gone: list[Event] = []

    def send(self, replica: str, job: Job) -> None:
        """Hand a job to a replica."""
        if job.model not in self._packed:
            self._packed[job.model] = [self._ray.put(part) for part in pack_model(job.model)]
        actor = self._actors[replica]
        actor.jobs.append(actor.handle.run.remote(job, *self._packed[job.model]))

    def want(self, more: bool) -> None:
        """Whether new replicas are started on nodes with room."""
        self._wanted = more

    def receive(self, timeout_s: float) -> Sequence[Event]:
        """Look at the nodes, and take the next answer of each replica that has one."""
        try:
            self._look_at_nodes()
            events, self._gone = self._gone, []
            waited = {actor.oldest: actor for actor in self._actors.values() if actor.oldest is not None}
            if not waited:
                time.sleep(0.0 if events else timeout_s)
                return events
            ready, _ = self._ray.wait(list(waited), num_returns=len(waited), timeout=0)
            if not ready and not events:
                ready, _ = self._ray.wait(list(waited), num_returns=1, timeout=timeout_s)
            for ref in ready:
                events.extend(self._event(waited[ref], ref))
            return events
        except (ConnectionError, self._ray.exceptions.RaySystemError) as error:
            raise PoolError(f"{OPTION}={self._address}: the connection to the cluster is lost: {error}") from error

    def release(self, replica: str, for_good: bool = False) -> None:
        """End a replica."""
        actor = self._actors.pop(replica)
        if for_good and actor.node in self._nodes:
            self._nodes[actor.node].is_refused = True
        self._ray.kill(actor.handle)

    def close(self) -> None:
        """End all replicas, and the cluster if it was started here."""
        for replica in list(self._actors):
            try:
                self.release(replica)
            except (ConnectionError, self._ray.exceptions.RayError):
                break  # the cluster is gone, and all replicas with it
        self._ray.shutdown()

    def _event(self, actor: _Actor, ref: Any) -> list[Event]:
        errors = self._ray.exceptions
        try:
            found = self._ray.get(ref)
        except (errors.ActorDiedError, errors.ActorUnavailableError, errors.ActorUnschedulableError) as error:
            return self._lost(actor, first_line(error))
        except errors.RayTaskError as error:
            return self._lost(actor, first_line(error))
        except errors.RayError as error:  # its answer was lost with its node, or cannot be read
            return self._lost(actor, first_line(error))
        if actor.hello is None:
            actor.jobs.pop(0)
            return [Answered(actor.name, found)]
        actor.hello = None
        self._refuse_open(found["auth"])
        node = self._nodes.get(actor.node)
        return [Joined(actor.name, found["kind"], f"{node.place if node else actor.node} (process {found['pid']})")]

    def _refuse_open(self, auth: str) -> None:
        """Refuse a cluster whose nodes were started without the token.

        Raises:
            PoolError: as said.
        """
        if auth != "token":
            raise PoolError(NO_TOKEN.format(option=OPTION, address=self._address, mode=AUTH_MODE))

    def _lost(self, actor: _Actor, why: str) -> list[Event]:
        """A replica that has died. Its node gets a new one after a pause, which grows where they die one after the
        other before they could say a word."""
        self._actors.pop(actor.name, None)
        node = self._nodes.get(actor.node)
        if node is not None:
            node.pause_s = min(2 * node.pause_s, LONGEST_PAUSE_S) if actor.hello is not None else 1.0
            node.not_before = time.monotonic() + node.pause_s
        self._ray.kill(actor.handle)
        return [] if actor.hello is not None else [Died(actor.name, why)]

    def _look_at_nodes(self) -> None:
        """Start replicas where there is room for them, and forget nodes that are gone."""
        now = time.monotonic()
        if now - self._looked < NODES_EVERY_S:
            return
        self._looked = now
        alive = {entry["NodeID"]: entry for entry in self._ray.nodes() if entry["Alive"]}
        for name in self._nodes.keys() - alive.keys():
            del self._nodes[name]
        for actor in [actor for actor in self._actors.values() if actor.node not in alive]:
            self._gone.extend(self._lost(actor, "its node is gone"))
        for name in alive.keys() - self._nodes.keys():
            self._nodes[name] = self._room(alive[name])
        for name, node in self._nodes.items():
            taken = sum(actor.node == name for actor in self._actors.values())
            if self._wanted and not node.is_refused and now >= node.not_before:
                for _ in range(node.places - taken):
                    self._start(name, node)

    def _room(self, entry: dict[str, Any]) -> _Node:
        """How many replicas a node may have, and what each of them takes."""
        place, resources = str(entry["NodeManagerAddress"]), entry["Resources"]
        if is_public(place):
            self._say(f"the node {place} is left out: its address is public")
            return _Node(0, place, {})
        gpus, cpus = int(resources.get("GPU", 0)), resources.get("CPU", 0.0)
        if self._address.local is not None:
            share = {"num_gpus": 1.0} if gpus else {}
            return _Node(
                min(gpus, self._address.local) if gpus else self._address.local, place, {"num_cpus": 1.0} | share
            )
        if gpus:
            return _Node(gpus, place, {"num_cpus": float(int(cpus / gpus)), "num_gpus": 1.0})
        return _Node(1 if cpus >= 1 else 0, place, {"num_cpus": cpus})

    def _start(self, name: str, node: _Node) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._count += 1
        options = {**node.resources, "max_restarts": 0, "max_task_retries": 0}
        actor = self._ray.remote(self._replica).options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False), **options
        )
        handle = actor.remote()
        replica = f"replica-{self._count}"
        self._actors[replica] = _Actor(replica, name, handle, handle.about.remote())
