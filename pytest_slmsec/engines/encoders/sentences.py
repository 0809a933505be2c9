"""Vectors of texts from a sentence-embedding model, for comparing their meaning.

The vectors are those of `SentenceTransformer.encode` (sentence-transformers, https://sbert.net), with length 1. A text
that is longer than the model was made for is cut to that length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.loading import locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.embeddings import EmbeddingScorer
from pytest_slmsec.engines.encoders.engine import EncoderEngine
from pytest_slmsec.engines.encoders.weights import load


class SentenceVectors:
    """A loaded sentence-embedding model."""

    def __init__(self, engine: EncoderEngine, scorer: EmbeddingScorer) -> None:
        self._engine, self._scorer = engine, scorer

    @property
    def info(self) -> EngineInfo:
        """Facts about the model, for the record."""
        return self._engine.info

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 for each text: [texts, width]."""
        first, *others = texts
        rows = [self._cut(text.ids) for text in self._scorer.read(first, others)]
        return np.asarray(self._scorer.vectors(rows).numpy(), dtype=np.float32)

    def close(self) -> None:
        """Free the model's memory."""
        self._engine.close()

    def _cut(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """`ids` cut to the context; the last token, which is a special one, is kept."""
        longest = self.info.context_tokens
        return ids if longest is None or len(ids) <= longest else (*ids[: longest - 1], ids[-1])


def load_sentences(spec: ModelSpec, settings: EngineSettings) -> SentenceVectors:
    """Load a sentence-embedding model by directory or from the hub.

    Raises:
        ModelUnavailable, ModelError: it cannot be found or loaded, or is not a sentence-embedding model.
    """
    engine = load(locate(spec, settings), spec, settings)
    if not isinstance(engine.scorer, EmbeddingScorer):
        raise ModelError(f"{spec.name} is no sentence-embedding model: name one that has a modules.json.")
    return SentenceVectors(engine, engine.scorer)
