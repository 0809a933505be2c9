"""``slmsec campaign FILE``: many models on many benchmarks, in sessions of pytest that can be resumed."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.core.wrap import columns, counted, shown

if TYPE_CHECKING:
    from pytest_slmsec.campaign.done import Done
    from pytest_slmsec.campaign.plan import Campaign, Session
    from pytest_slmsec.campaign.run import Ended

REPORT, STATUS_FAILED, STATUS_INTERRUPTED = "report.html", 1, 130


def add_to(commands: Any) -> None:
    """Declare the verb."""
    verb = commands.add_parser(
        "campaign",
        help="measure many models on many benchmarks, in sessions that can be resumed",
        description="Measure the models x benchmarks of FILE (TOML: models, benchmarks; if wanted tests, options of "
        "pytest, benchmarks-per-session, folder, report), each model and a few benchmarks in a pytest process of its "
        "own. The same command goes on where it was stopped. At the end: a table of all scores, and a page. "
        "Exit status: 0 all was measured, 1 something was not, 2 FILE cannot be used, 130 interrupted.",
        epilog="example: slmsec campaign soc.toml --jobs 2",
    )
    verb.add_argument("file", type=Path, metavar="FILE")
    verb.add_argument("-j", "--jobs", type=int, default=1, metavar="N",
                      help="sessions at a time (default: 1); each has one GPU where there are several")  # fmt: skip
    verb.set_defaults(run=campaign)


def campaign(args: argparse.Namespace) -> int:
    """Run what is not complete, and show all scores.

    Returns:
        Exit status: 0, or 1 where a session failed, or 130 after Ctrl-C.

    Raises:
        SlmsecError: the file, or its folder, cannot be used.
    """
    from pytest_slmsec.campaign.done import read_done
    from pytest_slmsec.campaign.folder import working_in
    from pytest_slmsec.campaign.plan import read_campaign
    from pytest_slmsec.campaign.run import AVAILABLE
    from pytest_slmsec.config.files import load_config
    from pytest_slmsec.core.model_registry import shipped_registry

    if not AVAILABLE:
        raise UsageError("slmsec campaign runs on Linux and macOS; on Windows use WSL, or call pytest once a model.")
    if args.jobs < 1:
        raise UsageError(f"--jobs={args.jobs}: must be a whole number of at least 1.")
    planned = read_campaign(args.file, {**shipped_registry(), **load_config(Path.cwd()).get("models", {})})
    with working_in(planned.folder) as lock:
        done = {session: one for session in planned.sessions if (one := read_done(session)) is not None}
        _begin(planned, args.jobs, len(done))
        failed: list[Ended] = []
        try:
            _run(planned, args.jobs, lock, done, failed)
        except KeyboardInterrupt:
            print(f"\nslmsec: interrupted; what was answered is kept. It goes on with: {_again(args)}", flush=True)
            return STATUS_INTERRUPTED
        _finish(planned, done, failed, args)
    return STATUS_FAILED if failed else 0


def _again(args: argparse.Namespace) -> str:
    return shlex.join(["slmsec", "campaign", str(args.file), *(["--jobs", str(args.jobs)] if args.jobs > 1 else [])])


def _begin(planned: Campaign, jobs: int, n_done: int) -> None:
    size = f"{counted(len(planned.models), 'model')} x {counted(len(planned.benchmarks), 'benchmark')}"
    at_once = "" if jobs == 1 else f", {jobs} at a time"
    already = f"; {n_done:,} complete from before" if n_done else ""
    print(f"{planned.path}: {size}, {counted(len(planned.sessions), 'session')}{at_once}{already}", flush=True)


def _run(planned: Campaign, jobs: int, lock: int, done: dict[Session, Done], failed: list[Ended]) -> None:
    """Run what is left of the sessions, and tell of each as it ends."""
    from pytest_slmsec.campaign.run import Sessions
    from pytest_slmsec.campaign.text import ended_line, failure_lines, running_lines
    from pytest_slmsec.distribute.gpus import gpus_for
    from pytest_slmsec.meters.cores import usable_cores

    left = [session for session in planned.sessions if session not in done]
    n_before, spent_s = len(done), 0.0
    sessions = Sessions(jobs, gpus_for(_device(planned)), usable_cores(), lock)
    for number, ended in enumerate(sessions.run(left, lambda running: _say(running_lines(running))), 1):
        spent_s += ended.wall_s
        n_left = len(left) - number
        left_s = spent_s / number * n_left / min(jobs, n_left) if n_left else None
        _say([ended_line(n_before + number, len(planned.sessions), ended, left_s)])
        if ended.done is not None:
            done[ended.session] = ended.done
        else:
            failed.append(ended)
            _say(failure_lines(ended))


def _device(planned: Campaign) -> str:
    """The device that the sessions are told to use."""
    flag = "--slmsec-device="
    named = [option for option in planned.sessions[0].arguments if option.startswith(flag)]
    return named[-1].removeprefix(flag) if named else "auto"


def _say(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)


def _finish(planned: Campaign, done: dict[Session, Done], failed: list[Ended], args: argparse.Namespace) -> None:
    from pytest_slmsec.campaign.text import session_text, table, total_line

    done = {session: done[session] for session in planned.sessions if session in done}  # not as they ended
    _say(
        [*table(planned.models, done, columns()), "", f"{planned.folder}: {total_line(len(planned.sessions), failed)}"]
    )
    if done and planned.report:
        _report(planned, done)
    if failed:
        _say([*(f"  failed: {session_text(ended.session)}" for ended in failed), f"Again: {_again(args)}"])


def _report(planned: Campaign, done: dict[Session, Done]) -> None:
    """Write the page about all records. Where that cannot be done, the scores are there all the same."""
    from pytest_slmsec.campaign.done import RECORD
    from pytest_slmsec.cli.report import write_page

    names = [str(session.file(RECORD).absolute()) for session in planned.sessions if session in done]
    try:
        _say([write_page(planned.folder / REPORT, names, os.environ.get("SLMSEC_DATA") or None)])
    except SlmsecError as error:
        _say([f"No page could be written: {shown(error)}"])
