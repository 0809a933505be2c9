"""``slmsec plot RUN... PICTURE``: one picture of the report as an SVG file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pytest_slmsec.cli.report import RUNS
from pytest_slmsec.config.options import PRESET

NAMES = ("forest", "gate", "flips", "pareto", "reliability", "history")


def add_to(commands: Any) -> None:
    """Declare the verb."""
    plot = commands.add_parser(
        "plot",
        help="write one picture of the report as SVG",
        description="Write one picture of `slmsec report` as an SVG file: scores with intervals (forest), gates in "
        "multiples of their limits (gate), items lost and won (flips), score against cost (pareto), confidence "
        f"(reliability), scores over runs (history). {RUNS}",
        epilog="example: slmsec plot 0001 0002 forest -o forest.svg",
    )
    plot.add_argument("runs", nargs="+", metavar="RUN")
    plot.add_argument("picture", choices=NAMES, metavar="PICTURE", help=", ".join(NAMES))
    plot.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: PICTURE.svg)")
    plot.add_argument("--preset", help=PRESET.help, **PRESET.kwargs)
    plot.set_defaults(run=plot_one)


def plot_one(args: argparse.Namespace) -> int:
    """Write the picture and say where it is.

    Raises:
        SlmsecError: an input cannot be used, the runs do not hold what is asked for, or the file cannot be written.
    """
    from pytest_slmsec.cli.read_report import read_report, write
    from pytest_slmsec.reports.page.pictures import draw

    report = read_report(args.runs, Path.cwd(), os.environ.get("SLMSEC_DATA") or None, args.preset)
    output = args.output or Path(f"{args.picture}.svg")
    write(output, f"{draw(report, args.picture)}\n")
    print(f"{output}: {', '.join(report.models)}.")
    return 0
