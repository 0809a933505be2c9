"""``slmsec report RUN...``: one HTML page about stored runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.config.options import PRESET

POLICIES = ("auto", "changed", "wrong", "all", "none")
RUNS = (
    "RUN is a file of --benchmark-json or --benchmark-autosave, the number (0001) of such a run, or other recorded "
    "answers (docs/replay.md); FILE::MODEL chooses one of several models. Verdicts are those of `slmsec compare`."
)


def add_to(commands: Any) -> None:
    """Declare the verb."""
    page = commands.add_parser(
        "report",
        help="write one HTML page about stored runs, to be shown around",
        description="Write one HTML file: verdicts, scores, what changed, costs, and every item with filters. It asks "
        f"for no other file and no network. {RUNS}",
        epilog="example: slmsec report 0001 0002 -o report.html --transcript run.jsonl",
    )
    page.add_argument("runs", nargs="+", metavar="RUN")
    page.add_argument("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE",
                      help="file to write (default: report.html)")  # fmt: skip
    page.add_argument("--transcript", type=Path, metavar="FILE", help="take prompts from a file of --slmsec-transcript")
    page.add_argument(
        "--data", metavar="DIR", help="take prompts from the published files in DIR (default: SLMSEC_DATA)"
    )
    page.add_argument(
        "--texts", choices=POLICIES, default=POLICIES[0],
        help="prompts and answers that the page holds: auto (default: lost items first, none of data that others "
        "published), changed, wrong, all, none",
    )  # fmt: skip
    page.add_argument("--size", metavar="BYTES", help="size that the page may have (default: 2M)")
    page.add_argument("--preset", help=PRESET.help, **PRESET.kwargs)
    page.set_defaults(run=report)


def report(args: argparse.Namespace) -> int:
    """Write the page and say where it is, how large, and what its verdicts are.

    Raises:
        SlmsecError: an input cannot be used, or the page cannot be written.
    """
    data = args.data or os.environ.get("SLMSEC_DATA") or None
    print(write_page(args.output, args.runs, data, args.preset, args.texts, args.size, args.transcript))
    return 0


def write_page(output: Path, runs: Sequence[str], data: str | None, preset: str | None = None,
               texts: str = POLICIES[0], size: str | None = None, transcript: Path | None = None) -> str:  # fmt: skip
    """Write the page about stored runs; arguments as those of the verb.

    Returns:
        A line that says where it is, how large, and what its verdicts are.

    Raises:
        SlmsecError: see `report`.
    """
    from pytest_slmsec.cli.read_report import read_report, read_size, write
    from pytest_slmsec.reports.page.document import Wanted, page
    from pytest_slmsec.reports.page.texts import prompts_of_data, prompts_of_transcript

    n_bytes = read_size(size)
    found = read_report(runs, Path.cwd(), data, preset)
    prompts = prompts_of_data(found.runs, data)
    if transcript is not None:
        prompts |= prompts_of_transcript(transcript)
    made = page(found, Wanted(texts, n_bytes, prompts))
    write(output, made)
    verdicts = ", ".join(f"{judgement.candidate} {judgement.verdict.value}" for judgement in found.judgements)
    return f"{output}: {len(made.encode()) / 1024:,.0f} KiB, {verdicts or 'nothing judged'}."
