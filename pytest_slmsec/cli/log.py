"""``slmsec log RUN --to TRACKER``: a stored run for an experiment tracker."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.options import PRESET
from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.records.saved_runs import stored_path
from pytest_slmsec.replay.registry import CHOOSE
from pytest_slmsec.reports.trackers.registry import TRACKERS

if TYPE_CHECKING:
    from pytest_slmsec.reports.page.records import Report


def add_to(commands: Any) -> None:
    """Declare the verb."""
    logging = commands.add_parser(
        "log",
        help="store a run in MLflow or Weights & Biases",
        description="Store RUN in an experiment tracker: one run for each model, with parameters, metrics such as "
        "cti-mcq/score, the verdict against its base, and the file of RUN and the page of `slmsec report` as "
        "artifacts. RUN is a file of --benchmark-json or its number (0001); RUN::MODEL chooses one model. Where the "
        "tracker is and its key are what it has been told itself (MLFLOW_TRACKING_URI; `wandb login`, WANDB_MODE); "
        "by default MLflow writes ./mlflow.db.",
        epilog="example: slmsec log 0001 --to mlflow",
    )
    logging.add_argument("recorded", metavar="RUN")
    logging.add_argument("--to", required=True, choices=tuple(TRACKERS), help="the tracker")
    logging.add_argument(
        "--experiment", metavar="NAME",
        help="experiment of MLflow, project of W&B (default: MLFLOW_EXPERIMENT_NAME or WANDB_PROJECT, else "
        "pytest-slmsec)",
    )  # fmt: skip
    logging.add_argument("--report", type=Path, metavar="FILE", help="page to store (default: a new one of RUN)")
    logging.add_argument("--preset", help=PRESET.help, **PRESET.kwargs)
    logging.set_defaults(run=log)


def log(args: argparse.Namespace) -> int:
    """Store each model and say where it is.

    Raises:
        SlmsecError: the run or the page cannot be used, or the tracker is not installed or does not take it.
    """
    from pytest_slmsec.cli.read_report import read_report
    from pytest_slmsec.reports.trackers.logged import logged_models
    from pytest_slmsec.reports.trackers.registry import tracker

    data = os.environ.get("SLMSEC_DATA") or None
    file = _file(args.recorded)
    report = read_report([args.recorded], Path.cwd(), data, args.preset)
    models, store = logged_models(report), tracker(args.to)
    with tempfile.TemporaryDirectory() as folder:
        page = _existing(args.report) or _made(report, data, Path(folder))
        for number, model in enumerate(models, 1):
            where = store.log(model, [file, page], args.experiment)
            print(f"{model.model} ({number} of {len(models)}): {counted(len(model.metrics), 'metric')}; {where}.",
                  flush=True)  # fmt: skip
    return 0


def _file(recorded: str) -> Path:
    """The file that is stored as it is; what cannot be read is told by `read_report`."""
    name = recorded.rpartition(CHOOSE)[0] if CHOOSE in recorded else recorded
    if (path := Path(name).expanduser()).is_dir():
        raise CompareError(f"{path} is a folder; a tracker takes a file of --benchmark-json, or the number (0001) of "
                           "such a run.")  # fmt: skip
    return stored_path(name, Path.cwd())


def _existing(page: Path | None) -> Path | None:
    if page is not None and not page.is_file():
        raise UsageError(f"--report {page}: there is no such file; `slmsec report` writes one, or leave it out.")
    return page


def _made(report: Report, data: str | None, folder: Path) -> Path:
    """The page of `slmsec report` with its defaults."""
    from pytest_slmsec.reports.page.document import Wanted, page
    from pytest_slmsec.reports.page.texts import prompts_of_data

    path = folder / "report.html"
    path.write_text(page(report, Wanted(prompts=prompts_of_data(report.runs, data))), "utf-8")
    return path
