"""What llama.cpp and ONNX gain from slots and from a cache, in one process on real models.

    python benchmarks/speed/engines.py --models tinysec-q4_k_m tinysec-onnx smollm2-135m-q4_1 --repeats 3
    OMP_NUM_THREADS=2 python benchmarks/speed/engines.py --models smollm2-135m-q4_1 --answers 32 --new-tokens 128

Each model answers the first CTI-RCM prompts in two ways in turns: as it is run, and plainly. Plainly means one answer
at a time in llama.cpp, and the whole text again for each token in ONNX. It prints the median of CPU and wall seconds,
new tokens a second, how many texts are the same, and how far log-probabilities of options (cti-mcq-choice) are apart.
SLMSEC_DATA gives the published prompts; without it the project's own items are used.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pytest_slmsec.core.items import Request
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.onnx_.engine import OnnxEngine
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

QUESTIONS = 12
LINE = "{model:20} {way:12} {cpu:8.2f} {wall:8.2f} {tokens:7} {per_cpu:9.1f} {per_wall:9.1f} {ratio:7}  {agrees}"
HEAD = (
    f"{'model':20} {'way':12} {'cpu s':>8} {'wall s':>8} {'tokens':>7} {'tok/cpu-s':>9} {'tok/s':>9} {'ratio':7}  same"
)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python benchmarks/speed/engines.py", description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["tinysec-q4_k_m", "tinysec-onnx"])
    parser.add_argument("--answers", type=int, default=32, help="prompts of CTI-RCM (default 32)")
    parser.add_argument("--new-tokens", type=int, default=128, help="longest answer (default 128)")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each way; the median counts (default 1)")
    return parser.parse_args(given)


def requests(name: str, count: int, limit: int | None) -> list[Request]:
    """The first requests of a benchmark."""
    data = os.environ.get("SLMSEC_DATA")
    dataset = find(find_task(name), data if data and Path(data).is_dir() else "fixture", True)
    mode = Mode.STRICT
    return [
        replace(dataset.task.request(item, mode, limit), shared_chars=dataset.shared_chars)
        for item in list(dataset.items)[:count]
    ]


class Forgetful:
    """Feeds a graph each text whole, as if it had no cache."""

    def __init__(self, known: Any) -> None:
        self._known = known
        self.forget = known.forget

    def logits(self, tokens: Sequence[int], start: int) -> torch.Tensor:
        """See `KnownPrefix.logits`."""
        self.forget()
        found: torch.Tensor = self._known.logits(tokens, start)
        return found


def engines(model: str) -> dict[str, Any]:
    """The model twice: it answers plainly, and as it is run."""
    spec, found = parse_model(model, shipped_registry(), QUANTIZERS), {}
    for way, slots in (("plain", 1), ("as it is", EngineSettings().max_batch)):
        found[way] = make_engine(spec, EngineSettings(device="cpu", max_batch=slots))
    if isinstance(found["plain"], OnnxEngine):
        found["plain"]._known = Forgetful(found["plain"]._known)
    return found


def answer(engine: Any, asked: Sequence[Request]) -> list[Any]:
    """The outputs, in order."""
    found: dict[int, Any] = {}
    for batch in engine.plan(asked):
        found.update(zip(batch, engine.run([asked[at] for at in batch]).outputs, strict=True))
    return [found[at] for at in range(len(asked))]


def measure(engine: Any, asked: Sequence[Request]) -> tuple[float, float, list[Any]]:
    """CPU seconds, wall seconds and outputs."""
    cpu, wall = time.process_time(), time.perf_counter()
    outputs = answer(engine, asked)
    return time.process_time() - cpu, time.perf_counter() - wall, outputs


def compare(model: str, args: argparse.Namespace) -> None:
    """Both ways in turns on one model, and a line for each."""
    ways = engines(model)
    asked = requests("cti-rcm", args.answers, args.new_tokens)
    questions = requests("cti-mcq-choice", QUESTIONS, None)
    runs: dict[str, list[tuple[float, float, list[Any]]]] = {way: [] for way in ways}
    scores = {}
    for way, engine in ways.items():
        answer(engine, asked[:1])
        scores[way] = [output.choice_logprobs for output in answer(engine, questions)]
    for _ in range(args.repeats):
        for way, engine in ways.items():
            runs[way].append(measure(engine, asked))
    for engine in ways.values():
        engine.close()
    texts = [[output.text for output in runs[way][0][2]] for way in runs]
    same = sum(one == other for one, other in zip(*texts, strict=True))
    off = max(abs(a - b) for one, other in zip(*scores.values(), strict=True) for a, b in zip(one, other, strict=True))
    first: float | None = None
    for way, some in runs.items():
        cpu, wall = (statistics.median(run[place] for run in some) for place in (0, 1))
        tokens = sum(output.new_tokens for output in some[0][2])
        first = first or cpu
        print(LINE.format(
            model=model, way=way, cpu=cpu, wall=wall, tokens=tokens, per_cpu=tokens / cpu, per_wall=tokens / wall,
            ratio=f"{first / cpu:.2f}x", agrees=f"{same} of {len(asked)} texts, options within {off:.1g} nats",
        ), flush=True)  # fmt: skip


def main(given: Sequence[str] | None = None) -> int:
    """Run every model asked for."""
    args = arguments(given)
    print(f"{torch.get_num_threads()} threads\n{HEAD}", flush=True)
    for model in args.models:
        compare(model, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
