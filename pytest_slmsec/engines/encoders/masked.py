"""Scores options with masked language models: the pseudo-log-likelihood of each option after the question.

PLL: Salazar et al., "Masked Language Model Scoring", ACL 2020 (arXiv:1910.14659): each token is masked in turn, and the
log-probabilities of the original tokens are summed. Only the option's tokens are scored, because the question is the
same for all options. Within-word variant (PLL-word-l2r): Kauf & Ivanova, "A Better Way to Do Masked Language Model
Scoring", ACL 2023 (arXiv:2305.10588): together with a token, the later tokens of its word are masked. Otherwise a rare
word of many tokens ("mimi ##ka ##tz") gets too high a score, because each token can be guessed from the others; the
right options of security questions contain many such names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytest_slmsec.core.errors import ModelError, UsageError
from pytest_slmsec.engines.encoders.network import Encoder
from pytest_slmsec.engines.encoders.texts import Text, Texts

MASK_EVERY = 7
"""In `MaskedScorer.distributions` every seventh token is masked."""


class Masking(NamedTuple):
    """One row to feed: a text with some tokens masked.

    Attributes:
        text: number of the text. row: token ids to feed. position: of the token that is scored. token: its original id.
    """

    text: int
    row: tuple[int, ...]
    position: int
    token: int


class MaskedScorer:
    """Scores options by PLL-word-l2r, in nats, summed over the option's tokens; never above 0.

    Raises:
        ModelError: the tokenizer has no mask token.
    """

    name = "PLL-word-l2r"
    compared = "masked tokens"

    def __init__(self, encoder: Encoder, texts: Texts) -> None:
        if texts.tokenizer.mask_token_id is None:
            raise ModelError(
                f"{texts.tokenizer.name_or_path}: its tokenizer has no mask token, without which a masked language "
                "model cannot be asked: complete tokenizer_config.json."
            )
        self._encoder, self._texts = encoder, texts
        self.mask: int = texts.tokenizer.mask_token_id

    def read(self, question: str, options: Sequence[str]) -> list[Text]:
        """The texts that are fed for one question, one for each option."""
        return self._texts.answered(question, options)

    def written(self, text: Text) -> str:
        """A tokenised text as the tokenizer writes it."""
        return self._texts.written(text)

    def rows(self, texts: Sequence[Text]) -> int:
        """Number of rows that are fed for them: one for each token of each option."""
        return sum(len(text.option) for text in texts)

    def score(self, asked: Sequence[Sequence[Text]]) -> list[list[float]]:
        """One score for each option of each question."""
        flat = [text for texts in asked for text in texts]
        maskings = [masking for number, text in enumerate(flat) for masking in self._maskings(number, text)]

        def logprob(logits: Tensor, row: int) -> float:
            scores = logits.float()
            return float(scores[maskings[row].token] - scores.logsumexp(dim=-1))

        rows, positions = [masking.row for masking in maskings], [masking.position for masking in maskings]
        totals = [0.0] * len(flat)
        for masking, value in zip(maskings, self._encoder.logits_at(rows, positions, logprob), strict=True):
            totals[masking.text] += value
        return regrouped(totals, asked)

    def distributions(self, lines: Sequence[str], context: int | None, limit: int) -> Tensor:
        """Log-probabilities of the vocabulary at every seventh token, each masked alone; see `Scorer`."""
        rows = [text.ids[:context] for text in self._texts.plain(lines)]
        places = [(row, at) for row in rows for at in range(1, len(row) - 1, MASK_EVERY)][:limit]
        hidden = [(*row[:at], self.mask, *row[at + 1 :]) for row, at in places]
        positions = [at for _, at in places]
        return torch.stack(self._encoder.logits_at(hidden, positions, _logprobs))

    def gap(self, text: str, mark: str) -> Text:
        """A text with one gap.

        Args:
            mark: what stands for the gap; the tokenizer's own mask token counts too.

        Raises:
            UsageError: there is no gap, or there are several.
        """
        token = str(self._texts.tokenizer.mask_token)
        (read,) = self._texts.plain([text.replace(mark, token)])
        if read.ids.count(self.mask) != 1:
            raise UsageError(f"The prompt has {read.ids.count(self.mask)} gaps ({mark}); one at a time can be filled.")
        return read

    def likeliest(self, gap: Text, most: int) -> list[tuple[str, float]]:
        """The likeliest tokens at the gap of a text with their probabilities, best first."""
        place = gap.ids.index(self.mask)
        (logprobs,) = self._encoder.logits_at([gap.ids], [place], _logprobs)
        best = logprobs.topk(min(most, len(logprobs)))
        shares = best.values.exp().tolist()
        tokens = [str(self._texts.tokenizer.decode([at])).strip() for at in best.indices.tolist()]
        return list(zip(tokens, shares, strict=True))

    def _maskings(self, number: int, text: Text) -> Iterator[Masking]:
        for position in text.option:
            hidden = [at for at in text.option if at >= position and text.words[at] == text.words[position]]
            row = tuple(self.mask if at in hidden else token for at, token in enumerate(text.ids))
            yield Masking(number, row, position, text.ids[position])


def _logprobs(logits: Tensor, row: int) -> Tensor:
    return logits.float().log_softmax(-1).cpu()


def regrouped(values: Sequence[Any], like: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """A flat list cut into lists of the same lengths as those of `like`."""
    left = iter(values)
    return [[next(left) for _ in part] for part in like]
