"""A tiny model in the format of compressed-tensors, rounded to nearest without the package that usually makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCHEMES = {"w4a16": "W4A16", "w8a8": "INT8", "fp8": "FP8_DYNAMIC"}
GROUP = 32


def build_tiny_compressed(base: Path, path: Path, kind: str) -> Path:
    """Quantise the linear layers of `base` (but its head) and save them under `path` with the tokenizer."""
    import shutil

    import torch
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
    from transformers import AutoModelForCausalLM

    scheme = preset_name_to_scheme(SCHEMES[kind], ["Linear"])
    if kind == "w4a16":
        scheme.weights.group_size = GROUP
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = QuantizationConfig(config_groups={"group_0": scheme}, ignore=["lm_head"])
    apply_quantization_config(model, config)
    largest = {"w4a16": 7.5, "w8a8": 127.5, "fp8": 448.0}[kind]
    module: Any
    for module in model.modules():
        if hasattr(module, "weight_scale"):
            columns = GROUP if kind == "w4a16" else module.weight.shape[1]
            scale = module.weight.detach().unflatten(1, (-1, columns)).abs().amax(-1) / largest
            module.weight_scale.data.copy_(scale.reshape(module.weight_scale.shape))
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(path)
    compressor.update_config(str(path))
    for file in (*base.glob("tokenizer*"), *base.glob("chat_template*")):
        shutil.copy(file, path)
    return path
