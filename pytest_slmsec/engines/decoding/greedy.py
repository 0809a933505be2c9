"""Generation of a batch, greedy or sampled, each row with its own limit and stop strings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from pytest_slmsec.engines.decoding.network import PAD, DecodingState, Network
from pytest_slmsec.engines.decoding.sampling import Sampler
from pytest_slmsec.engines.decoding.thoughts import ThoughtLimit

COMPACT_BELOW = 0.5
"""Finished rows are dropped from the cache when at most this share of its rows is still generating. Dropping copies the
cache once; a finished row that is kept costs attention at every step."""


@dataclass(slots=True)
class GenerationTiming:
    """Seconds of generating some rows.

    Attributes:
        prefill_s: reading prompts. decode_s: all steps after them.
        first_token_s: from the start until the first token of the first answers; None: there is none yet.
        unrecorded: on CUDA, why steps could not be recorded as graphs; None where they were, or on other devices.
    """

    prefill_s: float = 0.0
    decode_s: float = 0.0
    first_token_s: float | None = None
    unrecorded: str | None = None

    def add(self, later: GenerationTiming) -> None:
        """Add the seconds of rows that were generated after those of this timing."""
        if self.first_token_s is None and later.first_token_s is not None:
            self.first_token_s = self.prefill_s + self.decode_s + later.first_token_s
        self.prefill_s += later.prefill_s
        self.decode_s += later.decode_s
        self.unrecorded = self.unrecorded or later.unrecorded


@dataclass
class Row:
    """One answer being generated.

    Attributes:
        prompt: token ids. limit: most new tokens of the answer. shared: leading tokens of the prompt that are the
            benchmark's prefix. room: most new tokens in all, thoughts included, or None.
        thoughts: follows the thoughts before the answer, which have a limit of their own; None: nothing is a thought.
        stopped: says of the tokens generated so far whether a stop string is in them.
        sampler: draws the tokens; None: the most probable ones are taken.
        pause_at: number of tokens at which generating pauses; None: it does not.
        tokens: generated so far, the end-of-text token included.
        ended: an end-of-text token or a stop string was generated. finite: no logits were NaN or infinite so far.
    """

    prompt: Sequence[int]
    limit: int
    stopped: Callable[[Sequence[int]], bool]
    shared: int = 0
    room: int | None = None
    thoughts: ThoughtLimit | None = None
    sampler: Sampler | None = None
    pause_at: int | None = field(default=None, init=False)
    tokens: list[int] = field(default_factory=list, init=False)
    ended: bool = field(default=False, init=False)
    finite: bool = field(default=True, init=False)

    @property
    def running(self) -> bool:
        """Whether another token is to be generated now."""
        most = self._most if self.pause_at is None else min(self._most, self.pause_at)
        return self.finite and not self.ended and len(self.tokens) < most

    @property
    def text(self) -> list[int]:
        """The prompt and the tokens generated so far."""
        return [*self.prompt, *self.tokens]

    @property
    def longest(self) -> int:
        """Most new tokens in all, with the longest thought that is allowed."""
        return self._fitting(self.limit + (self.thoughts.budget if self.thoughts is not None else 0))

    @property
    def _most(self) -> int:
        return self._fitting(self.limit if self.thoughts is None else self.thoughts.most(self.limit))

    def _fitting(self, tokens: int) -> int:
        return tokens if self.room is None else min(tokens, self.room)

    def append_next_token(self, token: int | None, ends: Collection[int]) -> None:
        """Append the next token; None, for logits that are not finite, ends the row instead.

        Args:
            ends: token ids that end a text.
        """
        if token is None:
            self.finite = False
            return
        self.tokens.append(token)
        self.ended = token in ends
        if self.ended:
            return
        if self.thoughts is None:
            self.ended = self.stopped(self.tokens)
            return
        self.thoughts.follow(self.tokens)
        answer = self.tokens[self.thoughts.since :]
        self.ended = not self.thoughts.thinking and bool(answer) and self.stopped(answer)


def generate(network: Network, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
    """Generate all rows, in place; those that have tokens already go on behind them.

    Args:
        ends: token ids that end a text.
    """
    began = network.now()
    logits, state = network.prefill([row.text for row in rows])
    append_next_tokens(rows, logits, ends)
    first = network.now()
    live = list(rows)
    while any(row.running for row in live):
        live = _compacted(live, state)
        state.rest([index for index, row in enumerate(live) if not row.running])
        fed = [row.tokens[-1] if row.running else PAD for row in live]
        tokens = torch.tensor(fed, device=network.device)[:, None]
        append_next_tokens(live, network.extend(state, tokens, last_only=True)[:, -1], ends)
    return GenerationTiming(first - began, network.now() - first, first - began)


def append_next_tokens(rows: Sequence[Row], logits: torch.Tensor, ends: Collection[int]) -> None:
    """Append the next token to every row that runs.

    Args:
        logits: [rows, vocabulary]. ends: token ids that end a text.
    """
    samplers = {index: row.sampler for index, row in enumerate(rows) if row.running and row.sampler is not None}
    for row, token in zip(rows, next_tokens(logits, samplers), strict=True):
        if row.running:
            row.append_next_token(token, ends)


def next_tokens(logits: torch.Tensor, samplers: Mapping[int, Sampler]) -> list[int | None]:
    """The next token at each position: what its sampler draws, or else the most probable one; None where the logits are
    not finite.

    Only the maximum is tested for being finite: NaN and +inf are the maximum wherever they occur, and -inf is it only
    where all logits are -inf.

    Args:
        logits: [positions, vocabulary]. samplers: by position.
    """
    best = logits.max(dim=-1)
    found: list[int | None] = []
    for index, (token, value) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True)):
        finite, sampler = math.isfinite(value), samplers.get(index)
        drawn = sampler.draw(logits[index]) if finite and sampler is not None else token
        found.append(drawn if finite else None)
    return found


def _compacted(live: list[Row], state: DecodingState) -> list[Row]:
    """The rows that are fed next; ended ones are dropped, from `state` too, once they are half of them."""
    kept = [index for index, row in enumerate(live) if row.running]
    if len(kept) > COMPACT_BELOW * len(live):
        return live
    state.select(kept)
    return [live[index] for index in kept]


class StopStrings:
    """Finds stop strings, or a complete answer, at the end of an answer while it is generated.

    A string of n UTF-8 bytes spans at most n tokens. So only the last n tokens are decoded, and `MARGIN` more, because
    a tokenizer may drop the blank before the first token that it decodes.

    Args:
        answered: regular expression of a complete answer; "" where none ends the text.
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
        """Whether the last tokens hold a stop string or a complete answer."""
        if self._answered is not None and self._answered.search(self._decoded(tokens[-self.ANSWER_TOKENS :])):
            return True
        if not self.strings:
            return False
        text = self._decoded(tokens[-self._tail :])
        return any(string in text for string in self.strings)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=self.hides_special))

    def cut(self, text: str) -> str:
        """`text` up to the first stop string in it, or to the end of its first complete answer if that comes before."""
        starts = [text.find(string) for string in self.strings if string in text]
        text = text[: min(starts, default=len(text))]
        if self._answered is None:
            return text
        found = self._answered.search(text)
        return text if found is None else text[: found.end()]


class RawStopStrings(StopStrings):
    """Stop strings by the rules of lm-evaluation-harness, for raw requests.

    A special token also ends the text if its own text is a stop string (``<|im_end|>``); the text of the end-of-text
    token is always one. The answer is cut at each string in turn, in their order.
    Source: lm_eval 0.4.13, ``models/utils.py`` (`handle_stop_sequences`, `postprocess_generated_text`) and
    ``models/utils_hf.py`` (`MultiTokenEOSCriteria`), at batch size 1. (In larger batches of lm_eval a row continues
    after a special token until all rows of the batch are done.)
    """

    hides_special = False

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        eos = tokenizer.eos_token
        super().__init__(tokenizer, (*strings, *([eos] if eos and eos not in strings else [])))

    def cut(self, text: str) -> str:
        """`text` cut at each stop string in turn."""
        for string in self.strings:
            text = text.split(string)[0]
        return text
