"""``slmsec sagemaker JOB.toml``: the body of a request that starts the same command line as a SageMaker job."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pytest_slmsec.core.wrap import for_stderr


def add_to(commands: Any) -> None:
    """Declare the verb."""
    starting = commands.add_parser(
        "sagemaker",
        help="write the request that starts a command line as a SageMaker job",
        description="Print the body of CreateTrainingJob or CreateProcessingJob for the job in JOB.toml "
        "(docs/sagemaker.md). Nothing is sent and no key is read: start the job with the AWS CLI.",
        epilog="example: slmsec sagemaker gate.toml > gate.json && aws sagemaker create-processing-job "
        "--cli-input-json file://gate.json",
    )
    starting.add_argument("job", type=Path, metavar="JOB.toml")
    starting.set_defaults(run=sagemaker)


def sagemaker(args: argparse.Namespace) -> int:
    """Print the body on standard output, and how it is sent on standard error.

    Raises:
        UsageError: the file cannot be used.
    """
    from pytest_slmsec.sagemaker.request import operation, read_job

    body = read_job(args.job)
    print(json.dumps(body, indent=2))
    print(for_stderr(f"slmsec: saved as job.json, it is sent by: aws sagemaker {operation(body)} --cli-input-json "
                     "file://job.json"), file=sys.stderr)  # fmt: skip
    return 0
