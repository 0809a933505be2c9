"""The files of a LoRA adapter, and whether they were made for the base that is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.models import HUB_ID, ModelSpec
from pytest_slmsec.engines.common.checkpoint import (
    PICKLE_SUFFIXES,
    Checkpoint,
    read_checkpoint,
    read_json,
    tensor_dtypes,
)
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.settings import EngineSettings

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TOKENIZER = "tokenizer_config.json"
REFUSED = {
    "megatron_config": "names code to be imported",
    "alora_invocation_tokens": "acts only behind certain tokens",
}
"""Keys of adapter_config.json that are not supported, and what such an adapter does."""


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """An adapter's directory whose files are complete.

    Attributes:
        config: adapter_config.json. shapes: name and shape of every stored tensor.
    """

    directory: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def weights(self) -> Path:
        """The path of its weights."""
        return self.directory / WEIGHTS

    def sha256(self, cache_dir: Path) -> str:
        """Digest of weights and configuration. The configuration counts because it holds the scale of the adapter."""
        return weights_sha256((self.weights, self.directory / CONFIG), cache_dir)


def read_adapter(directory: Path) -> AdapterFiles:
    """Check the files of an adapter's directory.

    Raises:
        ModelError: it is empty, lacks a file, holds its weights as a pickle, is damaged, or is no LoRA adapter.
    """
    if not (directory / CONFIG).is_file():
        raise ModelError(
            f"{directory} has no {CONFIG}, so it is no adapter: name a directory that holds it and {WEIGHTS}."
        )
    config = read_json(directory / CONFIG)
    if not (directory / WEIGHTS).is_file():
        pickles = sorted(path.name for path in directory.iterdir() if path.suffix in PICKLE_SUFFIXES)
        if pickles:
            raise ModelError(
                f"{directory} has its weights only as a pickle ({pickles[0]}), which can run code when it is opened: "
                "convert it to safetensors (load it where you trust it, then save_pretrained) and name that directory."
            )
        raise ModelError(f"{directory} has no {WEIGHTS}: complete the directory or fetch the adapter again.")
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{directory} is an adapter of the sort {config.get('peft_type')!r}; only LORA is loaded.")
    for key, what in REFUSED.items():
        if config.get(key):
            raise ModelError(f"{directory}: the adapter {what} ({key} in {CONFIG}), which is not supported.")
    tensor_dtypes(directory / WEIGHTS)  # refuses a damaged file
    with safe_open(directory / WEIGHTS, "pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    return AdapterFiles(directory, config, shapes)


def check_base(files: AdapterFiles, spec: ModelSpec, settings: EngineSettings, checkpoint: Checkpoint) -> bool:
    """Refuse an adapter that says it was made for another base.

    The adapter names a hub model (``org/name``, ``org/name@revision``) or a directory. A directory that is still there
    is compared by its weights. A hub base must be the one that is named, unless the user says that both have the same
    weights. A local base goes by any name; the adapter's tensors must fit it.

    Returns:
        Whether the bases have different names and the user said that they are the same.

    Raises:
        ModelError: naming both bases.
    """
    named = files.config.get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        return False
    hub_id = named.partition("@")[0]
    if spec.source == "hub" and hub_id.casefold() == spec.location.casefold():
        return False
    directory = _named_directory(named, files.directory)
    if directory is not None:
        if _other_weights(directory, checkpoint.directory, settings.cache_dir):
            raise ModelError(
                f"{files.directory} is an adapter for the model in {named}, whose weights are not those in "
                f"{spec.location}: name the base that it was made for."
            )
        return False
    if spec.source != "hub" or not (HUB_ID.fullmatch(hub_id) or os.sep not in hub_id):
        return False
    if settings.adapter_base_same:
        return True
    raise ModelError(
        f"{files.directory} is an adapter for {named}, not for {spec.location}: name that base; or, where both have "
        "the same weights, say so with --slmsec-adapter-base=same."
    )


def _named_directory(named: str, adapter: Path) -> Path | None:
    """The directory that an adapter names as its base, relative to the working directory or to the adapter; None where
    it is gone, or a hub id is named."""
    places = (Path(named).expanduser(), adapter / named)
    return next((place for place in places if (place / "config.json").is_file()), None)


def _other_weights(named: Path, own: Path, cache_dir: Path) -> bool:
    """Whether two directories are known to hold different weights. A quantised copy counts as the base."""
    try:
        theirs, ours = read_checkpoint(named), read_checkpoint(own)
    except (ModelError, OSError):
        return False  # one of them cannot be read, so nothing can be compared
    if theirs.quant_method != ours.quant_method:
        return False
    return weights_sha256(theirs.weights, cache_dir) != weights_sha256(ours.weights, cache_dir)
