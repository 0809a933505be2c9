"""Compares the makespans of a pool on a local Ray cluster of two nodes with those of `slmsec simulate --pool`.

python tests/simulator_trial.py [--models 3] [--items 1536] [--windows 32 128] [--pilot-windows 4]

Two figures stand beside each measured makespan:

* predicted: from the times of a pilot, a short run of all models with the same window, on as many replicas, for they
  share the cores of this machine. These are what a user measures before anything is rented: seconds to start a
  replica, to load a model, and of one item.
* replayed: from the seconds that the replicas of the same run took for each window and each loading. What other
  programs do meanwhile is in these too, so that the rules of the simulator are compared on a busy machine as well.

A makespan begins when the pool is asked for, with the cluster up, and ends with the last answer. Models are copies of
tinysec; each is asked items of its own, a quarter of which compare options.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pool_trial import MODEL, SETTINGS, nothing, question, windows_of
from raycluster import RayCluster

from pytest_slmsec.campaign.simulate import Work, windows
from pytest_slmsec.campaign.simulate_pool import simulate_pool
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.pool_address import PoolAddress
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.execution.pool import Answered, Joined
from pytest_slmsec.execution.ray_pool import RayPool


class TimedPool(RayPool):
    """Notes when replicas join, and how long they load and compute, by their own clocks."""

    def __init__(self, address, say):
        self.began = time.perf_counter()
        self.joined_s: dict[str, float] = {}
        self.loads_s: dict[str, list[float]] = defaultdict(list)
        self.windows_s: dict[ModelSpec, list[float]] = defaultdict(list)
        self._sent: dict[str, list[ModelSpec]] = defaultdict(list)
        super().__init__(address, say)

    def send(self, replica, job):
        self._sent[replica].append(job.model)
        super().send(replica, job)

    def receive(self, timeout_s):
        events = super().receive(timeout_s)
        for event in events:
            if isinstance(event, Joined):
                self.joined_s[event.replica] = time.perf_counter() - self.began
            elif isinstance(event, Answered):
                model = self._sent[event.replica].pop(0)
                if event.done.load_s:
                    self.loads_s[event.replica].append(event.done.load_s)
                if event.done.wall_s:
                    self.windows_s[model].append(event.done.wall_s)
        return events


@dataclass(frozen=True)
class Times:
    """What a run took.

    Attributes:
        makespan_s: from asking for the pool to the last answer. joined_s: until each replica had joined.
        loads_s: of each replica, of its models in turn. windows_s: of each model, as they were answered.
    """

    makespan_s: float
    joined_s: list[float]
    loads_s: list[list[float]]
    windows_s: list[list[float]] = field(repr=False)

    @property
    def load_s(self) -> float:
        """To load a model on a replica that has loaded one before, which took the time of imports too."""
        later = [seconds for loads in self.loads_s for seconds in loads[1:]]
        return mean(later or [loads[0] for loads in self.loads_s])

    @property
    def replica_s(self) -> float:
        """To start a replica: until it joins, and what its first loading takes longer than others."""
        return mean(self.joined_s) + mean([max(0.0, loads[0] - self.load_s) for loads in self.loads_s])


def mean(values):
    return sum(values) / len(values)


def measure(models, n_items, window, folder):
    """Run `n_items` items of each model on all nodes of the cluster."""
    asked = {
        model: windows_of([question(n, f"{number} {window} ") for n in range(n_items)], window)
        for number, model in enumerate(models)
    }
    journal = Journal.start(folder / f"{time.monotonic_ns()}.jsonl")
    pool = TimedPool(PoolAddress(), nothing)
    dispatch = Dispatch(pool, lambda spec: SETTINGS, lambda: journal, nothing)
    dispatch.plan((model, partial(list, one)) for model, every in asked.items() for one in every)
    for model, every in asked.items():
        for one in every:
            assert not [found for found in dispatch.ask(model, one, nothing) if found.output.error]
    makespan_s = time.perf_counter() - pool.began
    dispatch.close()
    journal.close()
    return Times(makespan_s, [*pool.joined_s.values()], [loads for loads in pool.loads_s.values() if loads],
                 [pool.windows_s[model] for model in models])  # fmt: skip


def replayed_s(found, replicas):
    models = [Work.of(found.load_s, one) for one in found.windows_s]
    return simulate_pool(models, replicas, replica_s=found.replica_s).makespan_s


def predicted_s(pilot, n_pilot, n_models, n_items, window, replicas):
    """The makespan that a pilot of `n_pilot` items a model predicts."""
    item_s = mean([sum(one) for one in pilot.windows_s]) / n_pilot
    model = Work.of(pilot.load_s, windows(n_items, window, item_s))
    print(
        f"  slmsec simulate --pool --models {n_models} --benchmarks 1 --items {n_items} --window {window} --workers "
        f"{replicas} --item-s {item_s:.5f} --load-s {pilot.load_s:.2f} --start-s {pilot.replica_s:.2f} --failure-h 0",
        flush=True,
    )
    return simulate_pool([model] * n_models, replicas, replica_s=pilot.replica_s).makespan_s


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--items", type=int, default=1536)
    parser.add_argument("--windows", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--pilot-windows", type=int, default=4)
    chosen = parser.parse_args()
    print(f"processes that want a core before the start: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as name, RayCluster() as cluster:
        folder = Path(name)
        models = []
        for number in range(chosen.models):
            place = shutil.copytree(MODEL.location, folder / f"model-{number}")
            models.append(parse_model(str(place), {}, ()))
        measure(models[:1], 8, 8, folder)  # files are read into memory once
        for replicas in (1, 2):
            if replicas == 2:
                cluster.add()
            for w in chosen.windows:
                pilot = measure(models, w * chosen.pilot_windows, w, folder)
                found = measure(models, chosen.items, w, folder)
                guessed = predicted_s(pilot, w * chosen.pilot_windows, len(models), chosen.items, w, replicas)
                rows.append((replicas, w, found.makespan_s, guessed, replayed_s(found, replicas)))
                print(f"  measured {found.makespan_s:.1f} s: {found}", flush=True)
    print(f"\n{chosen.models} models x {chosen.items} items\n")
    print("| replicas | window | measured | predicted from a pilot | replayed from its own windows |")
    print("|---|---|---|---|---|")
    for replicas, w, seconds, guessed, again in rows:
        cells = [f"{one:.1f} s ({one / seconds - 1:+.1%})" for one in (guessed, again)]
        print(f"| {replicas} | {w} | {seconds:.1f} s | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
