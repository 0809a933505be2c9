"""Bodies of CreateTrainingJob and CreateProcessingJob from a small TOML file.

Source: the API reference of Amazon SageMaker; a test validates every body with the service model of botocore.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import check_keys, read_toml
from pytest_slmsec.sagemaker.container import COMMAND, PROGRAMS

TRAINING, PROCESSING = "training", "processing"
ENTRY_POINT = ["python", "-m", "pytest_slmsec.sagemaker"]
INPUTS, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
KEYS = ("kind", "name", "image", "role", "command", "output", "instance", "volume_gb", "max_hours", "checkpoints",
        "network", "inputs", "environment")  # fmt: skip
NEEDED = ("kind", "name", "image", "role", "command", "output", "instance")
NAME, ROLE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"), re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
CHANNEL = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST_COMMAND, LONGEST_WORD = 2500, 256
"""Characters of a hyperparameter, and of an argument of a container."""


def read_job(path: Path) -> dict[str, Any]:
    """The body of the request that a file describes.

    Raises:
        UsageError: the file cannot be read, lacks a key, or has an unknown key or a value that SageMaker would refuse.
    """
    job = read_toml(path, "docs/sagemaker.md")
    _check(path, job)
    return training_job(job) if job["kind"] == TRAINING else processing_job(job)


def operation(body: Mapping[str, Any]) -> str:
    """The command of the AWS CLI that takes a body."""
    return "create-training-job" if "TrainingJobName" in body else "create-processing-job"


def training_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """The body of CreateTrainingJob."""
    body: dict[str, Any] = {
        "TrainingJobName": job["name"],
        "RoleArn": job["role"],
        "AlgorithmSpecification": {
            "TrainingImage": job["image"], "TrainingInputMode": "File", "ContainerEntrypoint": ENTRY_POINT,
        },
        "HyperParameters": {COMMAND: job["command"]},
        "OutputDataConfig": {"S3OutputPath": job["output"]},
        "ResourceConfig": _machines(job),
        "StoppingCondition": _limit(job),
        "EnableNetworkIsolation": not job.get("network", False),
    }  # fmt: skip
    if inputs := job.get("inputs", {}):
        source = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
        body["InputDataConfig"] = [
            {"ChannelName": name, "DataSource": {"S3DataSource": {**source, "S3Uri": uri}}}
            for name, uri in inputs.items()
        ]
    if environment := job.get("environment", {}):
        body["Environment"] = dict(environment)
    if checkpoints := job.get("checkpoints"):
        body["CheckpointConfig"] = {"S3Uri": checkpoints}
    return body


def processing_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """The body of CreateProcessingJob."""
    upload = {"S3Uri": job["output"], "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}
    body: dict[str, Any] = {
        "ProcessingJobName": job["name"],
        "RoleArn": job["role"],
        "AppSpecification": {
            "ImageUri": job["image"], "ContainerEntrypoint": ENTRY_POINT,
            "ContainerArguments": shlex.split(job["command"]),
        },
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "output", "S3Output": upload}]},
        "ProcessingResources": {"ClusterConfig": _machines(job)},
        "StoppingCondition": _limit(job),
        "NetworkConfig": {"EnableNetworkIsolation": not job.get("network", False)},
    }  # fmt: skip
    if inputs := job.get("inputs", {}):
        kind = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
        body["ProcessingInputs"] = [
            {"InputName": name, "S3Input": {**kind, "S3Uri": uri, "LocalPath": f"{INPUTS}/{name}"}}
            for name, uri in inputs.items()
        ]
    if environment := job.get("environment", {}):
        body["Environment"] = dict(environment)
    return body


def _machines(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"InstanceType": job["instance"], "InstanceCount": 1, "VolumeSizeInGB": job.get("volume_gb", 50)}


def _limit(job: Mapping[str, Any]) -> dict[str, int]:
    return {"MaxRuntimeInSeconds": int(job.get("max_hours", 24) * 3600)}


def _check(path: Path, job: Mapping[str, Any]) -> None:
    check_keys(str(path), job, KEYS)
    missing = [key for key in NEEDED if key not in job]
    if missing:
        raise UsageError(f"{path} lacks {', '.join(missing)}: a job needs {', '.join(NEEDED)}.")
    for key, value in job.items():
        remedy = _remedy(key, value, job["kind"])
        if remedy is not None:
            raise UsageError(f"{path}: {key} = {str(value)[:60]!r}: {remedy}.")


def _remedy(key: str, value: Any, kind: Any) -> str | None:
    """What to write instead of a value that cannot be used, or None."""
    if key in ("inputs", "environment"):
        return _table_remedy(key, value)
    if key == "network":
        return None if isinstance(value, bool) else "write true or false"
    if key == "volume_gb":
        return None if isinstance(value, int) and _positive(value) else "write a whole number above 0"
    if key == "max_hours":
        return None if _positive(value) else "write hours above 0"
    if not isinstance(value, str) or not value.strip():
        return "write a text in quotes"
    if key == "kind":
        return None if value in (TRAINING, PROCESSING) else f"write {TRAINING!r} or {PROCESSING!r}"
    if key == "name":
        return None if NAME.fullmatch(value) else "write letters, digits and single hyphens, at most 63"
    if key == "role":
        return None if ROLE.fullmatch(value) else "write the ARN of a role, arn:aws:iam::123456789012:role/NAME"
    if key in ("output", "checkpoints"):
        if key == "checkpoints" and kind != TRAINING:
            return "only training jobs have checkpoints; leave it out"
        return _s3_remedy(value)
    return _command_remedy(value, kind) if key == "command" else None


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _s3_remedy(value: Any) -> str | None:
    return None if isinstance(value, str) and re.match(r"s3://[^/]+", value) else "write an address s3://BUCKET/FOLDER"


def _table_remedy(key: str, value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"write a table [{key}]"
    if key == "environment":
        return None if all(isinstance(one, str) for one in value.values()) else "write texts in quotes"
    if bad := next((name for name in value if not CHANNEL.fullmatch(name)), None):
        return f"{bad!r} is no name of a channel: write letters, digits, hyphens, dots and underscores"
    return next((remedy for uri in value.values() if (remedy := _s3_remedy(uri)) is not None), None)


def _command_remedy(value: str, kind: Any) -> str | None:
    try:
        words = shlex.split(value)
    except ValueError:
        return "close its quotes"
    if not words or words[0] not in PROGRAMS:
        return f"begin with {' or '.join(PROGRAMS)}"
    if kind == TRAINING and len(value) > LONGEST_COMMAND:
        return f"write at most {LONGEST_COMMAND} characters, or put options into a file of a channel"
    if kind == PROCESSING and any(len(word) > LONGEST_WORD for word in words):
        return f"write words of at most {LONGEST_WORD} characters"
    return None
