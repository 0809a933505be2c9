"""Scores options with sentence-embedding models: the cosine of the vectors of question and option.

Reimers & Gurevych, "Sentence-BERT", EMNLP 2019 (arXiv:1908.10084).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.encoders.network import Encoder
from pytest_slmsec.engines.encoders.pooling import Pooling
from pytest_slmsec.engines.encoders.texts import Text, Texts

SCALE = 20.0
"""Factor from cosines to logits. In training, the softmax of these logits says which of the other texts belongs to this
one (`MultipleNegativesRankingLoss` of sentence-transformers, whose default factor is 20)."""


class EmbeddingScorer:
    """Scores options by the cosine of their vector and the question's, from -1 to 1. Each option is fed by itself."""

    compared = "nearest texts"

    def __init__(self, encoder: Encoder, texts: Texts, pooling: Pooling) -> None:
        self._encoder, self._texts, self.pooling = encoder, texts, pooling
        self.name = f"cosine of {pooling.mode}-pooled vectors" + (" of lower-cased texts" if pooling.lower_case else "")

    def read(self, question: str, options: Sequence[str]) -> list[Text]:
        """The texts that are fed for one question: the question, then its options."""
        texts = [question, *options]
        return self._texts.plain([text.lower() for text in texts] if self.pooling.lower_case else texts)

    def written(self, text: Text) -> str:
        """A tokenised text as the tokenizer writes it."""
        return self._texts.written(text)

    def rows(self, texts: Sequence[Text]) -> int:
        """Number of rows that are fed for them."""
        return len(texts)

    def score(self, asked: Sequence[Sequence[Text]]) -> list[list[float]]:
        """One score for each option of each question."""
        rows = list(dict.fromkeys(text.ids for texts in asked for text in texts))
        vectors = dict(zip(rows, self.vectors(rows), strict=True))
        return [[float(vectors[question.ids] @ vectors[text.ids]) for text in options] for question, *options in asked]

    def vectors(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Vectors of length 1 of tokenised texts: [texts, vector size], fp32, on the CPU."""

        def pooled(output: Any, mask: Tensor, numbers: Sequence[int]) -> list[Tensor]:
            hidden, weight = output.last_hidden_state.float(), mask[..., None].float()
            vector = hidden[:, 0] if self.pooling.mode == "cls" else (hidden * weight).sum(1) / weight.sum(1)
            return list(torch.nn.functional.normalize(vector, dim=-1).cpu())

        return torch.stack(self._encoder.feed(rows, pooled))

    def distributions(self, lines: Sequence[str], context: int | None, limit: int) -> Tensor:
        """For each text the log-probabilities that each other text belongs to it: [texts, texts - 1]; see `Scorer`."""
        rows = list(dict.fromkeys(text.ids[:context] for text in self._texts.plain(lines)))[:limit]
        vectors = self.vectors(rows)
        others = ~torch.eye(len(rows), dtype=torch.bool)
        cosines = (vectors @ vectors.T)[others].reshape(len(rows), len(rows) - 1)
        return (SCALE * cosines).log_softmax(dim=-1)
