"""Scores options with ELECTRA's discriminator: the log-odds that their tokens are original and not replaced.

Clark et al., "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", ICLR 2020
(arXiv:2003.10555): the discriminator gives each token a logit of having been replaced. Xia et al., "Prompting ELECTRA:
Few-Shot Learning with Discriminative Pre-Trained Models", EMNLP 2022 (arXiv:2205.15223): an option is put into the text
and scored by these logits; over several tokens, by their mean (`mean_prob` in the authors' code).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.encoders.masked import regrouped
from pytest_slmsec.engines.encoders.network import Encoder
from pytest_slmsec.engines.encoders.texts import Text, Texts


class DiscriminatorScorer:
    """Scores options by the mean log-odds that their tokens are original: minus ELECTRA's logit, which is that of a
    replaced token."""

    name = "mean originality log-odds"
    compared = "tokens, original or replaced"

    def __init__(self, encoder: Encoder, texts: Texts) -> None:
        self._encoder, self._texts = encoder, texts

    def read(self, question: str, options: Sequence[str]) -> list[Text]:
        """The texts that are fed for one question, one for each option."""
        return self._texts.answered(question, options)

    def written(self, text: Text) -> str:
        """A tokenised text as the tokenizer writes it."""
        return self._texts.written(text)

    def rows(self, texts: Sequence[Text]) -> int:
        """Number of rows that are fed for them."""
        return len(texts)

    def score(self, asked: Sequence[Sequence[Text]]) -> list[list[float]]:
        """One score for each option of each question."""
        flat = [text for texts in asked for text in texts]

        def originality(output: Any, mask: Tensor, rows: Sequence[int]) -> list[float]:
            logits = output.logits.float()
            return [-logits[at, list(flat[row].option)].mean().item() for at, row in enumerate(rows)]

        return regrouped(self._encoder.feed([text.ids for text in flat], originality), asked)

    def distributions(self, lines: Sequence[str], context: int | None, limit: int) -> Tensor:
        """Log-probabilities that a token is original and that it is replaced: [tokens, 2]; see `Scorer`."""
        rows = [text.ids[:context] for text in self._texts.plain(lines)]

        def both(output: Any, mask: Tensor, numbers: Sequence[int]) -> list[Tensor]:
            logits = output.logits.float()
            pairs = torch.nn.functional.logsigmoid(torch.stack([-logits, logits], dim=-1)).cpu()
            return [pairs[at, : len(rows[number])] for at, number in enumerate(numbers)]

        return torch.cat(self._encoder.feed(rows, both))[:limit]
