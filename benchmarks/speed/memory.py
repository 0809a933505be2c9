"""What a model needs of private memory, and what the imports cost before it.

    python benchmarks/speed/memory.py --models tinysec ./smollm2-135m
    python benchmarks/speed/memory.py --only imports

* imports: private memory and CPU seconds of each library, in a process of its own, and one after another as a run
  imports them. Each import is in a row of its own, so what it shares with those above it is not counted again.
* packages: the same imports in one process, with the memory of each module counted for its package alone, without
  what it imports in turn.
* models: private memory after the imports, after loading, after questions by choice (cti-mcq) and after written answers
  (cti-rcm), with the peak of each stage. Each model and each kind of work has a process of its own. The goal counts
  from the imports on: the weights and 30 % of them.

Private memory is `RssAnon` of /proc/self/status, sampled every 20 ms (`pytest_slmsec.meters.memory`), so Linux only.
SLMSEC_DATA gives the published prompts; without it the project's own items are used.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from pathlib import Path
from typing import Any, NamedTuple

from pytest_slmsec.meters.memory import Sampler, read_sample

MIB = 2**20
GOAL = 1.3
IMPORTS = (
    "pytest", "pytest_slmsec.plugin", "numpy", "torch", "tokenizers", "safetensors.torch", "transformers",
    "transformers.modeling_utils", "transformers.models.llama.modeling_llama",
    "pytest_slmsec.engines.causal_lm.transformers_",
)  # fmt: skip
"""In the order in which a run imports them."""
WORK = {"choices": "cti-mcq", "answers": "cti-rcm"}
"""Kinds of work, and the benchmark of each."""


class Cost(NamedTuple):
    """Of one import: private memory in bytes, CPU seconds, and how many modules came with it."""

    private_bytes: int
    cpu_s: float
    modules: int


class Stage(NamedTuple):
    """Private memory at the end of a stage of a run, its peak during the stage (bytes), and the stage's CPU seconds."""

    name: str
    private_bytes: int
    peak_bytes: int
    cpu_s: float


def private_bytes() -> int:
    """Private memory of this process now."""
    found = read_sample().private
    if found is None:
        sys.exit("private memory of a process cannot be read on this system")
    return found


def cost_of_imports(names: Sequence[str]) -> list[Cost]:
    """Import modules one after another in this process."""
    found = []
    for name in names:
        private, cpu, modules = private_bytes(), time.process_time(), len(sys.modules)
        importlib.import_module(name)
        found.append(Cost(private_bytes() - private, time.process_time() - cpu, len(sys.modules) - modules))
    return found


class ByPackage:
    """Counts private memory of imports by package, from its making to the end of the process.

    Attributes:
        bytes: by package, private memory that its own modules added. modules: by package, how many were imported.
    """

    def __init__(self) -> None:
        self.bytes: Counter[str] = Counter()
        self.modules: Counter[str] = Counter()
        self._inside = [0]
        private_bytes()  # imports what reading needs, before each import is read
        run, open_library = SourceFileLoader.exec_module, ExtensionFileLoader.create_module

        def exec_module(loader: Any, module: Any) -> None:
            self.modules[package(module.__name__)] += 1
            self._count(package(module.__name__), lambda: run(loader, module))

        def create_module(loader: Any, spec: Any) -> Any:
            return self._count(package(spec.name), lambda: open_library(loader, spec))

        SourceFileLoader.exec_module = exec_module  # type: ignore[method-assign]
        ExtensionFileLoader.create_module = create_module  # type: ignore[method-assign]

    def _count(self, name: str, work: Callable[[], Any]) -> Any:
        before = private_bytes()
        self._inside.append(0)
        try:
            return work()
        finally:
            added = private_bytes() - before
            self.bytes[name] += added - self._inside.pop()
            self._inside[-1] += added


def package(module: str) -> str:
    """The package of a module; the parts of torch and of transformers each with one more name."""
    first, *rest = module.split(".")
    return ".".join([first, *rest[:1]]) if first in ("torch", "transformers") else first


def cost_by_package() -> dict[str, tuple[int, int]]:
    """Import what a run imports. Returns private memory in bytes and number of modules by package."""
    counted = ByPackage()
    cost_of_imports(IMPORTS)
    return {name: (size, counted.modules[name]) for name, size in counted.bytes.most_common()}


def run_model(model: str, kind: str, items: int, new_tokens: int, dtype: str) -> tuple[int, list[Stage]]:
    """Load a model in this process and let it work. Returns the bytes of its weights in memory, and the stages."""
    from pytest_slmsec.core.model_names import parse_model
    from pytest_slmsec.core.model_registry import shipped_registry
    from pytest_slmsec.engines.causal_lm import transformers_
    from pytest_slmsec.engines.common.checkpoint import read_checkpoint
    from pytest_slmsec.engines.common.loading import locate
    from pytest_slmsec.engines.common.settings import EngineSettings
    from pytest_slmsec.quantize.load_model import make_engine
    from pytest_slmsec.quantize.registry import QUANTIZERS

    spec = parse_model(model, shipped_registry(), QUANTIZERS)
    settings = EngineSettings(device="cpu", dtype=dtype)
    transformers_.import_architecture(transformers_.load_config(read_checkpoint(locate(spec, settings))))
    asked = requests(WORK[kind], items, new_tokens if kind == "answers" else None)
    stages = [Stage("imports", private_bytes(), private_bytes(), time.process_time())]
    with_peak = PeakOf(stages)
    engine = with_peak("loading", lambda: make_engine(spec, settings))
    with_peak(kind, lambda: [engine.run([asked[at] for at in batch]) for batch in engine.plan(asked)])
    return weight_bytes(engine.network.model), stages


class PeakOf:
    """Runs stages, and keeps the memory of each in a list."""

    def __init__(self, stages: list[Stage]) -> None:
        self._stages = stages

    def __call__(self, name: str, work: Any) -> Any:
        """What `work` returns."""
        sampler, cpu = Sampler(), time.process_time()
        done = work()
        sampler.stop()
        assert sampler.private is not None
        self._stages.append(Stage(name, private_bytes(), sampler.private, time.process_time() - cpu))
        return done


def weight_bytes(model: Any) -> int:
    """Bytes of all weights of a model, each counted once, in the dtype that they are kept in."""
    from pytest_slmsec.engines.packed.linears import PackedLinear

    weights = {id(one): one for one in model.parameters()}
    packed = [layer for layer in model.modules() if isinstance(layer, PackedLinear)]
    own = sum(one.numel() * one.element_size() for one in weights.values())
    return own + sum(layer.in_features * layer.out_features * model.dtype.itemsize for layer in packed)


def requests(benchmark: str, items: int, new_tokens: int | None) -> list[Any]:
    """The first requests of a benchmark."""
    from dataclasses import replace

    from pytest_slmsec.scoring.base import Mode
    from pytest_slmsec.tasks.registry import find_task
    from pytest_slmsec.tasks.sources import find

    data = os.environ.get("SLMSEC_DATA")
    dataset = find(find_task(benchmark), data if data and Path(data).is_dir() else "fixture", True)
    return [
        replace(dataset.task.request(item, Mode.STRICT, new_tokens), shared_chars=dataset.shared_chars)
        for item in list(dataset.items)[:items]
    ]


def in_fresh_process(*args: str) -> Any:
    """What a part of this script prints as JSON, run in a process of its own."""
    command = [sys.executable, __file__, *args]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def show_imports() -> None:
    """Print the table of imports."""
    together = [Cost(*one) for one in in_fresh_process("--import", *IMPORTS)]
    print(f"{'import':48} {'alone MiB':>9} {'then MiB':>9} {'CPU s':>6} {'modules':>7}", flush=True)
    for name, then in zip(IMPORTS, together, strict=True):
        alone = Cost(*in_fresh_process("--import", name)[0])
        line = f"{name:48} {alone.private_bytes / MIB:9.0f} {then.private_bytes / MIB:9.0f}"
        print(f"{line} {then.cpu_s:6.1f} {then.modules:7}", flush=True)
    print(f"{'all':58} {sum(one.private_bytes for one in together) / MIB:9.0f}")


def show_packages() -> None:
    """Print the packages whose modules add at least a MiB."""
    found = in_fresh_process("--packages")
    print(f"\n{'package, without what it imports':48} {'MiB':>9} {'modules':>7}")
    for name, (size, modules) in found.items():
        if size >= MIB:
            print(f"{name:48} {size / MIB:9.1f} {modules:7}")


def show_model(model: str, kind: str, items: int, new_tokens: int, dtype: str) -> None:
    """Print the stages of one model with one kind of work."""
    weights, found = in_fresh_process("--run", model, kind, str(items), str(new_tokens), dtype)
    stages = [Stage(*one) for one in found]
    start, peak = stages[0].private_bytes, max(stage.peak_bytes for stage in stages)
    print(f"\n{Path(model).name}, {kind}, {items} items, {dtype}: weights {weights / MIB:.0f} MiB")
    for stage in stages:
        sizes = f"{stage.private_bytes / MIB:7.0f} MiB, peak {stage.peak_bytes / MIB:7.0f}"
        print(f"  {stage.name:10} {sizes}, {stage.cpu_s:6.1f} CPU seconds")
    beyond = f"{(peak - start) / MIB:.0f} MiB beyond the imports"
    print(f"  {beyond} at the peak: {(peak - start) / weights:.2f} of the weights (goal {GOAL})", flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python benchmarks/speed/memory.py", description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["tinysec"], help="names or directories (default tinysec)")
    parser.add_argument("--work", nargs="+", choices=tuple(WORK), default=list(WORK), help="default: both")
    parser.add_argument("--items", type=int, default=24, metavar="N", help="questions or answers (default 24)")
    parser.add_argument("--new-tokens", type=int, default=128, metavar="N", help="longest answer (default 128)")
    parser.add_argument("--dtype", default="fp32", help="default fp32")
    parser.add_argument("--only", choices=("imports", "packages", "models"), help="measure one part")
    parser.add_argument("--import", nargs="+", dest="names", help=argparse.SUPPRESS)
    parser.add_argument("--packages", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    args = arguments(given)
    if args.names:
        print(json.dumps(cost_of_imports(args.names)))
        return 0
    if args.packages:
        print(json.dumps(cost_by_package()))
        return 0
    if args.run:
        model, kind, items, new_tokens, dtype = args.run
        print(json.dumps(run_model(model, kind, int(items), int(new_tokens), dtype)))
        return 0
    if args.only in (None, "imports"):
        show_imports()
    if args.only in (None, "packages"):
        show_packages()
    if args.only in (None, "models"):
        for model in args.models:
            for kind in args.work:
                show_model(model, kind, args.items, args.new_tokens, args.dtype)
    return 0


if __name__ == "__main__":
    sys.exit(main())
