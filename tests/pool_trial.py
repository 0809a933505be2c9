"""Measures a pool of replicas on a Ray cluster of two nodes against one process: times, and whether outputs are equal.

python tests/pool_trial.py [--requests 2820] [--window 64]
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

from raycluster import RayCluster

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.pool_address import PoolAddress
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.batch_runner import ask
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.execution.model_loader import ModelLoader
from pytest_slmsec.execution.ray_pool import RayPool
from pytest_slmsec.execution.replica import _Silent
from pytest_slmsec.quantize.load_model import make_engine

MODEL = parse_model("tinysec", shipped_registry(), ())
SETTINGS = EngineSettings()


def question(n, prefix=""):
    """Every fourth compares options, the others are answered in words."""
    if n % 4 == 0:
        return Choose(f"{prefix}{n}", (Message("user", f"{prefix}Is port {n} open?"),), (" yes", " no"))
    return Generate(f"{prefix}{n}", (Message("user", f"{prefix}Which weakness is CWE-{n}?"),), 24)


def windows_of(requests, size):
    return [requests[start : start + size] for start in range(0, len(requests), size)]


def nothing(done):
    """No progress is shown."""


def one_process(windows, folder):
    models = ModelLoader(lambda spec: make_engine(spec, SETTINGS), _Silent())
    resident = models.load(MODEL)
    journal = Journal.start(folder / "one.jsonl")
    ask(resident, [question(n, "warm ") for n in range(8)], journal, nothing)
    wall, cpu = time.perf_counter(), time.process_time()
    outputs = [one.output for window in windows for one in ask(resident, window, journal, nothing)]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    models.unload()
    return outputs, wall, cpu


def pooled(name, windows, folder, cluster, replicas, remove_after=None):
    """Outputs, wall and engine CPU seconds, seconds until all replicas had loaded, and how often items were asked."""
    journal = Journal.start(folder / f"{name}.jsonl")
    began = time.perf_counter()
    dispatch = Dispatch(RayPool(PoolAddress(), print), lambda spec: SETTINGS, lambda: journal, print)
    warm = 0
    while sum(replica.model is not None and not replica.jobs for replica in dispatch._replicas.values()) < replicas:
        dispatch.plan([(MODEL, partial(list, [question(n, "warm ")])) for n in range(warm, warm + 2 * replicas)])
        for n in range(warm, warm + 2 * replicas):
            dispatch.ask(MODEL, [question(n, "warm ")], nothing)
        warm += 2 * replicas
    started = time.perf_counter() - began
    before, cpu = Counter(name for line in cluster.lines("asked") for name in line["asked"]), dispatch.tally.cpu_s
    wall = time.perf_counter()
    dispatch.plan([(MODEL, partial(list, window)) for window in windows])
    outputs = []
    for number, window in enumerate(windows):
        if number == remove_after:
            threading.Thread(target=cluster.remove).start()
        outputs += [one.output for one in dispatch.ask(MODEL, window, nothing)]
    wall = time.perf_counter() - wall
    cpu = dispatch.tally.cpu_s - cpu
    again = dispatch.tally.again
    dispatch.close()
    journal.close()
    asked = Counter(name for line in cluster.lines("asked") for name in line["asked"])
    return outputs, wall, cpu, started, asked - before, again


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2820)
    parser.add_argument("--window", type=int, default=64)
    chosen = parser.parse_args()
    windows = windows_of([question(n) for n in range(chosen.requests)], chosen.window)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, wall, cpu = one_process(windows, folder)
        print(f"{chosen.requests} requests in {len(windows)} windows")
        print(f"one process: wall {wall:.1f} s, CPU {cpu:.1f} s", flush=True)
        with RayCluster() as cluster:
            rows = [("1 replica", 1, None), ("2 replicas", 2, None), ("node removed", 2, len(windows) // 3)]
            for title, replicas, remove_after in rows:
                if replicas == 2 and not cluster.nodes:
                    cluster.add()
                found, took, spent, started, asked, again = pooled(
                    title.replace(" ", ""), windows, folder, cluster, replicas, remove_after
                )
                twice = sum(times - 1 for times in asked.values())
                print(
                    f"{title}: start {started:.1f} s, wall {took:.1f} s, engine CPU {spent:.1f} s, "
                    f"efficiency {cpu / (took * replicas):.2f}, CPU inflation {spent / cpu:.2f}, "
                    f"handed out again {again} windows, asked twice {twice} requests, "
                    f"outputs equal: {found == alone}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
