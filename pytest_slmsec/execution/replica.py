"""A replica of a pool: one process with one engine, and no pytest. It answers windows and keeps no journal.

It runs the same code over a window as one process does (`batch_runner.ask`): the engine plans the whole window, which
is a pure function, and only the batches with rows that are wanted are run. So its answers are those of one process,
bit by bit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

from pytest_slmsec.core.errors import one_sentence
from pytest_slmsec.core.identity import answer_key
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.journal import StoredBatch
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.version import __version__
from pytest_slmsec.engines.common.base import Batch, Engine, unable
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.batch_runner import ask
from pytest_slmsec.execution.model_loader import ModelLoader, Resident
from pytest_slmsec.execution.packed_weights import Packed, unpack
from pytest_slmsec.execution.pool import Done, Job
from pytest_slmsec.meters.device import machine_facts

LOG_MARK = "slmsec-replica "
"""What each line of a replica's log begins with; JSON follows."""
SAME_KIND = ("cpu", "gpu", "cuda", "system", "python", "packages")
"""Facts about a machine (`meters.device.machine_facts`) on which the bits of an answer may depend."""


def kind() -> dict[str, Any]:
    """Hardware and versions of this machine, as far as answers may depend on them."""
    facts = machine_facts()
    return {"pytest-slmsec": __version__, **{name: facts[name] for name in SAME_KIND if name in facts}}


class Replica:
    """Answers the jobs of a pool, one at a time."""

    def __init__(self) -> None:
        self._models = ModelLoader(self._make_engine, _Silent())
        self._settings = EngineSettings()
        self._packed: tuple[Packed, ...] = ()
        self._loaded: ModelSpec | None = None

    def about(self) -> dict[str, Any]:
        """Who this is: kind, process, and whether the cluster asks for a token."""
        return {"kind": kind(), "pid": os.getpid(), "auth": os.environ.get("RAY_AUTH_MODE", "").lower()}

    def run(self, job: Job, *packed: Packed) -> Done:
        """Load a model where it is not loaded yet, and answer the rows that are wanted.

        Args:
            packed: small weights that were sent along, see `packed_weights`.
        """
        self._settings, self._packed = job.settings, packed
        began, before, self._loaded = time.perf_counter(), self._loaded, None
        try:
            resident = self._models.load(job.model)
        except Exception as error:
            _log(refused=job.model.name, why=str(error))
            return Done(refused=one_sentence(job.model.name, error))
        load_s = 0.0 if before == job.model else time.perf_counter() - began
        self._loaded = job.model
        facts = Done(info=asdict(resident.engine.info), capabilities=resident.engine.capabilities.value, load_s=load_s)
        if not job.requests:
            return facts
        if (why := unable(resident.engine, job.requests[job.rows[0]])) is not None:
            return replace(facts, unfit=f"{job.model.name}: {why}")
        return _answered(facts, resident, job.requests, job.rows)

    def _make_engine(self, spec: ModelSpec) -> Engine:
        from pytest_slmsec.quantize.load_model import make_engine

        _log(loading=spec.name)
        for weights in self._packed:
            spec = weights.placed(spec, unpack(weights, self._settings.cache_dir / "pool"))
        return make_engine(spec, self._settings)


def _answered(facts: Done, resident: Resident, requests: Sequence[Request], rows: Sequence[int]) -> Done:
    keys = [answer_key(resident.identity, request) for request in requests]
    wanted = {keys[row] for row in rows}
    answers = _Answers({*keys} - wanted)
    logged = replace(resident, engine=_Logged(resident.engine))
    cpu, wall = time.process_time(), time.perf_counter()
    found = ask(logged, requests, answers, lambda done: None)
    failed = {row: found[row].output.error or "" for row in rows if found[row].output.error is not None}
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    _log(window=requests[0].id, rows=len(rows), cpu_s=round(cpu_s, 3), wall_s=round(wall_s, 3))
    return replace(facts, batches=tuple(answers.batches), failed=failed, cpu_s=cpu_s, wall_s=wall_s)


class _Answers:
    """Stands for a journal: holds the answers of one window, and passes for having those that nobody wants."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self.batches: list[StoredBatch] = []

    def output(self, key: str) -> Output | None:
        if key in self._known:
            return Output()
        return next((b.outputs[b.keys.index(key)] for b in self.batches if key in b.keys), None)

    def batch_of(self, key: str) -> StoredBatch | None:
        return next((batch for batch in self.batches if key in batch.keys), None)

    def append(self, batch: StoredBatch) -> None:
        self.batches.append(batch)


class _Logged:
    """An engine that writes down what it is asked, before it is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.capabilities, self.info = engine.capabilities, engine.info

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        return self._engine.plan(requests)

    def run(self, requests: Sequence[Request]) -> Batch:
        _log(asked=[request.id for request in requests])
        return self._engine.run(requests)

    def close(self) -> None:
        self._engine.close()


def _log(**facts: Any) -> None:
    """One line of the replica's log. Ray keeps it with the other logs of the node (``worker-*.out``)."""
    sys.stdout.write(f"{LOG_MARK}{json.dumps({'pid': os.getpid(), **facts})}\n")
    sys.stdout.flush()


class _Silent:
    """Progress that nobody sees: the process of the run shows it."""

    def say(self, text: str) -> None:
        pass

    def start(self, what: str, total: int) -> None:
        pass

    def advance(self, done: int) -> None:
        pass

    def stop(self) -> None:
        pass
