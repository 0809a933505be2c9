"""Loads GPTQ checkpoints with gptqmodel: those in its own layout and those in AutoGPTQ's.

GPTQ: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.adapters import with_adapter
from pytest_slmsec.engines.causal_lm.causal import CausalEngine
from pytest_slmsec.engines.causal_lm.library_patches import transformers_unchanged
from pytest_slmsec.engines.causal_lm.transformers_ import check_keys, describe, import_architecture, load_config
from pytest_slmsec.engines.common.checkpoint import GPTQ_CONFIG, MANIFEST, Checkpoint, read_checkpoint, read_json
from pytest_slmsec.engines.common.loading import first_line, load_tokenizer, pick_device, pick_dtype
from pytest_slmsec.engines.common.quantized_share import FACT, count_model, require_quantized
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.prompting.without_embedding import check_vocabulary

STORED_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16}
STORED_NAMES = {dtype: name for name, dtype in STORED_DTYPES.items()}
PORTABLE_BACKEND = "gptq_torch"


def import_gptqmodel() -> Any:
    """The package gptqmodel, imported without its banner.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("A GPTQ model", "gptq", "gptqmodel", "optimum")
    # gptqmodel crashes on machines of one or two cores unless this is set before its import.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    with quiet():
        import gptqmodel
    return gptqmodel


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> CausalEngine:
    """Load a GPTQ checkpoint.

    On a CPU the model computes in fp32 unless the user names another dtype: gptqmodel's portable kernel then unpacks
    the weights exactly as stored, and an answer does not depend on what else is in its batch.

    Raises:
        ModelError: see `transformers_.load`. MissingExtraError: gptqmodel is not installed.
    """
    checkpoint = read_checkpoint(directory)
    if checkpoint.quant_method != "gptq":
        raise ModelError(f"{directory} is no GPTQ checkpoint: neither config.json nor {GPTQ_CONFIG} says so.")
    config = load_config(checkpoint)
    import_architecture(config)
    gptqmodel = import_gptqmodel()
    device = pick_device(settings.device)
    dtype = _pick_dtype(spec, settings, device, checkpoint)
    tokenizer = load_tokenizer(directory)
    began = time.perf_counter()
    with transformers_unchanged(config):
        model = _load_weights(gptqmodel, checkpoint, device, dtype)
    load_s = time.perf_counter() - began
    check_vocabulary(directory, tokenizer, model.get_input_embeddings().num_embeddings)
    share = require_quantized(directory, "gptq", count_model(model, quantized_weights(model)))
    info = describe(
        spec,
        settings,
        checkpoint,
        model,
        tokenizer,
        f"gptqmodel {gptqmodel.__version__}",
        kernels(model),
        load_s,
        quantization=quantization_facts(checkpoint),
        **{FACT: share.plain()},
    )
    model, info = with_adapter(model, tokenizer, info, spec, settings, checkpoint)
    return CausalEngine(model, tokenizer, info, settings)


def _pick_dtype(spec: ModelSpec, settings: EngineSettings, device: torch.device, checkpoint: Checkpoint) -> torch.dtype:
    """As `pick_dtype`, but fp16 instead of fp32 on a GPU unless the user asks for fp32: its kernels need 16 bits."""
    dtype = pick_dtype(spec, settings, device, checkpoint)
    wide_by_default = dtype == torch.float32 and settings.dtype == "auto" and device.type != "cpu"
    return torch.float16 if wide_by_default else dtype


def _load_weights(gptqmodel: Any, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> Any:
    wide = dtype == torch.float32
    # gptqmodel loads in 16 bits only. For fp32 the weights are loaded as stored, and cast afterwards.
    options = {"dtype": _stored_dtype(checkpoint), "backend": PORTABLE_BACKEND} if wide else {"dtype": dtype}
    try:
        with quiet():
            wrapped = gptqmodel.GPTQModel.load(
                str(checkpoint.directory), device=str(device), trust_remote_code=False, **options
            )
    except Exception as error:
        raise ModelError(f"{checkpoint.directory} cannot be loaded by gptqmodel: {first_line(error)}.") from error
    model = wrapped.model
    _check_weights(checkpoint, model)
    if device.type == "cpu":
        _run_eagerly(model)
    return (_widened(checkpoint, model) if wide else model).eval()


def _widened(checkpoint: Checkpoint, model: Any) -> Any:
    """The model in fp32, with every number exactly as it is stored.

    gptqmodel loaded all tensors in the dtype of the scales. Embeddings, norms and heads that are stored in another
    dtype, mostly fp32, were rounded to it, so they are read again.
    """
    model = model.float()
    wanted: Mapping[str, torch.Tensor] = model.state_dict()
    rounded = STORED_NAMES[_stored_dtype(checkpoint)]
    for path in checkpoint.weights:
        with safe_open(path, "pt") as file, torch.no_grad():
            for name in file.keys():  # noqa: SIM118 - no mapping: it has keys() only
                if name in wanted and wanted[name].is_floating_point() and checkpoint.tensors[name] != rounded:
                    wanted[name].copy_(file.get_tensor(name))
    return model


def _stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """The dtype in which most scales are stored; fp16 if there are none."""
    scales = Counter(dtype for name, dtype in checkpoint.tensors.items() if name.endswith(".scales"))
    return STORED_DTYPES.get(scales.most_common(1)[0][0] if scales else "F16", torch.float16)


def _check_weights(checkpoint: Checkpoint, model: Any) -> None:
    """Refuse a checkpoint with missing or unexpected tensors, which gptqmodel ignores.

    Raises:
        ModelError: names the first few of them.
    """
    wanted: Mapping[str, torch.Tensor] = model.state_dict()
    stored = set(checkpoint.tensors)
    places = {tensor.data_ptr() for name, tensor in wanted.items() if name in stored}
    missing = {name for name, tensor in wanted.items() if name not in stored and tensor.data_ptr() not in places}
    unexpected = {name for name in stored - set(wanted) if not _is_empty_bias(checkpoint, name, wanted)}
    check_keys(checkpoint.directory, missing, unexpected, ())


def _is_empty_bias(checkpoint: Checkpoint, name: str, wanted: Mapping[str, torch.Tensor]) -> bool:
    """Whether a stored tensor is the bias of zeros that AutoGPTQ writes for layers without a bias."""
    layer, _, kind = name.rpartition(".")
    if kind != "bias" or f"{layer}.qweight" not in wanted:
        return False
    for path in checkpoint.weights:
        with safe_open(path, "pt") as file:
            if name in file.keys():  # noqa: SIM118 - no mapping: it has keys() only
                return not bool(file.get_tensor(name).any())
    return False


def _run_eagerly(model: Any) -> None:
    """Undo gptqmodel's torch.compile of the unpacking, which needs a C++ compiler that may not be installed."""
    for module in model.modules():
        module.__dict__.pop("dequantize_weight", None)


def kernels(model: Any) -> str:
    """Names of the classes of the quantised layers, most frequent first."""
    counts = Counter(type(module).__name__ for module in model.modules() if hasattr(module, "qweight"))
    return "+".join(f"gptqmodel.{name}" for name, _ in counts.most_common()) or "torch.nn.Linear"


def quantized_weights(model: Any) -> dict[str, int]:
    """Names of the weights of quantised layers, to the numbers of elements that they unpack to."""
    layers = [(name, layer) for name, layer in model.named_modules() if hasattr(layer, "qweight")]
    return {f"{name}.weight": layer.in_features * layer.out_features for name, layer in layers}


def quantization_facts(checkpoint: Checkpoint) -> dict[str, object]:
    """For the record: bits, group size and order of a GPTQ checkpoint, and its manifest if this project made it."""
    path, manifest = checkpoint.directory / GPTQ_CONFIG, checkpoint.directory / MANIFEST
    config = read_json(path) if path.is_file() else dict(checkpoint.config.get("quantization_config") or {})
    facts = {key: config.get(key) for key in ("bits", "group_size", "desc_act", "sym")}
    return facts | ({"manifest": read_json(manifest)} if manifest.is_file() else {})
