"""The command `slmsec`: its arguments, and which module runs each verb."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_slmsec.cli import (
    ask,
    bundle,
    campaign,
    card,
    finetune,
    flow,
    log,
    plot,
    report,
    sagemaker,
    simulate,
    synthesize,
)
from pytest_slmsec.cli.listing import list_lines, model_lines
from pytest_slmsec.config.files import load_config, read_gate
from pytest_slmsec.config.options import DEVICE, PRESET
from pytest_slmsec.config.settings import engine_settings
from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import Registry, shipped_registry
from pytest_slmsec.core.models import DTYPES
from pytest_slmsec.core.version import __version__
from pytest_slmsec.core.wrap import columns, for_stderr, wrapped
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.tasks.registry import tasks

if TYPE_CHECKING:
    from pytest_slmsec.gates.policy.config import GateConfig
    from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun

VERBS = (ask, bundle, campaign, card, finetune, flow, log, plot, report, sagemaker, simulate, synthesize)
"""Modules that declare their verb themselves, each with `add_to`."""
PUBLISHED = "folder of the published files (default: SLMSEC_DATA)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status of the verb: usually 0, or 2 after an error, shown as one sentence on standard error. 130 after
        Ctrl-C, 141 where the reader of a pipe has gone away.
    """
    given = sys.argv[1:] if argv is None else argv
    if not given:
        _parser().print_help(sys.stderr)
        return 2
    args = _parser().parse_args(given)
    try:
        return int(args.run(args))
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nslmsec: interrupted; nothing half-made was kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough: `slmsec list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


class _Parser(argparse.ArgumentParser):
    """A parser with its own exit status for usage errors, so that none of them can be taken for a verdict."""

    error_status = 2

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit."""
        self.print_usage(sys.stderr)
        self.exit(self.error_status, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="slmsec",
        description="Small language models for security: what can be evaluated, and quantising it. "
        "Evaluation itself is pytest: pytest benchmarks/ --model=tinysec --model=tinysec-gptq4",
    )
    parser.add_argument("--version", action="version", version=f"pytest-slmsec {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="known models, quantisations and benchmarks, and what of them is here")
    listing.add_argument("names", nargs="*", metavar="NAME", help="say all that is known of these models")
    listing.set_defaults(run=_list)

    quantize = commands.add_parser(
        "quantize",
        help="make a quantised model and check it against its base",
        description="Quantise BASE, reload the result, compare it with its base (KL divergence, same top token, "
        "garbled text), and keep it where --model=BASE-QUANT finds it.",
        epilog="example: slmsec quantize tinysec gptq4",
    )
    quantize.add_argument("base", metavar="BASE", help="a known model, a local directory, or hf:org/name")
    quantize.add_argument("quant", metavar="QUANT", help=f"one of {', '.join(QUANTIZERS)}")
    quantize.add_argument(
        "--calibration", type=Path, metavar="FILE", help="UTF-8 text, one sample a line (default: our own lines)"
    )
    quantize.add_argument("--group-size", type=int, metavar="N", help="columns that share a scale (default: 128)")
    _add_data(quantize, "also refuse calibration text that overlaps the items in DIR")
    quantize.add_argument(DEVICE.flag, dest="device", help=DEVICE.help, **DEVICE.kwargs)
    quantize.set_defaults(run=_quantize)
    for verb in VERBS:
        verb.add_to(commands)
    _add_compare(commands)
    _add_rescore(commands)
    _add_sentinels(commands)
    _add_arena(commands)
    plan = commands.add_parser(
        "plan",
        help="what the gate can show with the items there are, before anything runs",
        description="For every benchmark: the limit, whether its items can prove it, and how many would be needed.",
    )
    _add_preset(plan)
    plan.add_argument("--items", type=int, metavar="N", help="as if each benchmark had N items (default: as published)")
    plan.add_argument(
        "--baseline", metavar="RUN",
        help="a stored run (file or number); also name the benchmarks on which its base is not better than a constant "
        "answer, so that they cannot PASS (default: the baseline of [tool.slmsec.gate])",
    )  # fmt: skip
    plan.set_defaults(run=_plan)
    return parser


def _add_compare(commands: Any) -> None:
    comparison = commands.add_parser(
        "compare",
        help="judge a candidate against its base from two stored runs",
        description="Judge CANDIDATE against BASE, item by item. Both are files written by --benchmark-json or "
        "--benchmark-autosave, the number (0001) of such a run, or other recorded answers (docs/replay.md); "
        "FILE::MODEL chooses one of several models. "
        "Exit status: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 ERROR.",
        epilog="example: slmsec compare 0001::phi3 0002::phi3-gptq4 --flips lost.jsonl",
    )
    comparison.error_status = 3
    comparison.add_argument("base", metavar="BASE")
    comparison.add_argument("candidate", metavar="CANDIDATE")
    _add_preset(comparison)
    _add_data(comparison)
    comparison.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    comparison.add_argument("--flips", type=Path, metavar="FILE", help="write each item that changed as a JSON line")
    comparison.add_argument(
        "-v", "--verbose", action="store_true", help="show every gate, losses by category, variants by kind"
    )
    comparison.set_defaults(run=_compare)


def _add_rescore(commands: Any) -> None:
    again = commands.add_parser(
        "rescore",
        help="score a stored run again with today's scorers and say what changed",
        description="Score the stored answers of RUN again, and count for each benchmark what changed. RUN is a file "
        "of --benchmark-json or its number (0001), a transcript, or any other recorded answers that --model=replay:RUN "
        "takes; RUN::MODEL chooses a model. "
        "Exit status: 0 every stored score is found again, 1 some are not, 3 RUN cannot be scored.",
        epilog="example: slmsec rescore run.jsonl --json changes.json",
    )
    again.error_status = 3
    again.add_argument("recorded", metavar="RUN")
    _add_data(again)
    again.add_argument("--json", type=Path, metavar="FILE", help="write every changed score to FILE")
    again.add_argument("-v", "--verbose", action="store_true", help="show the first changed answers of each benchmark")
    again.set_defaults(run=_rescore)


def _add_sentinels(commands: Any) -> None:
    looking = commands.add_parser(
        "sentinels",
        help="look for signs that the numbers of a stored run are wrong",
        description="Look at a stored RUN as every run is looked at (docs/sentinels.md): empty, equal or garbled "
        "answers, one letter for everything, cut prompts, broken log-probabilities. RUN is a file of --benchmark-json "
        "or its number (0001), or other recorded answers. "
        "Exit status: 0 nothing found, 1 something, 3 RUN cannot be read.",
        epilog="example: slmsec sentinels 0001",
    )
    looking.error_status = 3
    looking.add_argument("recorded", metavar="RUN")
    _add_data(looking)
    looking.set_defaults(run=_sentinels)


def _add_preset(command: argparse.ArgumentParser) -> None:
    """Add the option that names the margins of the gate."""
    command.add_argument("--preset", help=PRESET.help, **PRESET.kwargs)


def _add_arena(commands: Any) -> None:
    rating = commands.add_parser(
        "arena",
        help="rate models by recorded verdicts on pairs of their answers",
        description="Rate models by verdicts, JSON lines {model_a, model_b, win[, item]}: Bradley-Terry with 95 % "
        "intervals, and how often the first place won.",
        epilog="example: slmsec arena verdicts.jsonl",
    )
    rating.add_argument("files", nargs="+", type=Path, metavar="FILE")
    rating.add_argument("--models", metavar="NAME,NAME", help="models that may occur (default: any)")
    rating.add_argument("--elo", action="store_true", help="Elo ratings, which depend on the order of the lines")
    rating.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    rating.add_argument(
        "--gate", metavar="NEW,OLD",
        help="instead, judge NEW against OLD by the verdicts of a judge on both orders of each pair (exit status "
        "0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 ERROR)",
    )  # fmt: skip
    rating.add_argument(
        "--margin", default="5pt", metavar="POINTS", help="tolerated win share below 50 %% (default: 5pt)"
    )
    rating.set_defaults(run=_arena)


def _add_data(command: argparse.ArgumentParser, use: str = PUBLISHED) -> None:
    """Add the option that names the folder of published files. `use`: what the verb does with them."""
    command.add_argument("--data", metavar="DIR", help=use)


def _registry() -> Registry:
    """The models known by name: the shipped registry and the configuration of the current folder."""
    return {**shipped_registry(), **load_config(Path.cwd()).get("models", {})}


def _list(args: argparse.Namespace) -> int:
    registry = _registry()
    parts = [model_lines(name, registry) for name in args.names] or [list_lines(registry)]
    print("\n\n".join("\n".join(lines) for lines in parts))
    return 0


def _plan(args: argparse.Namespace) -> int:
    from pytest_slmsec.reports.gate.power_table import Planned, plan_table

    if args.items is not None and args.items < 1:
        raise UsageError(f"--items={args.items}: must be a whole number of at least 1.")
    planned = [Planned(task.name, task, args.items or task.n_items) for task in tasks().values()]
    sized = [one for one in planned if one.n]
    gate = read_gate(Path.cwd(), args.preset)
    print("\n".join(plan_table(sized, gate, columns(), _stored_bases(args.baseline, gate))))
    unsized = [one.label for one in planned if not one.n]
    if unsized:
        why = "they have as many items as your files hold; name a number with --items"
        print("\n".join(wrapped(f"Not planned: {', '.join(unsized)}: {why}.", columns())))
    return 0


def _stored_bases(name: str | None, gate: GateConfig) -> list[BenchmarkRun]:
    """The unquantised models of the baseline that was named; of the configured one, where it has been written."""
    from pytest_slmsec.gates.records.comparisons import LIVE
    from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path

    if name is None:
        name = gate.baseline
        if name is None or name.startswith(LIVE) or not Path(name).expanduser().exists():
            return []
    runs = read_runs(stored_path(name, Path.cwd()))
    return [run for run in runs if run.facts["quant"] is None] or runs


def _compare(args: argparse.Namespace) -> int:
    from pytest_slmsec.cli.compare import compare

    return compare(
        args.base, args.candidate, Path.cwd(),
        preset=args.preset, data=args.data, json_file=args.json, flips_file=args.flips, verbose=args.verbose,
    )  # fmt: skip


def _rescore(args: argparse.Namespace) -> int:
    from pytest_slmsec.cli.rescore import rescore

    return rescore(args.recorded, Path.cwd(), args.data, args.json, args.verbose)


def _sentinels(args: argparse.Namespace) -> int:
    from pytest_slmsec.cli.sentinels import look_at_stored

    return look_at_stored(args.recorded, Path.cwd(), args.data)


def _arena(args: argparse.Namespace) -> int:
    from pytest_slmsec.cli.arena import arena, judge_gate

    if args.gate is not None:
        return judge_gate(args.files, args.gate, args.margin, args.json)
    models = [name.strip() for name in args.models.split(",")] if args.models else []
    return arena(args.files, models, args.elo, args.json)


def _quantize(args: argparse.Namespace) -> int:
    if args.quant in DTYPES:
        raise UsageError(
            f"{args.quant} is a dtype, nothing to be made: evaluate it as --model={args.base}-{args.quant}."
        )
    from pytest_slmsec.cli.quantize import quantize

    registry = _registry()
    spec = parse_model(f"{args.base}-{args.quant}", registry, tuple(QUANTIZERS))
    return quantize(spec, engine_settings(args.device, None), args.calibration, args.group_size, args.data)


if __name__ == "__main__":
    sys.exit(main())
