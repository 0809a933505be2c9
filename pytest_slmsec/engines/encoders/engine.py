"""The engine for encoder-only models, which rank the options of a question and generate no text."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

import torch

from pytest_slmsec.core.errors import PromptTooLong, UsageError
from pytest_slmsec.core.items import Choose, Output, Request
from pytest_slmsec.engines.causal_lm.causal import BATCH_TOKENS
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing, lacking
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.answering import NOT_FINITE
from pytest_slmsec.engines.encoders.masked import MaskedScorer
from pytest_slmsec.engines.encoders.network import Encoder
from pytest_slmsec.engines.encoders.texts import Text
from pytest_slmsec.engines.prompting.batching import Size, cut
from pytest_slmsec.engines.prompting.without_embedding import WithoutEmbedding


class Scorer(Protocol):
    """One way to score the options of a question.

    Attributes:
        name: name of the method, for the record; part of an answer's identity.
        compared: what the rows of `distributions` are, in words and in the plural.
    """

    name: str
    compared: str

    def read(self, question: str, options: Sequence[str]) -> list[Text]:
        """The texts that are fed for one question."""
        ...

    def written(self, text: Text) -> str:
        """A tokenised text as the tokenizer writes it, special tokens included."""
        ...

    def rows(self, texts: Sequence[Text]) -> int:
        """Number of rows of tokens that are fed for them."""
        ...

    def score(self, asked: Sequence[Sequence[Text]]) -> list[list[float]]:
        """One score for each option of each question; higher is better.

        Args:
            asked: for each question what `read` returned.
        """
        ...

    def distributions(self, lines: Sequence[str], context: int | None, limit: int) -> torch.Tensor:
        """Log-probabilities of the model in plain text, [positions, outcomes], fp32, on the CPU. They serve to compare
        a quantised model with its base.

        Args:
            context: most tokens of each line that are fed; None for all. limit: most positions.
        """
        ...


class EncoderEngine:
    """Ranks the options of requests with a loaded encoder; see `engines.common.base.Engine`.

    It feeds the question and the text of each option (`Choose.question`, `Choose.options`), and neither the prompt with
    its instructions and letters nor the system turn, because an encoder follows no instructions. Each option is scored
    without the others in view.

    The prompt tokens of an output are those of all its texts, each counted once, even if a text is fed several times
    with different tokens masked.

    Args:
        encoder: feeds rows of tokens. scorer: how options are scored. info: facts for the record.
        settings: how the user wants it to run. without_embedding: refuses texts with tokens that are not embedded.
    """

    capabilities = Capability.OPTIONS | Capability.PROMPT_TOKENS | Capability.TIMINGS

    def __init__(
        self,
        encoder: Encoder,
        scorer: Scorer,
        info: EngineInfo,
        settings: EngineSettings,
        without_embedding: WithoutEmbedding,
    ) -> None:
        self.encoder, self.scorer, self.info = encoder, scorer, info
        self._budget_tokens = batch_tokens(settings, encoder.device)
        self._max_batch = settings.max_batch
        self._without_embedding = without_embedding

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Cut a window into batches of similar length under the token budget."""
        return cut([self._size(request) for request in requests], self._budget_tokens, self._max_batch)

    def run(self, requests: Sequence[Request]) -> Batch:
        """Rank the options of one batch. A request whose texts exceed the context gets an output with an error."""
        began = time.perf_counter()
        texts = [self._read(request) for request in requests]
        refusals = [self._refusal(request, some) for request, some in zip(requests, texts, strict=True)]
        asked = [index for index, why in enumerate(refusals) if why is None]
        scores = self.scorer.score([texts[index] for index in asked]) if asked else []
        found = {index: _output(requests[index], texts[index], one) for index, one in zip(asked, scores, strict=True)}
        for index, why in enumerate(refusals):
            if why is not None:
                found[index] = Output(prompt_tokens=_tokens(texts[index]), error=why)
        outputs = tuple(found[index] for index in range(len(requests)))
        if self.encoder.device.type == "cuda":
            torch.cuda.synchronize(self.encoder.device)
        seconds = time.perf_counter() - began
        read = sum(output.prompt_tokens or 0 for output in outputs if output.error is None)
        notes = tuple(self._without_embedding.notes())
        return Batch(outputs, Timing(seconds, len(outputs), prefill_s=seconds, prompt_tokens=read, new_tokens=0), notes)

    def rendered(self, request: Request) -> list[str]:
        """The texts that are fed; see `engines.common.base.Rendering`."""
        if isinstance(request, Choose):
            return [self.scorer.written(text) for text in self._read(request)]
        return [message.content for message in request.messages]

    def fill(self, text: str, mark: str, most: int) -> Batch:
        """The likeliest tokens at the only `mark`; see `engines.common.base.Filling`."""
        if not isinstance(self.scorer, MaskedScorer):
            raise UsageError(f"This encoder was not trained to fill a gap ({self.scorer.name}): give --choices.")
        began = time.perf_counter()
        gap = self.scorer.gap(text, mark)
        context = self.info.context_tokens
        if context is not None and len(gap.ids) > context:
            error = str(PromptTooLong("the prompt", len(gap.ids), context))
            return Batch((Output(prompt_tokens=len(gap.ids), error=error),), Timing(None, 1))
        said = "\n".join(f"{share:7.2%}  {token}" for token, share in self.scorer.likeliest(gap, most))
        seconds = time.perf_counter() - began
        output = Output(text=said, prompt_tokens=len(gap.ids))
        return Batch((output,), Timing(seconds, 1, prefill_s=seconds, prompt_tokens=len(gap.ids), new_tokens=0))

    def close(self) -> None:
        """Free the model's memory."""
        del self.encoder, self.scorer
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _read(self, request: Request) -> list[Text]:
        if not isinstance(request, Choose):
            return []
        options = _with_text(request)
        return self.scorer.read(request.question, [request.options[place] for place in options]) if options else []

    def _size(self, request: Request) -> Size:
        texts = self._read(request)
        return Size("options", self.scorer.rows(texts), max((len(text.ids) for text in texts), default=0))

    def _refusal(self, request: Request, texts: Sequence[Text]) -> str | None:
        why = lacking(self.capabilities, request)
        if why is not None:
            return f"{request.id} cannot be asked: {why}."
        if not texts:
            return f"{request.id}: none of its options has a text that could be scored."
        why = self._without_embedding.why(request.id, [text.ids for text in texts])
        if why is not None:
            return why
        longest, context = max(len(text.ids) for text in texts), self.info.context_tokens
        if context is not None and longest > context:
            return (
                f"{request.id}: its longest text (the question, with its option where both are read together) has "
                f"{longest} tokens and the model's context holds {context}; nothing was cut. Use a model with a longer "
                "context, or deselect the item."
            )
        return None


def batch_tokens(settings: EngineSettings, device: torch.device) -> int:
    """Most tokens (rows times padded length) of one forward pass."""
    return settings.batch_tokens or BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])


def _with_text(request: Choose) -> list[int]:
    """Indices of the options that have a text; published data sets contain a few empty options."""
    return [place for place, option in enumerate(request.options) if option.strip()]


def _tokens(texts: Sequence[Text]) -> int:
    return sum(len(text.ids) for text in texts)


def _output(request: Request, texts: Sequence[Text], scores: Sequence[float]) -> Output:
    assert isinstance(request, Choose)
    if not all(map(math.isfinite, scores)):
        return Output(prompt_tokens=_tokens(texts), error=NOT_FINITE.format(id=request.id))
    found = dict(zip(_with_text(request), scores, strict=True))
    return Output(
        choice_scores=tuple(found.get(place) for place in range(len(request.options))), prompt_tokens=_tokens(texts)
    )
