"""Recognises GGUF files that are not causal language models by their headers.

llama.cpp loads some of them, such as embedding models, and then returns numbers that are no next-token logits.
Source of the keys: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError

PARTS: Mapping[str, str] = {
    "adapter": "an adapter (LoRA), which changes a model: merge it into its base with llama.cpp's llama-export-lora",
    "imatrix": "an importance matrix, which guides a quantisation: name the file of the model",
    "mmproj": "what shows images to a model (mmproj): name the file of the model itself",
}
"""By ``general.type``: what such a file is, as the end of a sentence."""
CLIP = "clip"
"""The architecture of mmproj files, which may lack ``general.type``."""


def check_generates(path: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse files that are not models which predict the next token.

    Raises:
        ModelError: the file is a part of a model, or a model that embeds text or fills gaps.
    """
    architecture = metadata.get("general.architecture")
    sort = "mmproj" if architecture == CLIP else metadata.get("general.type")
    if isinstance(sort, str) and sort in PARTS:
        raise ModelError(f"{path} is no model but {PARTS[sort]}.")
    if metadata.get(f"{architecture}.pooling_type", 0):
        why = f"it turns texts into vectors ({architecture}.pooling_type)"
    elif metadata.get(f"{architecture}.attention.causal", True) is False:
        why = f"each of its tokens sees those behind it ({architecture}.attention.causal)"
    else:
        return
    raise ModelError(f"{path} is no causal language model: {why}; use one that generates text.")
