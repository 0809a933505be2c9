"""What engines that read logits share: tokenising requests, refusing what cannot be asked, outputs and timings."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.identity import sampling_seed
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing
from pytest_slmsec.engines.common.settings import ThinkingSettings
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.greedy import RawStopStrings, Row, StopStrings
from pytest_slmsec.engines.decoding.sampling import Sampler
from pytest_slmsec.engines.decoding.thoughts import GeneratedTexts, ThoughtLimit
from pytest_slmsec.engines.prompting.begin_of_text import begin_of_text
from pytest_slmsec.engines.prompting.encoded import Encoded
from pytest_slmsec.engines.prompting.prompts import Prompts, refusal
from pytest_slmsec.engines.prompting.sharing import SharedPrefixes
from pytest_slmsec.engines.prompting.thinking import CLOSED, NO_SWITCH
from pytest_slmsec.engines.prompting.without_embedding import WithoutEmbedding

if TYPE_CHECKING:
    import torch

NOT_FINITE = "{id}: the model gave logits that are not finite (NaN or infinity): its weights are damaged or overflow."
REMEMBERED_WINDOWS = 2


@dataclass
class Tally:
    """Timings and notes of one batch while it runs, summed over its parts.

    Attributes:
        began: reading of the engine's clock at the start, in seconds.
        prefill_s, decode_s, first_token_s: as in `Timing`. notes: facts for the record.
    """

    began: float
    prefill_s: float = 0.0
    decode_s: float | None = None
    first_token_s: float | None = None
    notes: list[str] = field(default_factory=list)


class Answering(ABC):
    """Base class of engines that feed tokens and read logits; see `engines.common.base.Engine`.

    Args:
        tokenizer: of the model. ends: token ids that end a text. info: facts for the record.
        thinking: whether the model is asked to think before it answers.
        embedded: number of token ids that the model embeds; None: all that the tokenizer has.
    """

    capabilities = (
        Capability.CHOICE | Capability.GENERATE | Capability.SAMPLE | Capability.PROMPT_TOKENS | Capability.TIMINGS
    )

    _shares = True
    """Whether the engine computes the common prefix of a benchmark's prompts only once."""

    def __init__(
        self,
        tokenizer: Any,
        ends: frozenset[int],
        info: EngineInfo,
        thinking: ThinkingSettings | None = None,
        embedded: int | None = None,
    ) -> None:
        self.prompts = Prompts(tokenizer, thinking)
        found: dict[str, Any] = {"begin_of_text": begin_of_text(self.prompts)}
        found["chat_template"] = self.prompts.template.facts()
        if (facts := self.prompts.thinking_facts()) is not None:
            found["thinking"] = facts
        self.info = replace(info, extra={**info.extra, **found})
        self._texts = GeneratedTexts(tokenizer, self.prompts.thinking.tags)
        self._tokenizer = tokenizer
        self._ends = ends
        self._without_embedding = WithoutEmbedding(tokenizer, embedded)
        self._without_embedding.check_template(self.prompts.place, self.prompts.asked_tokens())
        self._shared = SharedPrefixes(self.prompts)
        self._encoded: list[dict[Request, Encoded]] = []

    @abstractmethod
    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """See `engines.common.base.Engine`."""

    def run(self, requests: Sequence[Request]) -> Batch:
        """Answer one batch.

        Raises:
            EngineError: inference failed in a way that concerns the whole batch.
        """
        tally = Tally(self._now(), notes=self._without_embedding.notes())
        encoded = self._encode(requests)
        context = self.info.context_tokens
        outputs: dict[int, Output] = {}
        for index, (request, one) in enumerate(zip(requests, encoded, strict=True)):
            why = refusal(request, one, context) or self._without_embedding.refusal(request, one)
            if why is not None:
                outputs[index] = Output(prompt_tokens=one.prompt_tokens, error=why)
        for kind in (Choose, Generate):
            asked = [i for i, request in enumerate(requests) if i not in outputs and isinstance(request, kind)]
            if asked:
                outputs.update(self._answers(asked, requests, encoded, tally))
        tally.notes += self._thinking_notes(requests)
        ordered = tuple(outputs[index] for index in range(len(requests)))
        return Batch(ordered, self._timing(ordered, tally), tuple(tally.notes))

    def rendered(self, request: Request) -> list[str]:
        """The text of a prompt as it is fed; see `engines.common.base.Rendering`.

        Raises:
            EngineError: the chat template refused it.
        """
        (encoded,) = self._encode([request])
        if encoded.error is not None:
            raise EngineError(encoded.error)
        return [str(self._tokenizer.decode(list(tree.prompt))) for tree in encoded.trees()]

    @abstractmethod
    def close(self) -> None:
        """Free the model's memory."""

    @abstractmethod
    def logits(self, tokens: Sequence[int], start: int = 0) -> torch.Tensor:
        """Logits of the next token after each token of a text from index `start` on: [positions, vocabulary]."""

    @abstractmethod
    def _answers(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Outputs by index of the requests `asked` (indices into `requests`), which are all of one kind."""

    def _thinking_notes(self, requests: Sequence[Request]) -> list[str]:
        """What becomes of thinking in these requests, where that is not what one would expect."""
        facts: Any = self.info.extra.get("thinking")
        if not facts:
            return []
        closed = facts["closed_for_choices"] and any(isinstance(one, Choose) and not one.raw for one in requests)
        return [CLOSED] * closed + [NO_SWITCH.format(asked=facts["asked"])] * facts["no_effect"]

    def _row(self, request: Generate, encoded: Encoded) -> Row:
        context, thinking = self.info.context_tokens, self.prompts.thinking
        room = None if context is None else context - len(encoded.prompt)
        limit, thoughts = request.max_new_tokens, None
        if not request.raw and thinking.may_think:
            thoughts = ThoughtLimit(self._texts, thinking.settings.thought_tokens, encoded.opened)
        sampler = Sampler(request.temperature, sampling_seed(request)) if request.sampled else None
        return Row(
            encoded.prompt, limit if room is None else min(limit, room), self._stop(request), shared=encoded.shared,
            room=room, thoughts=thoughts, sampler=sampler,
        )  # fmt: skip

    def _stop(self, request: Generate) -> StopStrings:
        if request.raw:
            return RawStopStrings(self._tokenizer, request.stop)
        return StopStrings(self._tokenizer, request.stop, request.answered)

    def _generated(self, request: Generate, encoded: Encoded, row: Row) -> Output:
        if not row.finite:
            return Output(prompt_tokens=encoded.prompt_tokens, error=NOT_FINITE.format(id=request.id))
        spoken = row.tokens[:-1] if row.tokens and row.tokens[-1] in self._ends else row.tokens
        output = self._texts.read(spoken, encoded.opened)
        return replace(
            output,
            text=self._stop(request).cut(output.text or ""),
            prompt_tokens=encoded.prompt_tokens,
            new_tokens=len(row.tokens),
            hit_limit=output.hit_limit or not row.ended,
        )

    def _encode(self, requests: Sequence[Request]) -> list[Encoded]:
        """Token ids of requests. Those of the last windows are kept, because `plan` and then `run` need them."""
        known = {request: one for window in self._encoded for request, one in window.items()}
        fresh = [request for request in dict.fromkeys(requests) if request not in known]
        if fresh:
            encoded = self.prompts.encode(fresh)
            window = {request: self._marked(request, one) for request, one in zip(fresh, encoded, strict=True)}
            self._encoded = [*self._encoded, window][-REMEMBERED_WINDOWS:]
            known.update(window)
        return [known[request] for request in requests]

    def _marked(self, request: Request, encoded: Encoded) -> Encoded:
        """`encoded` with the length of the benchmark's common prefix, if this engine computes that prefix only once."""
        if not self._shares or not isinstance(request, Choose | Generate):
            return encoded
        return self._shared.mark(request, encoded)

    def _timing(self, outputs: Sequence[Output], tally: Tally) -> Timing:
        sound = [output for output in outputs if output.error is None]
        return Timing(
            seconds=self._now() - tally.began,
            items=len(outputs),
            prefill_s=tally.prefill_s,
            decode_s=tally.decode_s,
            prompt_tokens=sum(output.prompt_tokens or 0 for output in sound),
            new_tokens=sum(output.new_tokens or 0 for output in sound),
            time_to_first_token_s=tally.first_token_s,
        )

    def _now(self) -> float:
        """Seconds on a monotonic clock, read when all work given to the device is done."""
        return time.perf_counter()


def chosen_output(request: Choose, encoded: Encoded, parts: Sequence[ChoiceScores]) -> Output:
    """The output of one question from the scores of its trees (`Encoded.trees`)."""
    values = tuple(value for part in parts for value in part.logprobs)
    if any(value != value or value in (float("inf"), float("-inf")) for value in values):
        return Output(prompt_tokens=encoded.prompt_tokens, error=NOT_FINITE.format(id=request.id))
    greedy = tuple(best for part in parts for best in part.greedy)
    return Output(choice_logprobs=values, choice_greedy=greedy, prompt_tokens=encoded.prompt_tokens)
