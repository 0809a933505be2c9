"""The entry point of a SageMaker container: ``python -m pytest_slmsec.sagemaker [COMMAND ...]``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.sagemaker.container import (
    ROOT,
    Layout,
    arguments,
    make_folders,
    read_command,
    read_layout,
    write_failure,
)

TAIL_LINES = 12
BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of the job.

    Returns:
        The exit status of the command, 0 where all is well; 2 where the job names no command that can be run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pytest_slmsec.sagemaker",
        description="Run the command of a SageMaker job: the arguments, or else the hyperparameter `command`. "
        "{NAME} in it stands for the folder of the input channel NAME; {model} and {output} for those of results "
        "(docs/sagemaker.md).",
        epilog="example: python -m pytest_slmsec.sagemaker pytest benchmarks --model={weights} --slmsec-data={data}",
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help=f"the job's folder (default: {ROOT})")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="pytest ... or slmsec ...")
    args = parser.parse_args(argv)
    layout = read_layout(args.root, os.environ)
    try:
        words = read_command(layout, args.command)
    except SlmsecError as error:
        print(f"slmsec: error: {error}", file=sys.stderr)
        write_failure(layout, f"{error}\n")
        return BAD_INPUT
    make_folders(layout)
    return _run(words, layout)


def _run(words: Sequence[str], layout: Layout) -> int:
    """Run a command, show what it prints, and write a failure. SageMaker's SIGTERM reaches it as Ctrl-C, so that it
    keeps its journal or checkpoint within the two minutes that are left."""
    print(f"slmsec: running {shlex.join(words)}", flush=True)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(arguments(words, layout), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop(number: int, frame: Any) -> None:
        process.send_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, stop)
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            text = line.decode("utf-8", "replace")
            print(text, end="", flush=True)
            tail.append(text)
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if status:
        write_failure(layout, f"{words[0]} ended with exit status {status}. Its last lines:\n{''.join(tail)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
