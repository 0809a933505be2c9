"""Loads encoders with transformers and checks that no weight is missing or left over."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import transformers

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.transformers_ import (
    LoadRequest,
    check_keys,
    describe,
    import_architecture,
    load_config,
    load_with,
)
from pytest_slmsec.engines.common import stored
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import load_tokenizer, pick_device, pick_dtype
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.discriminator import DiscriminatorScorer
from pytest_slmsec.engines.encoders.embeddings import EmbeddingScorer
from pytest_slmsec.engines.encoders.engine import EncoderEngine, Scorer, batch_tokens
from pytest_slmsec.engines.encoders.kinds import Kind, find_kind
from pytest_slmsec.engines.encoders.masked import MaskedScorer
from pytest_slmsec.engines.encoders.network import Encoder
from pytest_slmsec.engines.encoders.pooling import read_pooling
from pytest_slmsec.engines.encoders.texts import Texts
from pytest_slmsec.engines.prompting.without_embedding import WithoutEmbedding, check_vocabulary

LOADERS: Mapping[Kind, str] = {
    Kind.MASKED: "AutoModelForMaskedLM",
    Kind.DISCRIMINATOR: "ElectraForPreTraining",
    Kind.EMBEDDING: "AutoModel",
}
POOLER = re.compile(r"(?:^|\.)pooler\.")
"""The layer over the first token for classification. No scorer uses it, so it may be stored or missing."""
LEFT_OVER = (
    POOLER,
    re.compile(r"(?:^|\.)position_ids$"),  # 0, 1, 2, ...; older versions of transformers stored them with the weights
    re.compile(r"^cls\.seq_relationship\."),  # BERT's head for the order of two sentences
    re.compile(r"^sop_classifier\."),  # ALBERT's
)
"""Weights that may be stored although the architecture does not use them; no score depends on them."""
OFFSET_TYPES = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Architectures that number positions from the padding id + 1 on, so their longest text is that much shorter."""


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> EncoderEngine:
    """Load an encoder's directory.

    Raises:
        ModelError: it is not an encoder that can score options, a weight is missing that a score depends on, a weight
            is left over that `LEFT_OVER` does not allow, or see `transformers_.load`.
    """
    checkpoint = read_checkpoint(directory)
    method = stored.method_of(checkpoint)
    kind = find_kind(checkpoint)
    if kind is None:
        raise ModelError(f"{directory}: {checkpoint.config.get('model_type')!r} is no encoder: leave its engine open.")
    device = pick_device(settings.device)
    if method is not None:
        method.check(checkpoint, device)
        settings = method.settings(checkpoint, settings)
    dtype = pick_dtype(spec, settings, device, checkpoint)
    config = load_config(checkpoint)
    tokenizer = load_tokenizer(directory)
    texts = Texts(tokenizer)
    import_architecture(config)
    began = time.perf_counter()
    model = load_weights(kind, LoadRequest(checkpoint, config, dtype, device, method))
    load_s = time.perf_counter() - began
    check_vocabulary(directory, tokenizer, model.get_input_embeddings().num_embeddings)
    encoder = Encoder(model, tokenizer.pad_token_id or 0, batch_tokens(settings, device))
    scorer, max_tokens = make_scorer(kind, directory, encoder, texts)
    engine = f"transformers {transformers.__version__}, {scorer.name}"
    info = describe(
        spec, settings, checkpoint, model, tokenizer, engine, stored.kernel_of(method, model), load_s,
        kind=kind.value, choice_scores=scorer.name, **stored.facts_of(method, checkpoint, model),
    )  # fmt: skip
    longest = readable_tokens(model.config, info.context_tokens, max_tokens)
    info = replace(info, context_tokens=longest)
    embedded = model.get_input_embeddings().num_embeddings
    return EncoderEngine(encoder, scorer, info, settings, WithoutEmbedding(tokenizer, embedded))


def make_scorer(kind: Kind, directory: Path, encoder: Encoder, texts: Texts) -> tuple[Scorer, int | None]:
    """The scorer for a kind of encoder, and the longest text it was made for in tokens, or None if that is not known.

    Raises:
        ModelError: the tokenizer has no mask token, or the files on pooling cannot be used.
    """
    if kind is Kind.MASKED:
        return MaskedScorer(encoder, texts), None
    if kind is Kind.DISCRIMINATOR:
        return DiscriminatorScorer(encoder, texts), None
    pooling = read_pooling(directory)
    return EmbeddingScorer(encoder, texts, pooling), pooling.max_tokens


def load_weights(kind: Kind, wanted: LoadRequest) -> Any:
    """The model in eval mode on its device, with every weight that a score depends on read from the checkpoint.

    Raises:
        ModelError: weights and architecture do not fit.
    """

    def check(loaded: Mapping[str, Any]) -> None:
        missing = [key for key in loaded["missing_keys"] if not POOLER.search(key)]
        left_over = _not_allowed(loaded["unexpected_keys"])
        check_keys(wanted.checkpoint.directory, missing, left_over, loaded["mismatched_keys"])

    return load_with(wanted, LOADERS[kind], kind.value, check)


def _not_allowed(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if not any(pattern.search(key) for pattern in LEFT_OVER)]


def readable_tokens(config: Any, context: int | None, made_for: int | None) -> int | None:
    """The longest text that an encoder can read, in tokens: the smaller of its number of positions and `made_for`."""
    known = [n for n in (_positions(config, context), made_for) if n is not None]
    return min(known, default=None)


def _positions(config: Any, context: int | None) -> int | None:
    """Number of positions that tokens can have."""
    if context is None or config.model_type not in OFFSET_TYPES:
        return context
    return min(context, int(config.max_position_embeddings) - int(config.pad_token_id) - 1)
