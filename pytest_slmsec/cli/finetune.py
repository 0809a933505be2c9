"""``slmsec finetune RECIPE.toml``: train a model on rows of your own, and say what came of it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.files import load_config
from pytest_slmsec.config.options import DEVICE
from pytest_slmsec.config.settings import engine_settings
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.wrap import for_stderr
from pytest_slmsec.quantize.registry import QUANTIZERS

if TYPE_CHECKING:
    from pytest_slmsec.core.items import Item
    from pytest_slmsec.core.models import ModelSpec
    from pytest_slmsec.finetune.manifest import TrainingManifest
    from pytest_slmsec.finetune.plan import TrainingPlan
    from pytest_slmsec.finetune.recipe import Recipe
    from pytest_slmsec.finetune.train import Step, Watcher

INTERRUPTED = 130
LINES_S = 10.0
"""Seconds between two lines of progress where nobody watches (a log of CI)."""


def add_to(commands: Any) -> None:
    """Declare the verb."""
    training = commands.add_parser(
        "finetune",
        help="train an adapter or a model on your own rows",
        description="Train what RECIPE.toml says (docs/finetune.md): LoRA, QLoRA, or all weights, on JSON lines of "
        "messages, instructions, or questions and answers; only answers are trained. The same recipe gives the same "
        "weights to the bit. Ctrl-C keeps a checkpoint, and --resume goes on from it.",
        epilog="example: slmsec finetune soc.toml --out soc-adapter && pytest benchmarks/ --model=tinysec "
        "--model=tinysec+soc-adapter",
    )
    training.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    training.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the result (default: RECIPE)")
    training.add_argument("--resume", action="store_true", help="go on from the checkpoints of an interrupted run")
    add_training_options(training)
    training.set_defaults(run=finetune)


def add_training_options(command: argparse.ArgumentParser) -> None:
    """Declare what all verbs that train take."""
    command.add_argument(
        "--report-to", metavar="TRACKER",
        help="send the training's numbers to a tracker, such as wandb (default: what the recipe says, else nothing is "
        "sent)",
    )  # fmt: skip
    command.add_argument(
        "--data", metavar="DIR",
        help="also refuse rows that hold published items, whose files are in DIR (default: SLMSEC_DATA)",
    )  # fmt: skip
    command.add_argument(
        "--allow-overlap", action="store_true",
        help="train on rows that hold items of benchmarks; the gate then gives ERROR for these benchmarks",
    )  # fmt: skip
    command.add_argument(DEVICE.flag, dest="device", help=DEVICE.help, **DEVICE.kwargs)


def finetune(args: argparse.Namespace) -> int:
    """Train, and print what came of it.

    Raises:
        SlmsecError: the recipe, its data or its base cannot be used, or the training failed.
    """
    from pytest_slmsec.finetune.recipe import read_recipe
    from pytest_slmsec.finetune.trainer_settings import require_packages

    recipe = read_recipe(args.recipe)
    require_packages(recipe)
    from pytest_slmsec.finetune.train import Stopped

    out = args.out or Path(recipe.name)
    try:
        plan = planned(recipe, args)
        manifest = run_training(plan, out, args)
    except Stopped as stop:
        say_stopped(stop, f"slmsec finetune {args.recipe} --out {out} --resume")
        return INTERRUPTED
    print_manifest(manifest, recipe, out)
    return 0


def say_stopped(stop: Exception, again: str) -> None:
    """Say where a training was stopped, and the line that goes on."""
    print(for_stderr(f"slmsec: {stop}"), file=sys.stderr)
    print(f"Go on with: {again}", file=sys.stderr)


def base_of(recipe: Recipe) -> ModelSpec:
    """The base of a recipe, as ``--model`` finds it."""
    registry = {**shipped_registry(), **load_config(Path.cwd()).get("models", {})}
    return parse_model(recipe.base, registry, tuple(QUANTIZERS), f"{recipe.path}: base")


def planned(recipe: Recipe, args: argparse.Namespace) -> TrainingPlan:
    """What a recipe trains, with the options of the command line."""
    from pytest_slmsec.finetune.plan import plan_training

    return plan_training(recipe, base_of(recipe), engine_settings(args.device, None), args.report_to)


def run_training(plan: TrainingPlan, out: Path, args: argparse.Namespace) -> TrainingManifest:
    """Train into `out`, with progress, and draw the loss. Rows that hold items of benchmarks are refused before."""
    from pytest_slmsec.engines.common.finetuned import read_finetuned
    from pytest_slmsec.finetune.contamination import compare
    from pytest_slmsec.finetune.job import finetune as train
    from pytest_slmsec.finetune.job import row_notices

    recipe = plan.recipe
    with watching(recipe.name) as watcher:
        found = compare(plan.rows, data_folder(args.data), read_finetuned(plan.checkpoint.directory),
                        own_questions(recipe))  # fmt: skip
        if not args.allow_overlap:
            found.refuse()
        for notice in [*row_notices(plan), found.notice()]:
            if notice is not None:
                watcher.say(notice)
        manifest = train(plan, out, args.resume, engine_settings(args.device, None), watcher, found.record())
    draw_loss(out, recipe.name)
    return manifest


def own_questions(recipe: Recipe) -> dict[str, Sequence[Item]]:
    """The questions of one's own that ``slmsec flow`` asks, by the name of their benchmark; {} where there are none."""
    from pytest_slmsec.tasks.qa_file import task_of_file

    if recipe.flow.qa is None:
        return {}
    task = task_of_file(recipe.flow.qa, {})
    return {task.name: task.items or ()}


def data_folder(given: str | None) -> str | None:
    """The folder of published files: as given, else that of the variable SLMSEC_DATA."""
    found = given or os.environ.get("SLMSEC_DATA") or None
    return None if found in ("fixture", "hub") else found


def draw_loss(out: Path, name: str) -> None:
    """Write the picture of the loss beside the record."""
    import json

    from pytest_slmsec.finetune.manifest import LOG, PICTURE
    from pytest_slmsec.reports.loss_picture import loss_picture

    log = [json.loads(line) for line in (out / LOG).read_text("utf-8").splitlines()]
    (out / PICTURE).write_text(f"{loss_picture(log, f'Loss of {name}')}\n", "utf-8")


@contextmanager
def watching(name: str) -> Iterator[Watcher]:
    """Progress on standard error: a bar on a terminal, else a line every few seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pytest_slmsec.finetune.train import Watcher

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{name}: loading", total=None)

        def show(step: Step, text: str) -> None:
            bar.update(task, description=text, completed=step.step, total=step.steps)

        lines = show if console.is_terminal else _line_writer(console)

        def say(text: str) -> None:
            console.print(for_stderr(f"slmsec: {text}"), highlight=False, markup=False, soft_wrap=True)

        yield Watcher(lambda step: lines(step, step_text(name, step)), say)


def _line_writer(console: Any) -> Callable[[Step, str], None]:
    """Writes the first and the last step, and one now and then between them."""
    written = [-LINES_S]

    def write(step: Step, text: str) -> None:
        now = time.monotonic()
        if now - written[0] >= LINES_S or step.step == step.steps:
            written[0] = now
            console.print(f"{text}, step {step.step} of {step.steps}", highlight=False, markup=False, soft_wrap=True)

    return write


def step_text(name: str, step: Step) -> str:
    """One step in few words."""
    minutes, seconds = divmod(round(step.left_s), 60)
    return f"{name}: loss {step.loss:.4f}, {step.tokens_per_s:,.0f} tokens/s, {minutes}:{seconds:02} left"


def print_manifest(manifest: TrainingManifest, recipe: Recipe, out: Path) -> None:
    """The figures of a training, one fact a line."""
    from pytest_slmsec.finetune.manifest import PICTURE
    from pytest_slmsec.finetune.recipe import SFT

    rows, loss = manifest.rows, manifest.loss
    print(f"{recipe.name}: {manifest.mode} of {manifest.base}, {manifest.steps} steps")
    print(f"  rows          {rows['train']:,} trained, {rows['eval']:,} for evaluation; "
          f"{rows['trained_tokens']:,} of {rows['tokens']:,} tokens trained")  # fmt: skip
    held = "" if loss["eval_end"] is None else f"; evaluation {loss['eval_begin']:.4f} to {loss['eval_end']:.4f}"
    print(f"  loss          {loss['begin']:.4f} to {loss['end']:.4f}{held}")
    print(f"  weights       sha256 {manifest.weights_sha256}")
    print(f"  in            {out}, loss in {PICTURE}")
    model = f"./{out}" if not out.is_absolute() else str(out)
    named = model if manifest.mode == SFT else f"{manifest.base}+{model}"
    print(f"Evaluate it: pytest benchmarks/ --model={manifest.base} --model={named}")
