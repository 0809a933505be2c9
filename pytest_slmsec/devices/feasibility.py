"""Whether a model can fit a device's memory, from its files alone: weights, cache for the longest prompt, runtime.

An estimate, to refuse what cannot work before it is loaded. The cache holds two vectors (key and value) of a head's
size for each layer, key-value head and token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.devices.profile import GB, Profile
from pytest_slmsec.engines.common.cache_size import cache_bytes
from pytest_slmsec.engines.common.checkpoint import find_gguf, is_onnx, onnx_files, read_checkpoint
from pytest_slmsec.engines.common.loading import locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.registry import QUANTIZERS

RUNTIME_BYTES = 400 * 2**20
"""Resident memory of Python with torch and transformers, before a model is loaded (as measured with torch 2.13)."""
CHARS_PER_TOKEN = 3
"""Fewer than the four of English text, since logs and indicators have more tokens."""
WIDTHS = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1, "F8_E4M3": 1}
DTYPES = {"fp32": 4, "bf16": 2, "fp16": 2}


def needed_bytes(spec: ModelSpec, settings: EngineSettings, chars: int, new_tokens: int) -> int | None:
    """Memory that a model needs, in bytes; None where its files are not here yet or say too little.

    Args:
        chars: of the longest prompt. new_tokens: of the longest answer.
    """
    try:
        place = locate(spec, replace(settings, offline=True))
        found = _weights(spec, settings, place)
    except SlmsecError:
        return None
    if found is None:
        return None
    weights, config, width = found
    tokens = -(-chars // CHARS_PER_TOKEN) + new_tokens
    context = config.get("max_position_embeddings")
    if isinstance(context, int):
        tokens = min(tokens, context)
    return RUNTIME_BYTES + weights + cache_bytes(config, tokens, width)


def _weights(spec: ModelSpec, settings: EngineSettings, place: Path) -> tuple[int, Mapping[str, Any], int] | None:
    """Bytes of the weights in memory, the configuration, and the bytes of a number that is computed."""
    gguf = find_gguf(place)
    if gguf is not None:
        return gguf.stat().st_size, {}, 2
    if is_onnx(place):
        return sum(file.stat().st_size for file in onnx_files(place)), {}, 4
    checkpoint = read_checkpoint(place)
    stored = Counter(checkpoint.tensors.values()).most_common(1)
    width = DTYPES.get(spec.quant or settings.dtype, 4)
    if checkpoint.quant_method is not None or not stored or stored[0][0] not in WIDTHS:
        return checkpoint.weight_bytes, checkpoint.config, width
    numbers = checkpoint.weight_bytes / WIDTHS[stored[0][0]]
    quantizer = QUANTIZERS.get(spec.quant or "")
    bits = 8 * width if quantizer is None else quantizer.bits
    return round(numbers * bits / 8), checkpoint.config, width


def why_not(spec: ModelSpec, profile: Profile, needed: int | None) -> str | None:
    """The sentence on a model that cannot fit, or None."""
    if needed is None or needed <= profile.memory_bytes:
        return None
    return (
        f"{spec.name} needs about {needed / GB:.1f} GB (weights, cache of the longest prompt, runtime), the profile "
        f"{profile.name} has {profile.memory_gb:g} GB: take a smaller quantisation or a larger profile."
    )
