"""``slmsec flow RECIPE.toml``: fine-tune, merge, quantise, run the benchmarks, and judge, each step once.

Every step is found again by its content: the adapter by recipe, base, rows and packages; the merged model by base and
adapter; quantised models in their cache; the run by the models, the suite and its options.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.cli.finetune import INTERRUPTED, add_training_options, base_of, planned, run_training, say_stopped
from pytest_slmsec.config.settings import engine_settings
from pytest_slmsec.core.errors import FinetuneError, UsageError
from pytest_slmsec.core.identity import sha256_file, sha256_files, sha256_json
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.version import __version__
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.quantize.registry import QUANTIZERS

if TYPE_CHECKING:
    from pytest_slmsec.engines.common.settings import EngineSettings
    from pytest_slmsec.finetune.recipe import Recipe

WORST_FIRST = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
RECORD = "flow.json"


def add_to(commands: Any) -> None:
    """Declare the verb."""
    flow = commands.add_parser(
        "flow",
        help="fine-tune, merge, quantise and judge, each step once",
        description="Fine-tune what RECIPE.toml says, merge the adapter into the unquantised weights, quantise the "
        "result to each of [flow] quants, run the benchmarks on all of them, and judge them against the base and "
        "against the unquantised fine-tune (docs/finetune.md). What was made before is found again by its content: a "
        "second call trains nothing, and one after Ctrl-C goes on. "
        "Exit status: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 ERROR, the worst of all verdicts.",
        epilog="example: slmsec flow syslog.toml --out syslog-flow",
    )
    flow.error_status = 3
    flow.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    flow.add_argument("--out", type=Path, metavar="DIR", help="folder of all results (default: RECIPE.flow)")
    flow.add_argument("-v", "--verbose", action="store_true", help="show every gate of each comparison")
    add_training_options(flow)
    flow.set_defaults(run=flow_verb, resume=True)


@dataclass(frozen=True, slots=True)
class Done:
    """A step that is done.

    Attributes:
        step: what it is. made: it was made now, and not found. seconds: it took. digest: identity of its result.
    """

    step: str
    made: bool
    seconds: float
    digest: str


@dataclass(slots=True)
class Flow:
    """One flow.

    Attributes:
        home: folder of all results. done: the steps so far.
    """

    recipe: Recipe
    home: Path
    args: argparse.Namespace
    settings: EngineSettings
    done: list[Done] = field(default_factory=list)

    def step(self, name: str, is_there: bool, make: Callable[[], object], digest: Callable[[], str]) -> None:
        """Make something where it is not there, and say so."""
        began = time.perf_counter()
        if not is_there:
            make()
        self.done.append(Done(name, not is_there, round(time.perf_counter() - began, 1), digest()))
        one = self.done[-1]
        print(f"{name}: {f'made in {one.seconds:.1f} s' if one.made else 'found again'}, sha256 {one.digest[:12]}",
              flush=True)  # fmt: skip


def flow_verb(args: argparse.Namespace) -> int:
    """Run the flow; print the verdicts, the worst of which is the exit status. An unusable input is an ERROR."""
    from pytest_slmsec.core.errors import SlmsecError
    from pytest_slmsec.core.wrap import for_stderr

    try:
        return _run(args)
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return Verdict.ERROR.exit_code


def _run(args: argparse.Namespace) -> int:
    from pytest_slmsec.finetune.recipe import read_recipe
    from pytest_slmsec.finetune.trainer_settings import require_packages

    recipe = read_recipe(args.recipe)
    check_flow(recipe)
    require_packages(recipe)
    from pytest_slmsec.finetune.train import Stopped

    home = args.out or Path(f"{recipe.name}.flow")
    flow = Flow(recipe, home, args, engine_settings(args.device, None))
    try:
        tuned, plain = _trained(flow)
    except Stopped as stop:
        say_stopped(stop, f"slmsec flow {args.recipe} --out {home}")
        return INTERRUPTED
    models = [recipe.base, *dict.fromkeys([tuned, plain])]
    quantised = [_quantised(flow, plain, quant) for quant in recipe.flow.quants]
    run = _measured(flow, [*models, *quantised])
    return _judged(flow, run, recipe.base, tuned, [*dict.fromkeys([plain, *quantised])])


def check_flow(recipe: Recipe) -> None:
    """Refuse a table ``[flow]`` that cannot be run, before anything is trained.

    Raises:
        UsageError: an unknown quantisation, or no suite or file of questions there.
    """
    for quant in recipe.flow.quants:
        if quant not in QUANTIZERS:
            raise UsageError(f"{recipe.path}: [flow] quants names {quant!r}; known: {', '.join(QUANTIZERS)}.")
    for place in (Path(recipe.flow.suite), *([recipe.flow.qa] if recipe.flow.qa else [])):
        if not place.exists():
            raise UsageError(f"{recipe.path}: [flow] names {place}, which is not there: correct the path (a suite is "
                             "looked for in the working directory).")  # fmt: skip


def _trained(flow: Flow) -> tuple[str, str]:
    """The names of the unquantised fine-tune and of the model that is quantised: the same one after mode sft, else the
    base with its adapter, and the merged model."""
    from pytest_slmsec.engines.common.finetuned import FINETUNED, read_finetuned
    from pytest_slmsec.finetune.merge import merge, merged_folder
    from pytest_slmsec.finetune.recipe import SFT

    recipe, base = flow.recipe, base_of(flow.recipe)
    plan = planned(recipe, flow.args)
    trained = flow.home / f"trained-{plan.key}"
    flow.home.mkdir(parents=True, exist_ok=True)
    flow.step("fine-tune", (trained / FINETUNED).is_file(), lambda: run_training(plan, trained, flow.args),
              lambda: str(read_finetuned(trained)["weights_sha256"]))  # fmt: skip
    if recipe.mode == SFT:
        return _named(trained), _named(trained)
    merged = merged_folder(base, trained, flow.home, flow.settings)
    flow.step("merge", merged.is_dir(), lambda: merge(base, trained, merged, flow.settings),
              lambda: _weights(merged, flow.settings))  # fmt: skip
    return f"{recipe.base}+{_named(trained)}", _named(merged)


def _named(folder: Path) -> str:
    """A folder as ``--model`` takes it."""
    return str(folder) if folder.is_absolute() else f".{os.sep}{folder}"


def _weights(folder: Path, settings: EngineSettings) -> str:
    """Identity of the weights in a folder, whatever their format."""
    from pytest_slmsec.engines.common.digests import weights_sha256

    files = sorted(path for pattern in ("*.safetensors", "*.gguf", "*.onnx", "*.data") for path in folder.glob(pattern))
    return weights_sha256(files, settings.cache_dir)


def _quantised(flow: Flow, plain: str, quant: str) -> str:
    """The name of a quantised model, which is in the cache of quantised models now."""
    from pytest_slmsec.engines.common.checkpoint import MANIFEST
    from pytest_slmsec.quantize.manifest import CACHE_SUBDIR
    from pytest_slmsec.quantize.plan import plan_quantization
    from pytest_slmsec.quantize.store import ensure_quantized

    name = f"{plain}-{quant}"
    spec = parse_model(name, {}, tuple(QUANTIZERS))
    folder = flow.settings.cache_dir / CACHE_SUBDIR / plan_quantization(spec, flow.settings).directory_name
    flow.step(quant, (folder / MANIFEST).is_file(), lambda: ensure_quantized(spec, flow.settings),
              lambda: _weights(folder, flow.settings))  # fmt: skip
    return name


def _measured(flow: Flow, models: Sequence[str]) -> Path:
    """The file with the results of one run of pytest on all models."""
    wanted, digests = flow.recipe.flow, {one.step: one.digest for one in flow.done}
    options = [f"--slmsec-benchmarks={pattern}" for pattern in wanted.benchmarks]
    options += [f"--slmsec-qa={wanted.qa}"] if wanted.qa else []
    options += [f"--slmsec-limit={wanted.limit}"] if wanted.limit else []
    data = flow.args.data or os.environ.get("SLMSEC_DATA") or ("fixture" if base_of(flow.recipe).embedded else None)
    options += [f"--slmsec-data={data}"] if data else []
    suite = Path(wanted.suite)
    tests = sorted(suite.rglob("*.py")) if suite.is_dir() else [suite]
    parts = [__version__, digests, flow.recipe.base, sha256_files(tests), list(options), flow.args.device,
             sha256_file(wanted.qa) if wanted.qa else None]  # fmt: skip
    run = flow.home / f"run-{sha256_json(parts)[:12]}.json"
    command = [sys.executable, "-m", "pytest", str(suite), *(f"--model={name}" for name in models), *options]
    command += [f"--slmsec-device={flow.args.device or 'auto'}", "--slmsec-no-gate", "-q", "--benchmark-quiet"]
    flow.step("benchmarks", run.is_file(), lambda: _pytest(command, run), lambda: sha256_file(run))
    return run


def _pytest(command: Sequence[str], run: Path) -> None:
    """Run pytest into `run`, which is there afterwards only if every case was measured.

    Raises:
        FinetuneError: pytest failed.
    """
    draft = run.with_suffix(".making.json")
    status = subprocess.run([*command, f"--benchmark-json={draft}"], check=False).returncode
    if status or not draft.is_file():
        raise FinetuneError(f"The benchmarks ended with exit status {status}, so nothing can be judged: correct what "
                            "pytest says above and call slmsec flow again; what was made is found again.")  # fmt: skip
    draft.replace(run)


def _judged(flow: Flow, run: Path, base: str, tuned: str, candidates: Sequence[str]) -> int:
    """Judge every candidate, print each verdict, and write the record. Returns the exit status of the worst."""
    from pytest_slmsec.cli.compare import choose, judged_runs
    from pytest_slmsec.config.files import read_gate
    from pytest_slmsec.core.wrap import columns
    from pytest_slmsec.gates.records.saved_runs import read_runs
    from pytest_slmsec.reports.gate.text import report

    runs, config = read_runs(run), read_gate(Path.cwd(), flow.recipe.flow.preset)
    pairs = [(base, tuned), *((against, name) for name in candidates for against in (tuned, base) if name != against)]
    verdicts: dict[tuple[str, str], Verdict] = {}
    for against, candidate in dict.fromkeys(pairs):
        sides = [choose(runs, name, str(run)) for name in (against, candidate)]
        judgement = judged_runs(sides[0], sides[1], config, None, date.today())
        print(f"\n{report(judgement, columns(), flow.args.verbose)}")
        verdicts[against, candidate] = judgement.verdict
    print("\nflow")
    for (against, name), verdict in verdicts.items():
        print(f"  {verdict.value:<12}  {name} against {against}")
    worst = next(verdict for verdict in WORST_FIRST if verdict in verdicts.values())
    trained = next((one.made for one in flow.done if one.step == "fine-tune"), False)
    print(f"FLOW: {worst.value}; {'trained now' if trained else 'nothing was trained'}; results in {flow.home}")
    told = [{"base": a, "candidate": b, "verdict": verdict.value} for (a, b), verdict in verdicts.items()]
    record = {"verdict": worst.value, "steps": [asdict(one) for one in flow.done], "verdicts": told}
    (flow.home / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return worst.exit_code
