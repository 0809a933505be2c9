"""Which sort of encoder a checkpoint is, by its configuration and the names of its tensors; no weight is read."""

from __future__ import annotations

import re
from enum import Enum

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.checkpoint import Checkpoint

MODULES = "modules.json"
"""Written by sentence-transformers beside the weights: what follows the encoder."""
ENCODER_TYPES = (
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mobilebert", "modernbert",
    "mpnet", "roberta", "xlm-roberta",
)  # fmt: skip
MASKED_HEAD = re.compile(r"(?:cls\.)?predictions\.|vocab_transform\.|lm_head\.")
DISCRIMINATOR_HEAD = "discriminator_predictions."


class Kind(Enum):
    """How an encoder was trained, and so what it can say about a text."""

    MASKED = "masked language model"
    DISCRIMINATOR = "replaced-token discriminator"
    EMBEDDING = "sentence-embedding model"


def find_kind(checkpoint: Checkpoint) -> Kind | None:
    """The sort of encoder, or None for any other model.

    ``modules.json`` makes it a sentence-embedding model. Else its architecture decides: ``ElectraForPreTraining`` holds
    ELECTRA's discriminator; ``*ForMaskedLM``, and ``*ForPreTraining`` of BERT's relatives, the head of a masked
    language model. Old checkpoints name no architecture: then the head that is stored decides.

    Raises:
        ModelError: an encoder without any of these.
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
