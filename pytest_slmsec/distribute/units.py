"""Units of work: what one worker is given at a time.

The main process of pytest-xdist knows the ids of the tests and nothing else of them, so that units are derived from
the ids alone; a worker derives the same ones, and none of its windows reaches over the end of a unit. What an engine
is asked in one go is therefore always asked by the worker that reports it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import pytest

from pytest_slmsec.collection.cases import Case, case_of
from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.collection.windows import cut
from pytest_slmsec.config.settings import Settings

PARTS = 4
"""Into how many units a worker's share of the ordinary tests is cut, so that slow ones even out."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Tests that one worker runs, one after the other.

    Attributes:
        model: id of the model that they ask; None: ordinary tests.
        places: in the list of all tests, ascending.
    """

    model: str | None
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How tests are cut into units.

    Attributes:
        models: ids of the models of the run. window: most tests in a unit. workers: how many share them.
        whole: no benchmark is cut, since others are asked about its answers when all are there.
    """

    models: tuple[str, ...]
    window: int
    workers: int
    whole: bool = False

    @classmethod
    def of(cls, settings: Settings, workers: int) -> Sharing:
        """What a run with `settings` shares out."""
        models = tuple(model_id(spec) for spec in settings.models)
        return cls(models, settings.window, workers, bool(settings.roles))

    def cut(self, ids: Sequence[str]) -> list[Unit]:
        """Each test in one unit: of one test function and one model, or ordinary tests; in the order of `ids`."""
        asking, others = dict[int, tuple[str, str]](), dict[int, Hashable]()
        finder = self._finder()
        for place, nodeid in enumerate(ids):
            found = finder.search(nodeid, parameters(nodeid))
            if found is None:
                others[place] = xdist_group(nodeid)
            else:
                asking[place] = nodeid[: found.start()], found["model"]
        windows = cut(((key, place) for place, key in asking.items()), self._size(len(asking)))
        chunks = cut(((key, place) for place, key in others.items() if key is None), self._chunk(len(others)))
        groups = cut(((key, place) for place, key in others.items() if key is not None), max(len(others), 1))
        found_in = {**windows, **chunks, **groups}
        distinct = dict.fromkeys(found_in[place] for place in range(len(ids)))
        return [Unit(asking.get(one.cases[0], (None, None))[1], tuple(one.cases)) for one in distinct]

    def _finder(self) -> re.Pattern[str]:
        """Finds a model in a parameter of a test: the first one, and of two at one place the longer (phi3-gptq4)."""
        names = "|".join(re.escape(name) for name in sorted(self.models, key=len, reverse=True))
        return re.compile(rf"(?<=[\[-])(?P<model>{names})(?=-)" if names else "(?!)")

    def _size(self, n: int) -> int:
        """A window, or one worker's share where that is less: else some would have nothing to do."""
        return max(n, 1) if self.whole else max(min(self.window, -(-n // self.workers)), 1)

    def _chunk(self, n: int) -> int:
        return max(-(-n // (PARTS * self.workers)), 1)


def parameters(nodeid: str) -> int:
    """Where the parameters of a test begin in its id; its length where it has none. Folders may have brackets, too."""
    begin = nodeid.find("[", nodeid.rfind("::") + 1)
    return len(nodeid) if begin < 0 else begin


def xdist_group(nodeid: str) -> str | None:
    """The group that ``--dist=loadgroup`` appends to the id of a test with the marker ``xdist_group``.

    As in xdist/scheduler/loadgroup.py.
    """
    return nodeid.rpartition("@")[2] if nodeid.rfind("@") > nodeid.rfind("]") >= 0 else None


SHARED_BY = "slmsec_workers"
"""Under which a worker finds how many share the units; missing where xdist distributes in another way."""


def unit_numbers(config: pytest.Config, settings: Settings, items: Sequence[pytest.Item]) -> dict[Case, int]:
    """The unit of each case, in a worker that is given whole units; nothing in all other processes."""
    workers = getattr(config, "workerinput", {}).get(SHARED_BY)
    if workers is None:
        return {}
    units = Sharing.of(settings, workers).cut([item.nodeid for item in items])
    found = ((case_of(items[place]), number) for number, unit in enumerate(units) for place in unit.places)
    return {case: number for case, number in found if case is not None}
