"""What GGUF files hold besides language models, told from their headers.

llama.cpp takes some of them (it embeds texts as well), and gives numbers where next tokens are asked for. The keys are
those of https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py.
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
"""By ``general.type``."""
CLIP = "clip"
"""The architecture of mmproj files, which need not name a type."""


def check_generates(path: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse what is no language model that predicts the next token.

    Raises:
        ModelError: it is a part of a model, or a model that embeds or fills in text; says what to do.
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
