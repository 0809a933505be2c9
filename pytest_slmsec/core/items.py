"""Items, the requests made of them, what an engine gives back, and what a scorer makes of it.

The flow of one item::

    Item --(task)--> Request --(engine)--> Output --(scorer)--> Score;  Answer = Item + Output + Score

Everything here is plain frozen data: it imports neither pytest nor torch, and survives JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Role = Literal["system", "user", "assistant"]


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Role
    content: str


TRAINED_ON = "trained_on"
"""Key of a measured item: whether its question stands in the training data; absent or None where nobody looked."""
TRAINED_OVERLAP = "trained_overlap"
"""Key of an engine's facts: how many items of which benchmark its model was knowingly trained on."""
ALL_SEEN = "every item stands in the training data, so no score is left"
PAIR_JUDGE, PAIR_VERDICTS = "pair_judge", "pair_verdicts"
"""Keys of a candidate's result: who compared its answers with those of its base, and both verdicts on each item."""
REBUILT = "rebuilt"
"""Key of `Item.meta`: the item was rebuilt from a stored run and lacks what is not stored, such as its options."""
VARIANT = "variant"
"""Key of `Item.meta`, and column of a stored run: of which item an item is a variant, and which one."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    Attributes:
        id: unique, stable and readable, e.g. ``cti-mcq-00137`` (rows count from 1, the header apart).
        prompt: the user turn, verbatim as published.
        gold: the right answer in the scorer's own form (a letter, a CWE id, a CVSS vector, ids).
        system: the system turn, or None.
        shots: example turns before the question, by user and assistant in turns.
        choices: continuations to be compared by log-probability, or () for generation. `gold` is then one of `labels`.
        labels: the name of each choice (``A`` .. ``D``); same length as `choices`.
        raw: `prompt` is the whole text the model reads, few-shot examples and all: no chat template is applied.
        contexts: a text of its own before each choice, where they differ (winogrande); same length as `choices`, and
            taken instead of `prompt`. Only for raw items.
        question, options: the question and the text of each choice by themselves, for models that compare texts
            instead of continuing them (encoders); same length as `choices`. Only where the task's scorer takes any
            score that ranks the options, not just log-probabilities.
        origin: where the item stands, for messages: ``cti-mcq.tsv row 137``.
        meta: further published columns a scorer or report may need (plain data).
    """

    id: str
    prompt: str
    gold: str
    system: str | None = None
    choices: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    raw: bool = False
    contexts: tuple[str, ...] = ()
    question: str = ""
    options: tuple[str, ...] = ()
    shots: tuple[Message, ...] = ()
    origin: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def messages(self) -> tuple[Message, ...]:
        """The conversation to send: the system turn where there is one, the examples, then the user turn."""
        system = () if self.system is None else (Message("system", self.system),)
        return (*system, *self.shots, Message("user", self.prompt))


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask for a continuation of at most `max_new_tokens` tokens, ended early by any of `stop`.

    `temperature`: 0.0 for greedy decoding; above it, each token is drawn from the softmax of logits / temperature, of
    the whole vocabulary (no top-k, no top-p). `seed`: of these draws; without meaning for greedy decoding.
    `raw`: the contents of the messages are the text itself, and no chat template is applied. `shared_chars`: how many
    characters of the last message all items of the benchmark begin with; what comes before it is the same for all. It
    is a hint that lets an engine compute the common beginning once, and does not change the answer. `answered`: a
    regular expression; generation stops once the answer contains a match; empty: no such stop.
    """

    id: str
    messages: tuple[Message, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    raw: bool = False
    shared_chars: int = 0
    answered: str = ""
    temperature: float = 0.0
    seed: int = 0

    @property
    def sampled(self) -> bool:
        """Whether tokens are drawn, and not the most probable ones."""
        return self.temperature > 0


@dataclass(frozen=True, slots=True)
class Choose:
    """Ask for the log-probability of each of `choices` as the continuation of the conversation.

    `raw`, `shared_chars`: as in `Generate`. `contexts`: instead of the conversation, one raw text before each choice.
    `question` and `options`: what an encoder compares instead; see `Item`.
    """

    id: str
    messages: tuple[Message, ...]
    choices: tuple[str, ...]
    raw: bool = False
    contexts: tuple[str, ...] = ()
    question: str = ""
    options: tuple[str, ...] = ()
    shared_chars: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What another model said when it was asked about an answer.

    Attributes:
        role: what it was asked as (``judge``, ``expander``). model: its name on the command line.
        prompt_sha256: digest of the messages it was sent.
        text: what it answered. hit_limit: whether the token limit cut it off. thought: what it thought before, or None.
    """

    role: str
    model: str
    prompt_sha256: str
    text: str
    hit_limit: bool = False
    thought: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What an engine measured for one request; `error` set means that nothing valid was measured.

    Attributes:
        text: the answer (special tokens and thoughts removed, see `core.thoughts`), for `Generate`; "" where the model
            was still thinking when it ended.
        choice_logprobs: natural-log probability of each choice, summed over its tokens, for `Choose`.
        choice_scores: instead of log-probabilities, how well each option answers the question by an encoder's own
            measure (cosine, pseudo-log-likelihood); only their order means anything, the highest is chosen. None for an
            option without text, which is never chosen. For a server: log-probabilities, None for each option that it
            does not report.
        choice_greedy: for `Choose`, whether greedy decoding would generate exactly this choice; None: unknown.
        prompt_tokens: tokens of the rendered prompt, padding not counted; None where a recorded run does not say.
        new_tokens: generated tokens up to and with the end-of-text token, padding not counted (0 for `Choose`); None
            where a recorded run does not say.
        hit_limit: generation ended at the token limit, not by itself, or inside a thought.
        thought: what a reasoning model thought before its answer; None where it did not think.
        thought_tokens: those of `new_tokens` that were thought, tags included; None where nobody counted them.
        error: one sentence, or None.
        replies: what other models said about `text`, in the order in which they were asked.
        seconds: wall time of this answer alone, where a recorded run or a server's client knows it; None: its share of
            its batch counts.
        first_token_s: seconds from the request to the first piece of text or thought, where a server streamed it.
    """

    text: str | None = None
    choice_logprobs: tuple[float, ...] | None = None
    choice_scores: tuple[float | None, ...] | None = None
    choice_greedy: tuple[bool, ...] | None = None
    prompt_tokens: int | None = 0
    new_tokens: int | None = 0
    hit_limit: bool = False
    error: str | None = None
    replies: tuple[Reply, ...] = ()
    seconds: float | None = None
    thought: str | None = None
    thought_tokens: int | None = 0
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """A request whose answer was recorded before (`output`); no model is asked.

    `messages`: what had been asked, as far as it is known.
    """

    id: str
    messages: tuple[Message, ...]
    output: Output


Request = Generate | Choose | Recall


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer found in one output.

    Attributes:
        value: the item's score in the metric's unit (accuracy: 1.0 or 0.0; CTI-VSP: |difference| in CVSS points; F1).
        parsed: the answer had the asked form; an unparsed one is scored as the worst case in strict mode.
        correct: whether it counts as right (drives the case's status).
        extracted: what was read out of the answer, or None.
        parts: further numbers that the metric aggregates (``p_correct``, ``plausible``, ``tp``, ``fp``, ``fn``).
    """

    value: float
    parsed: bool
    correct: bool
    extracted: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One measured item, as a test case sees it through the `answer` fixture.

    `seconds` is the item's share of the wall time of the batch it ran in; None where a recorded run does not say.
    `score` is None exactly when `error` is set.
    """

    item: Item
    model: str
    output: Output
    score: Score | None
    seconds: float | None = 0.0

    @property
    def error(self) -> str | None:
        """Why nothing valid was measured, or None."""
        return self.output.error

    @property
    def text(self) -> str | None:
        """The generated text."""
        return self.output.text

    @property
    def logprobs(self) -> Mapping[str, float]:
        """Log-probability (natural log) of each option by its label; empty for generation and for encoders."""
        return dict(zip(self.item.labels, self.output.choice_logprobs or (), strict=False))

    @property
    def choice_scores(self) -> Mapping[str, float | None]:
        """What the options are ranked by, by label: log-probabilities, or an encoder's scores; empty for generation."""
        return self.logprobs or dict(zip(self.item.labels, self.output.choice_scores or (), strict=False))

    @property
    def choice(self) -> str | None:
        """The option or answer that was read out of the output, or None."""
        return self.score.extracted if self.score else None

    @property
    def parsed(self) -> bool:
        """Whether the answer had the asked form."""
        return bool(self.score and self.score.parsed)

    @property
    def correct(self) -> bool:
        """Whether the answer counts as right."""
        return bool(self.score and self.score.correct)


def duplicates(ids: Sequence[str]) -> list[str]:
    """Ids that occur more than once, in order of their second occurrence."""
    seen: set[str] = set()
    repeated: list[str] = []
    for name in ids:
        if name in seen:
            repeated.append(name)
        seen.add(name)
    return repeated
