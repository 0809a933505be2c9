"""Greedy generation of a batch, each row with its own limit and stop strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from pytest_slmsec.engines.decoding.network import PAD, Flight, Network

COMPACT_BELOW = 0.5
"""Finished rows are dropped from the cache when less than this share of it is still generating: dropping copies the
cache once, keeping finished rows costs their attention at every step."""


@dataclass
class Row:
    """One answer being generated.

    Attributes:
        prompt: token ids. limit: most new tokens. shared: leading tokens of the prompt that other rows have as well.
        stopped: whether the tokens so far hold a stop string.
        tokens: generated so far, the end-of-text token included.
        ended: it ended by itself. finite: all logits it came from were finite.
    """

    prompt: Sequence[int]
    limit: int
    stopped: Callable[[Sequence[int]], bool]
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    finite: bool = True
    shared: int = 0

    @property
    def running(self) -> bool:
        """More tokens are wanted."""
        return self.finite and not self.ended and len(self.tokens) < self.limit

    def take(self, token: int, finite: bool, ends: Collection[int]) -> None:
        """Append the next token, unless it came from logits that are not finite."""
        if not finite:
            self.finite = False
            return
        self.tokens.append(token)
        self.ended = token in ends or self.stopped(self.tokens)


def generate(network: Network, rows: Sequence[Row], ends: Collection[int], first_token: Callable[[], None]) -> None:
    """Generate all rows greedily, in place.

    Args:
        ends: ids that end a text.
        first_token: called when every row has its first token.
    """
    logits, flight = network.prefill([row.prompt for row in rows])
    take(rows, logits, ends)
    first_token()
    live = list(rows)
    while any(row.running for row in live):
        live = _compacted(live, flight)
        fed = [row.tokens[-1] if row.running else PAD for row in live]
        tokens = torch.tensor(fed, device=network.device)[:, None]
        take(live, network.extend(flight, tokens, last_only=True)[:, -1], ends)


def take(rows: Sequence[Row], logits: torch.Tensor, ends: Collection[int]) -> None:
    """Append the most probable token to every row that runs; logits are [rows, vocabulary].

    The maximum is enough to see trouble: NaN and +inf win it, and a row of -inf has no other.
    """
    best = logits.max(dim=-1)
    finite = torch.isfinite(best.values).tolist()
    for row, token, sound in zip(rows, best.indices.tolist(), finite, strict=True):
        if row.running:
            row.take(token, sound, ends)


def _compacted(live: list[Row], flight: Flight) -> list[Row]:
    kept = [index for index, row in enumerate(live) if row.running]
    if len(kept) > COMPACT_BELOW * len(live):
        return live
    flight.select(kept)
    return [live[index] for index in kept]


class StopStrings:
    """Looks for stop strings, or a complete answer, at the end of a growing answer.

    A string of n UTF-8 bytes spans at most n tokens, so only that many are decoded, and a few before them, because a
    tokenizer may drop the blank in front of the first.
    """

    MARGIN = 4
    ANSWER_TOKENS = 96
    hides_special = True

    def __init__(self, tokenizer: Any, strings: Sequence[str], answered: str = "") -> None:
        self._tokenizer = tokenizer
        self._answered = re.compile(answered) if answered else None
        self.strings = tuple(string for string in strings if string)
        self._tail = max((len(string.encode("utf-8", "replace")) for string in self.strings), default=0) + self.MARGIN

    def __call__(self, tokens: Sequence[int]) -> bool:
        """Whether a stop string, or a complete answer where that is enough, stands in the last tokens."""
        if self._answered is not None and self._answered.search(self._decoded(tokens[-self.ANSWER_TOKENS :])):
            return True
        if not self.strings:
            return False
        text = self._decoded(tokens[-self._tail :])
        return any(string in text for string in self.strings)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=self.hides_special))

    def cut(self, text: str) -> str:
        """`text` up to its first stop string, and no further than its first complete answer."""
        text = text[: min((at for string in self.strings if (at := text.find(string)) >= 0), default=len(text))]
        found = self._answered.search(text) if self._answered is not None else None
        return text if found is None else text[: found.end()]


class RawStopStrings(StopStrings):
    """Stop strings as lm-evaluation-harness means them, for raw requests.

    A special token stops too where its text is a stop string (``<|im_end|>``), and so does the text of the
    end-of-text token. The answer is cut at each string in turn, in their order.
    Source: lm_eval 0.4.13, ``models/utils.py`` (`handle_stop_sequences`, `postprocess_generated_text`) and
    ``models/utils_hf.py`` (`MultiTokenEOSCriteria`), at batch size 1: in larger batches a row goes on behind a special
    token until every row is done.
    """

    hides_special = False

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        eos = tokenizer.eos_token
        super().__init__(tokenizer, (*strings, *([eos] if eos and eos not in strings else [])))

    def cut(self, text: str) -> str:
        """`text` up to a stop string."""
        for string in self.strings:
            text = text.split(string)[0]
        return text
