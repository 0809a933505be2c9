"""Which worker of pytest-xdist runs which tests: whole units, and as few changes of the loaded model as possible.

Follows `xdist.scheduler.protocol.Scheduling` of pytest-xdist 3.8; the bookkeeping of nodes and collections is that of
its `LoadScheduling`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

from pytest_slmsec.distribute.units import Unit

QUEUE_LENGTH = 2
"""Tests that a worker must have in its queue: it starts a test only when it knows the next one."""


class UnitScheduling(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out units of work.

    A worker gets units of the model that it has loaded. Once there are none left, it gets units of a model that no
    worker has loaded, then ordinary tests, and last units of the model with the most tests left.

    Args:
        cut: the units of the collected tests, by their ids.
    """

    def __init__(self, config: pytest.Config, log: Producer | None, cut: Callable[[Sequence[str]], list[Unit]]) -> None:
        super().__init__(config, log)
        self.collection: list[str] | None
        self._cut = cut
        self._units: list[Unit] = []
        self._unit_of: list[int] = []
        self._waiting: dict[str | None, deque[Sequence[int]]] = {}
        self._loaded: dict[WorkerController, str] = {}

    # `node2pending` of the base class holds the tests that each node has still to run, the next one last, so that
    # removing it takes constant time.

    @property
    def has_pending(self) -> bool:
        """Whether any test has not been run."""
        return any(self._waiting.values()) or any(self.node2pending.values())

    @property
    def tests_finished(self) -> bool:
        """Whether nothing is left but the last test of each node, which a node runs once it is told to shut down."""
        left = any(self._waiting.values()) or any(len(queued) >= QUEUE_LENGTH for queued in self.node2pending.values())
        return self.collection_is_completed and not left

    def schedule(self) -> None:
        """Give every node its first tests, once all nodes have collected the same ones; a node that starts later is
        served as well."""
        assert self.collection_is_completed
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                self.log("**Different tests collected, aborting run**")
                return
            self._adopt(next(iter(self.node2collection.values())))
            for node in self.nodes:  # every node gets one unit before any node gets a second
                self._send_next(node)
        for node in self.nodes:
            self.check_schedule(node)

    def _adopt(self, collection: list[str]) -> None:
        self.collection = collection
        self._units = self._cut(collection)
        self._unit_of = [0] * len(collection)
        for number, unit in enumerate(self._units):
            self._waiting.setdefault(unit.model, deque()).append(unit.places)
            for place in unit.places:
                self._unit_of[place] = number

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Fill the queue of a node; shut it down where no unit is left."""
        if node.shutting_down:
            return
        while len(self.node2pending[node]) < QUEUE_LENGTH and self._send_next(node):
            pass
        if not any(self._waiting.values()):
            node.shutdown()

    def _send_next(self, node: WorkerController) -> bool:
        """Send a unit to a node; False where none is left."""
        waiting = {model: sum(map(len, units)) for model, units in self._waiting.items() if units}
        if not waiting:
            return False
        model = self._next_model(self._loaded.get(node), waiting)
        if model is not None:
            self._loaded[node] = model
        places = list(self._waiting[model].popleft())
        self.node2pending[node][:0] = reversed(places)
        node.send_runtest_some(places)
        return True

    def _next_model(self, loaded: str | None, waiting: dict[str | None, int]) -> str | None:
        """The model whose unit a node gets next; None for ordinary tests.

        Args:
            loaded: the model that the node has loaded. waiting: tests left, by model (None: ordinary tests).
        """
        if loaded is not None and loaded in waiting:
            return loaded
        unused = [model for model in waiting if model is not None and model not in self._loaded.values()]
        if unused:
            return unused[0]
        return None if None in waiting else max(waiting, key=waiting.__getitem__)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a node has run a test. A node runs tests in the order in which they were sent."""
        finished = self.node2pending[node].pop()
        assert finished == item_index, f"{node.gateway.id} ran test {item_index} before test {finished}"
        self.check_schedule(node)

    def mark_test_pending(self, item: str) -> None:
        """Queue a test again, as plugins ask for when a worker has crashed."""
        assert self.collection is not None
        self._requeue([self.collection.index(item)])

    def remove_node(self, node: WorkerController) -> str | None:
        """Take back the tests of a node that has ended.

        Returns:
            The test that it was running, which is reported as crashed; None where it had run all its tests.
        """
        self._loaded.pop(node, None)
        queued = self.node2pending.pop(node)
        if not queued:
            return None
        assert self.collection is not None
        crashed = queued.pop()
        self._requeue(queued[::-1])
        return str(self.collection[crashed])

    def _requeue(self, places: Sequence[int]) -> None:
        """Queue tests again, before all others; those of one unit stay together."""
        parts = [(number, list(part)) for number, part in groupby(places, key=self._unit_of.__getitem__)]
        for number, part in reversed(parts):
            self._waiting[self._units[number].model].appendleft(part)
        for node in self.nodes:
            self.check_schedule(node)
