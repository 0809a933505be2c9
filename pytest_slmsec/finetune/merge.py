"""An adapter merged into the unquantised weights of its base: what is quantised afterwards.

A quantised base with an adapter merged into it would be rounded twice, and llama.cpp and ONNX Runtime load no such
adapters.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.adapter_files import read_adapter
from pytest_slmsec.engines.causal_lm.adapters import merge_adapter
from pytest_slmsec.engines.causal_lm.transformers_ import LoadRequest, load_config, load_weights
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.finetuned import keep_record
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.plan import KEY_LENGTH, trainable
from pytest_slmsec.finetune.publish import publish_model


def merged_folder(base: ModelSpec, adapter: Path, home: Path, settings: EngineSettings) -> Path:
    """Where the merged model of a base and an adapter lies below `home`, by the content of both."""
    checkpoint, files = trainable(base, settings), read_adapter(adapter)
    parts = [weights_sha256(checkpoint.weights, settings.cache_dir), files.sha256(settings.cache_dir)]
    return home / f"merged-{sha256_json(parts)[:KEY_LENGTH]}"


def merge(base: ModelSpec, adapter: Path, out: Path, settings: EngineSettings) -> None:
    """Merge in float32 and write a model in the dtype of the base, whole or not at all.

    Raises:
        ModelError, FinetuneError: base or adapter cannot be used. MissingExtraError: peft is not installed.
    """
    checkpoint, files = trainable(base, settings), read_adapter(adapter)
    plain = load_weights(LoadRequest(checkpoint, load_config(checkpoint), torch.float32, torch.device("cpu")))
    draft = out.with_name(f".making-{out.name}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        publish_model(merge_adapter(plain, files, checkpoint), checkpoint, draft)
        keep_record(adapter, draft)
        draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
