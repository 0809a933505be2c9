"""Units of work: the tests that a worker is given at a time.

The main process of pytest-xdist knows the ids of the tests and nothing else, so units are derived from the ids alone.
Each worker derives the same units and ends its windows where a unit ends. Every answer is therefore computed by the
worker that reports it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_slmsec.collection.cases import Case, case_of
from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.collection.windows import cut
from pytest_slmsec.config.settings import Settings

PARTS = 4
"""Units that a worker's share of the ordinary tests is cut into; several, so that slow tests even out."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Tests that one worker runs, one after the other.

    Attributes:
        model: id of the model that they ask; None: ordinary tests.
        places: positions in the list of all tests, ascending.
    """

    model: str | None
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """How the tests of a run are cut into units.

    Attributes:
        models: ids of the models of the run. window: the largest number of tests in a unit that asks a model.
        workers: the number of workers. whole: no benchmark is cut, since other models grade its answers once all exist.
    """

    models: tuple[str, ...]
    window: int
    workers: int
    whole: bool = False

    @classmethod
    def of(cls, settings: Settings, workers: int) -> UnitPlan:
        """The plan of a run with `settings`."""
        models = tuple(model_id(spec) for spec in settings.models)
        return cls(models, settings.window, workers, bool(settings.roles))

    def cut(self, ids: Sequence[str]) -> list[Unit]:
        """All units, in the order of their first tests. A unit holds tests of one function and one model, or ordinary
        tests; those with one `xdist_group` stay together."""
        asking: dict[int, tuple[str, str]] = {}  # place to test function and model
        ordinary: dict[int, str | None] = {}  # place to xdist_group
        pattern = self._model_pattern()
        for place, nodeid in enumerate(ids):
            found = pattern.search(nodeid, parameters(nodeid))
            if found is None:
                ordinary[place] = xdist_group(nodeid)
            else:
                asking[place] = nodeid[: found.start()], found["model"]
        ungrouped = [(None, place) for place, group in ordinary.items() if group is None]
        grouped = [(group, place) for place, group in ordinary.items() if group is not None]
        windows = cut(((key, place) for place, key in asking.items()), self._window_size(len(asking)))
        parts = cut(ungrouped, self._ordinary_size(len(ordinary)))
        groups = cut(grouped, max(len(ordinary), 1))
        unit_at = {**windows, **parts, **groups}
        distinct = dict.fromkeys(unit_at[place] for place in range(len(ids)))
        return [Unit(asking.get(one.cases[0], (None, None))[1], tuple(one.cases)) for one in distinct]

    def _model_pattern(self) -> re.Pattern[str]:
        """Finds the first model in the parameters of a test: in ``test_mcq[phi3-gptq4-1]`` phi3-gptq4, not phi3."""
        names = "|".join(re.escape(name) for name in sorted(self.models, key=len, reverse=True))
        return re.compile(rf"(?<=[\[-])(?P<model>{names})(?=-)" if names else "(?!)")

    def _window_size(self, n: int) -> int:
        """Tests in a unit that asks a model: a window, or one worker's share of them where that is less."""
        if self.whole:
            return max(n, 1)
        share = -(-n // self.workers)
        return max(min(self.window, share), 1)

    def _ordinary_size(self, n: int) -> int:
        """Tests in a unit of `n` ordinary tests."""
        return max(-(-n // (PARTS * self.workers)), 1)


def parameters(nodeid: str) -> int:
    """The position where the parameters of a test begin in its id; the length of the id where it has none.

    Brackets in names of folders do not count.
    """
    begin = nodeid.find("[", nodeid.rfind("::") + 1)
    return len(nodeid) if begin < 0 else begin


def xdist_group(nodeid: str) -> str | None:
    """The group that ``--dist=loadgroup`` appends to the id of a test with the marker ``xdist_group``.

    As in xdist/scheduler/loadgroup.py.
    """
    return nodeid.rpartition("@")[2] if nodeid.rfind("@") > nodeid.rfind("]") >= 0 else None


WORKERS_KEY = "slmsec_workers"
"""Key of `workerinput` for the number of workers; missing where another scheduler distributes the tests."""


def unit_numbers(config: pytest.Config, settings: Settings, items: Sequence[pytest.Item]) -> dict[Case, int]:
    """The number of the unit of each case, in a worker that is given whole units; empty in all other processes."""
    workers = getattr(config, "workerinput", {}).get(WORKERS_KEY)
    if workers is None:
        return {}
    units = UnitPlan.of(settings, workers).cut([item.nodeid for item in items])
    found = ((case_of(items[place]), number) for number, unit in enumerate(units) for place in unit.places)
    return {case: number for case, number in found if case is not None}
