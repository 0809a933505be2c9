"""What a sentinel looks at, and what it says.

A sentinel is a pure function of one benchmark's answers by one model. Where it counts items, it fires only when the
95 % interval (Wilson) of the share lies beyond its threshold: a few odd items do not fire it, and with few items in all
a larger share must be affected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.scoring.metrics import wilson_interval

QUOTED = 40
"""Characters of an answer in a finding."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one benchmark on one model, from this run or a stored one.

    All sequences have one entry for each measured item, in the same order; a run may lack some, which are empty.

    Attributes:
        benchmark, model: label of the benchmark, name of the model. task, mode: the benchmark and how it was scored.
        by_choice: scored by log-probability. quant: quantisation, or None.
        item: ids. gold: right answers. text: generated texts, or None. logprobs: of the options, or None.
        extracted: what the scorer read in the text. correct, parsed: as scored. hit_limit: ended at the token limit.
        prompt_tokens: as the engine counted; None where unknown. prompt_words: words between blanks, as sent.
        new_tokens: as the engine counted, thoughts included; None where unknown.
        thought: what the model thought before each answer, or None. thought_tokens: as counted; None where unknown.
        variant: of which item each is a variant, and which one (`core.items.VARIANT`), or None.
        batch: how many answers, in order, were generated together, where that is known.
        begin_of_text: begin-of-text tokens that this tokenizer ``expects`` and that its prompts have (``found``).
        chat_template: facts about the model's chat template (`engines.prompting.chat_template.TemplateFacts`), or None.
        raw: asked with raw texts, which no template is applied to.
        quantized: the share of the model's weights that is quantised (`engines.common.quantized_share`), where known.
        kernel, device: what ran the linear layers, and where. decode_tokens_per_s: its speed.
        trained_on: whether each question stands in the training data that was named.
        pair_verdicts: of each item, what a judge said of the answer and that of the base, in both orders.
        base_decode_tokens_per_s: speed of the unquantised base on the same benchmark and device in the same run.
    """

    benchmark: str
    model: str
    task: str = ""
    mode: str = "strict"
    by_choice: bool = False
    quant: str | None = None
    item: Sequence[str] = ()
    gold: Sequence[str] = ()
    text: Sequence[str | None] = ()
    logprobs: Sequence[Sequence[float | None] | None] = ()
    extracted: Sequence[str | None] = ()
    correct: Sequence[bool] = ()
    parsed: Sequence[bool] = ()
    hit_limit: Sequence[bool] = ()
    prompt_tokens: Sequence[int | None] = ()
    prompt_words: Sequence[int | None] = ()
    new_tokens: Sequence[int | None] = ()
    thought: Sequence[str | None] = ()
    thought_tokens: Sequence[int | None] = ()
    trained_on: Sequence[bool | None] = ()
    pair_verdicts: Sequence[Sequence[Mapping[str, Any]] | None] = ()
    variant: Sequence[Mapping[str, Any] | None] = ()
    batch: int | None = None
    begin_of_text: Mapping[str, Any] | None = None
    chat_template: Mapping[str, Any] | None = None
    raw: bool = False
    quantized: Mapping[str, Any] | None = None
    kernel: str | None = None
    device: str | None = None
    decode_tokens_per_s: float | None = None
    base_decode_tokens_per_s: float | None = None

    @property
    def n(self) -> int:
        """Measured items."""
        return len(self.item)

    @property
    def texts(self) -> list[str]:
        """The generated texts without unfinished thoughts; empty for benchmarks by choice."""
        if self.by_choice:
            return []
        return [text for text, cut in zip(self.text, self.unfinished, strict=True) if text is not None and not cut]

    @property
    def unfinished(self) -> list[bool]:
        """Of each answer, whether the model was still thinking when its tokens ran out."""
        thoughts = self.thought or [None] * len(self.text)
        columns = zip(self.text, thoughts, self.hit_limit or [False] * len(self.text), strict=True)
        return [cut and thought is not None and not text for text, thought, cut in columns]


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A check for one sign that a number is wrong.

    Attributes:
        id: short name, also the anchor in docs/sentinels.md. says: what is wrong when it fires, one sentence.
        remedy: what to do, one sentence.
        check: returns the facts as one clause without the benchmark's name, or None if it does not fire.
    """

    id: str
    says: str
    remedy: str
    check: Callable[[Evidence], str | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentinel that fired on one benchmark and model. `fact`: what it saw."""

    id: str
    benchmark: str
    model: str
    fact: str


def surely_above(count: int, n: int, share: float) -> bool:
    """Whether the 95 % interval (Wilson) of `count` of `n` lies above `share`."""
    return n > 0 and wilson_interval(count, n)[0] > share


def surely_below(count: int, n: int, share: float) -> bool:
    """Whether the 95 % interval (Wilson) of `count` of `n` lies below `share`."""
    return n > 0 and wilson_interval(count, n)[1] < share
