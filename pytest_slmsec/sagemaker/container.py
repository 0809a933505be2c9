"""What SageMaker lays out inside a container, and the command line that it stands for.

Sources: the SageMaker developer guide, "How Amazon SageMaker Provides Training Information" and "How Amazon SageMaker
Processes Training Output" (folders of training jobs), "How Your Processing Container Should Work" and "Save and Access
Metadata Information About Your Processing Job" (processing jobs); `aws/sagemaker-training-toolkit` (variables SM_*).
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError

ROOT = Path("/opt/ml")
COMMAND = "command"
"""The hyperparameter that holds the command line."""
TOOLKIT = "sagemaker_"
"""What the hyperparameters begin with that SageMaker's own SDK adds."""
CHANNEL, MODEL_DIR, OUTPUT_DIR = "SM_CHANNEL_", "SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR"
PROGRAMS: Mapping[str, Sequence[str]] = {
    "pytest": ("-m", "pytest"),
    "slmsec": ("-m", "pytest_slmsec.cli.main"),
}
JOURNAL, RESUME = "--slmsec-journal", "--slmsec-resume"
MOST_CHARS = 1024
"""SageMaker shows so many characters of a failure."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one job.

    Attributes:
        root: ``/opt/ml``. processing: whether it is a processing job; else a training job.
        channels: input folders by name. model: what a training job keeps as its model. output: further results.
        checkpoints: what a training job copies to S3 while it runs; None where none is asked for.
    """

    root: Path
    processing: bool
    channels: Mapping[str, Path]
    model: Path
    output: Path
    checkpoints: Path | None

    @property
    def failures(self) -> tuple[Path, ...]:
        """Files in which SageMaker looks for the reason of a failure."""
        names = ("failure", "message") if self.processing else ("failure",)
        return tuple(self.root / "output" / name for name in names)

    @property
    def slots(self) -> dict[str, str]:
        """What stands for ``{name}`` in a command: each channel, ``model``, ``output`` and ``checkpoints``."""
        found = {name: str(path) for name, path in self.channels.items()}
        kept = {} if self.checkpoints is None else {"checkpoints": str(self.checkpoints)}
        return {**found, "model": str(self.model), "output": str(self.output), **kept}


def read_layout(root: Path, environment: Mapping[str, str]) -> Layout:
    """The folders below `root`, or where the variables SM_* say that they are."""
    processing = (root / "config" / "processingjobconfig.json").is_file() or (root / "processing").is_dir()
    inputs = root / "processing" / "input" if processing else root / "input" / "data"
    channels = {path.name: path for path in sorted(inputs.iterdir()) if path.is_dir()} if inputs.is_dir() else {}
    named = {name.removeprefix(CHANNEL).lower(): Path(value) for name, value in environment.items()
             if name.startswith(CHANNEL) and name != CHANNEL}  # fmt: skip
    outputs = root / "processing" / "output" if processing else root / "output" / "data"
    checkpoints = root / "checkpoints"
    return Layout(
        root, processing, {**channels, **named}, Path(environment.get(MODEL_DIR) or root / "model"),
        Path(environment.get(OUTPUT_DIR) or outputs), checkpoints if checkpoints.is_dir() else None,
    )  # fmt: skip


def read_command(layout: Layout, given: Sequence[str]) -> list[str]:
    """The words of the command: the arguments of the container, else the hyperparameter ``command``.

    Raises:
        UsageError: there is none, it is no command of this project, or it names a channel that is not there.
    """
    words = list(given) or _of_hyperparameters(layout.root / "input" / "config" / "hyperparameters.json")
    if not words or words[0] not in PROGRAMS:
        said = shlex.join(words)[:80] or "nothing"
        raise UsageError(f"The command of the job is {said!r}: it must begin with {' or '.join(PROGRAMS)}, such as "
                         "'pytest benchmarks --model=phi3'.")  # fmt: skip
    return [_filled(word, layout.slots) for word in words]


def _of_hyperparameters(path: Path) -> list[str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): give the command as the container's arguments, or "
                         f"as the hyperparameter {COMMAND!r}.") from error  # fmt: skip
    except ValueError as error:
        raise UsageError(f"{path} is no valid JSON ({error}).") from error
    own = {name: value for name, value in content.items() if not name.startswith(TOOLKIT)} if content else {}
    for name in own:
        if name != COMMAND:
            near = difflib.get_close_matches(name, [COMMAND], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the only one is {COMMAND!r}."
            raise UsageError(f"The job has the unknown hyperparameter {name!r}; {hint}")
    return _words(own.get(COMMAND, ""))


def _words(value: Any) -> list[str]:
    """The words of a command; SageMaker's SDK writes texts as JSON, in quotes of their own."""
    text = str(value)
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            text = str(json.loads(text))
        except ValueError:
            pass  # quotes of the command itself
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"The hyperparameter {COMMAND!r} cannot be read ({error}): close its quotes.") from error


def _filled(word: str, slots: Mapping[str, str]) -> str:
    """A word with its ``{slots}`` filled in."""
    for name, value in slots.items():
        word = word.replace(f"{{{name}}}", value)
    start, end = word.find("{"), word.find("}")
    if 0 <= start < end and word[start + 1 : end].replace("_", "").replace("-", "").isalnum():
        name = word[start + 1 : end]
        near = difflib.get_close_matches(name, slots, 1)
        hint = f"did you mean {{{near[0]}}}" if near else f"there are {', '.join(f'{{{one}}}' for one in slots)}"
        raise UsageError(f"The command names {{{name}}}, and the job has no such channel; {hint}.")
    return word


def arguments(words: Sequence[str], layout: Layout) -> list[str]:
    """The process that a command stands for.

    A run of pytest also writes its record, its JUnit file and its journal into the folders of the job, unless the
    command says where. A journal that is there already, as in a job that was started again, is resumed.
    """
    program, *rest = words
    if program == "pytest":
        journal = (layout.checkpoints or layout.output) / "journal.jsonl"
        resumes = journal.is_file() and not any(_has(rest, flag) for flag in (JOURNAL, RESUME))
        extra = {"--benchmark-json": layout.output / "run.json", "--junitxml": layout.output / "junit.xml",
                 JOURNAL: journal}  # fmt: skip
        rest += [f"{flag}={value}" for flag, value in extra.items() if not _has(rest, flag)]
        rest += [RESUME] if resumes else []
    return [sys.executable, *PROGRAMS[program], *rest]


def _has(words: Sequence[str], flag: str) -> bool:
    return any(word == flag or word.startswith(f"{flag}=") for word in words)


def write_failure(layout: Layout, text: str) -> None:
    """Write why the job failed where SageMaker looks for it: UTF-8, at most `MOST_CHARS` characters.

    Source: `DescribeTrainingJob` (FailureReason) and `DescribeProcessingJob` (ExitMessage).
    """
    plain = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    content = plain.encode("utf-8", "replace")[:MOST_CHARS].decode("utf-8", "ignore")
    for path in layout.failures:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def make_folders(layout: Layout) -> None:
    """Make the folders of results."""
    for folder in (layout.output, layout.model):
        os.makedirs(folder, exist_ok=True)
