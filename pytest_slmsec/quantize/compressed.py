"""Quantisations in the format of compressed-tensors, made by llmcompressor.

* w4a16: 4-bit weights in groups, by GPTQ (Frantar et al., 2022); activations are not quantised.
* w8a8: 8-bit weights with one scale an output channel, by GPTQ; activations in 8 bits with one scale for each token.
* fp8: weights and activations in FP8 (E4M3), rounded to nearest, one scale for each output channel and each token.

The output head is not quantised. llmcompressor needs older versions of several packages than the rest of this project:
it is used in a tox environment of its own, and the models made there are found in the shared cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import transformers

from pytest_slmsec.engines.causal_lm.transformers_ import load_config, loader_of
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.through_transformers import copy_support, stored_dtype

SCHEMES: Mapping[str, str] = {"w4a16": "W4A16", "w8a8": "INT8", "fp8": "FP8_DYNAMIC"}
"""llmcompressor's presets: `compressed_tensors.quantization.quant_scheme`."""
HEAD = "lm_head"
LITTER = ("recipe.yaml",)


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise the linear layers of `base` and save the result in `out`, with its tokenizer.

    Args:
        rows: token ids of the calibration texts; not used by fp8.

    Raises:
        QuantizeError: llmcompressor could not do it, or the groups do not divide the columns.
    """
    settings.report(f"{recipe.quant}: quantising layers", 0.0)
    with attempt(base, recipe):
        _make(read_checkpoint(base), out, recipe, rows)
    for name in LITTER:
        (out / name).unlink(missing_ok=True)
    copy_support(base, out)


def _make(checkpoint: Checkpoint, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]]) -> None:
    from datasets import Dataset
    from llmcompressor import oneshot

    config = load_config(checkpoint)
    model = getattr(transformers, loader_of(checkpoint.directory, config)).from_pretrained(
        checkpoint.directory,
        config=config,
        dtype=stored_dtype(checkpoint),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    _check_groups(model, recipe)
    calibration: dict[str, Any] = {}
    if rows:
        examples = [{"input_ids": list(row), "attention_mask": [1] * len(row)} for row in rows]
        calibration = {
            "dataset": Dataset.from_list(examples),
            "max_seq_length": max(map(len, rows)),
            "num_calibration_samples": len(rows),
        }
    oneshot(model=model, recipe=[_modifier(recipe)], **calibration)
    model.save_pretrained(out, save_compressed=True)


def _check_groups(model: Any, recipe: Recipe) -> None:
    from torch.nn import Linear

    for name, layer in model.named_modules():
        if isinstance(layer, Linear) and name != HEAD and layer.in_features % recipe.group_size:
            raise ValueError(
                f"{name} has {layer.in_features} columns, which groups of {recipe.group_size} do not divide: name a "
                "size that does with --group-size"
            )


def _modifier(recipe: Recipe) -> Any:
    from compressed_tensors.quantization import preset_name_to_scheme
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier

    scheme = preset_name_to_scheme(SCHEMES[recipe.quant], ["Linear"])
    if recipe.group_size > 0:
        scheme.weights.group_size = recipe.group_size
    kind = QuantizationModifier if recipe.quant == "fp8" else GPTQModifier
    return kind(config_groups={"group_0": scheme}, ignore=[HEAD])
