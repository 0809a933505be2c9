"""What is published of a training: weights as safetensors, the base's tokenizer, a configuration without a path.

A run of TRL leaves more, and none of it is taken over: ``training_args.bin`` and ``*.pt``, which are pickles, and the
path of the base on the machine.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.identity import sha256_file, sha256_json
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.adapter_files import CONFIG, WEIGHTS
from pytest_slmsec.engines.common.checkpoint import Checkpoint, find_weights, support_files
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.quantize.through_transformers import copy_support, stored_dtype

TOKENIZER_FILES = ("tokenizer", "special_tokens", "added_tokens", "chat_template", "vocab", "merges", "spiece")
"""What the names of a tokenizer's files begin with."""


def publish_adapter(model: Any, spec: ModelSpec, checkpoint: Checkpoint, out: Path) -> str:
    """Write an adapter into the new folder `out`.

    Returns:
        SHA-256 of its weights.

    Raises:
        FinetuneError: its weights are not finite.
    """
    check_finite(model)
    out.mkdir(parents=True)
    with quiet():
        model.save_pretrained(str(out), safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)
    config = json.loads((out / CONFIG).read_text("utf-8"))
    config = {key: sorted(value) if key == "target_modules" and isinstance(value, list) else value
              for key, value in config.items()}  # fmt: skip
    config["base_model_name_or_path"] = portable_base(spec)
    (out / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    for path in support_files(checkpoint.directory):
        if path.parent == checkpoint.directory and path.name.startswith(TOKENIZER_FILES):
            shutil.copyfile(path, out / path.name)
    return sha256_file(out / WEIGHTS)


def publish_model(model: Any, checkpoint: Checkpoint, out: Path) -> str:
    """Write a whole model into the new folder `out`, in the dtype of its base, with the base's other files.

    Returns:
        SHA-256 of its weights, over all files.

    Raises:
        FinetuneError: its weights are not finite.
    """
    check_finite(model)
    out.mkdir(parents=True)
    with quiet():
        model.to(stored_dtype(checkpoint)).save_pretrained(str(out), safe_serialization=True)
    shutil.copyfile(checkpoint.directory / "config.json", out / "config.json")
    copy_support(checkpoint.directory, out)
    return sha256_json([sha256_file(path) for path in find_weights(out)])


def check_finite(model: Any) -> None:
    """Refuse weights that are not numbers.

    Raises:
        FinetuneError: names the first of them.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
            raise FinetuneError(f"The training diverged: {name} holds numbers that are not finite: say a smaller "
                                "learning_rate, or a smaller max_grad_norm.")  # fmt: skip


def portable_base(spec: ModelSpec) -> str:
    """The name of the base that an adapter keeps: of the registry, the hub id, or the name of its folder."""
    if spec.source == "hub":
        return f"{spec.location}@{spec.revision}" if spec.revision else spec.location
    return Path(spec.location).resolve().name if Path(spec.base).is_dir() else spec.base
