"""Finds the kind of encoder in a checkpoint from its configuration and tensor names, without reading weights."""

from __future__ import annotations

import re
from enum import Enum

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.checkpoint import Checkpoint

MODULES = "modules.json"
"""Written by sentence-transformers beside the weights; lists the modules that process the encoder's output."""
ENCODER_TYPES = (
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mobilebert", "modernbert",
    "mpnet", "roberta", "xlm-roberta",
)  # fmt: skip
MASKED_HEAD = re.compile(r"(?:cls\.)?predictions\.|vocab_transform\.|lm_head\.")
DISCRIMINATOR_HEAD = "discriminator_predictions."


class Kind(Enum):
    """How an encoder was trained, which decides how it scores a text."""

    MASKED = "masked language model"
    DISCRIMINATOR = "replaced-token discriminator"
    EMBEDDING = "sentence-embedding model"


def find_kind(checkpoint: Checkpoint) -> Kind | None:
    """The kind of encoder, or None for any other model.

    A model with a ``modules.json`` is a sentence-embedding model. Otherwise the architecture in config.json decides:
    ``ElectraForPreTraining`` is ELECTRA's discriminator; ``*ForMaskedLM``, and ``*ForPreTraining`` of the types in
    `ENCODER_TYPES`, are masked language models. Old checkpoints name no architecture; then the stored head decides.

    Raises:
        ModelError: it is an encoder without any of these heads.
    """
    if (checkpoint.directory / MODULES).is_file():
        return Kind.EMBEDDING
    model_type = str(checkpoint.config.get("model_type"))
    named = " ".join(map(str, checkpoint.config.get("architectures") or ()))
    encoder = model_type in ENCODER_TYPES
    if named == "ElectraForPreTraining" or (not named and encoder and _stores(checkpoint, DISCRIMINATOR_HEAD)):
        return Kind.DISCRIMINATOR
    if named.endswith("ForMaskedLM") or (encoder and named.endswith("ForPreTraining")):
        return Kind.MASKED
    if encoder and not named and any(map(MASKED_HEAD.match, checkpoint.tensors)):
        return Kind.MASKED
    if encoder and not named.endswith(("ForCausalLM", "LMHeadModel")):
        raise ModelError(
            f"{checkpoint.directory}: {named or model_type} is an encoder without a head that could score an option: "
            f"name a masked language model, an ELECTRA discriminator, or a sentence-embedding model with its {MODULES}."
        )
    return None


def _stores(checkpoint: Checkpoint, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in checkpoint.tensors)
