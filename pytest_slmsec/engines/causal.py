"""The engine over any causal language model in memory: transformers' own, or one with quantised layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.engines.base import Batch, Capability, EngineInfo, Timing
from pytest_slmsec.engines.batching import cut, size
from pytest_slmsec.engines.begin_of_text import begin_of_text
from pytest_slmsec.engines.choosing import Chosen, choose
from pytest_slmsec.engines.decoding import RawStopStrings, Row, StopStrings, generate
from pytest_slmsec.engines.encoded import Encoded
from pytest_slmsec.engines.network import Network
from pytest_slmsec.engines.packed.fragile import FragileItems
from pytest_slmsec.engines.packed.generator import Spent
from pytest_slmsec.engines.packed.path import PackedPath, packed_path
from pytest_slmsec.engines.prompts import Prompts, refusal
from pytest_slmsec.engines.settings import EngineSettings
from pytest_slmsec.engines.sharing import SharedPrefixes

BATCH_TOKENS = {"cpu": 8192, "cuda": 65536}
OOM_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")
NOT_FINITE = "{id}: the model gave logits that are not finite (NaN or infinity): its weights are damaged or overflow."
REMEMBERED_WINDOWS = 2
RESCORED = "items that hang on numeric noise were scored again in fp32"


@dataclass
class Tally:
    """What one batch took, summed over the parts it ran in."""

    began: float
    prefill_s: float = 0.0
    decode_s: float | None = None
    first_token_s: float | None = None
    notes: list[str] = field(default_factory=list)


class CausalEngine:
    """Answers requests with a loaded model; see `engines.base.Engine`.

    Args:
        model: a transformers causal language model in eval mode, on its device.
        tokenizer: its tokenizer. info: facts for the record. settings: the user's.
    """

    capabilities = Capability.CHOICE | Capability.GENERATE | Capability.PROMPT_TOKENS | Capability.TIMINGS

    def __init__(self, model: Any, tokenizer: Any, info: EngineInfo, settings: EngineSettings) -> None:
        self.network = Network(model)
        self.prompts = Prompts(tokenizer)
        self._tokenizer = tokenizer
        self._ends = end_ids(model, tokenizer)
        default = BATCH_TOKENS.get(self.network.device.type, BATCH_TOKENS["cpu"])
        self._budget_tokens = settings.batch_tokens or default
        self._max_batch = settings.max_batch
        self._shared = SharedPrefixes(self.prompts)
        found = packed_path(model, self._budget_tokens) if settings.packing else "switched off"
        self._packed = None if isinstance(found, str) else found
        rescoring = fragile_items(model, found) if settings.rescore_fragile else None
        self._fragile = rescoring if isinstance(rescoring, FragileItems) else None
        facts = {"begin_of_text": begin_of_text(self.prompts), **_path_facts(found, rescoring)}
        self.info = replace(info, extra={**info.extra, **facts})
        self._encoded: list[dict[Request, Encoded]] = []

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Cut a window into batches of similar length under the token budget, generation and choice apart."""
        encoded = self._encode(requests)
        packed = [at for at, (request, one) in enumerate(zip(requests, encoded, strict=True))
                  if isinstance(request, Choose) and self._packs(one)]  # fmt: skip
        rest = sorted(set(range(len(requests))) - set(packed))
        batches = cut([size(requests[at], encoded[at]) for at in rest], self._budget_tokens, self._max_batch)
        tiles = self._packed.plan([encoded[at] for at in packed]) if self._packed is not None else []
        return [[packed[at] for at in tile] for tile in tiles] + [[rest[at] for at in batch] for batch in batches]

    def run(self, requests: Sequence[Request]) -> Batch:
        """Answer one batch. When memory runs out it is halved and goes on; a note says so.

        Raises:
            EngineError: a single request does not fit into memory.
        """
        tally = Tally(self._now())
        encoded = self._encode(requests)
        context = self.info.context_tokens
        outputs: dict[int, Output] = {}
        for index, (request, one) in enumerate(zip(requests, encoded, strict=True)):
            if why := refusal(request, one, context):
                outputs[index] = Output(prompt_tokens=one.prompt_tokens, error=why)
        for kind in (Choose, Generate):
            asked = [i for i, request in enumerate(requests) if i not in outputs and isinstance(request, kind)]
            outputs.update(self._halving(asked, requests, encoded, tally))
        ordered = tuple(outputs[index] for index in range(len(requests)))
        return Batch(ordered, self._timing(ordered, tally), tuple(tally.notes))

    def close(self) -> None:
        """Free the model's memory."""
        del self.network, self._tokenizer, self.prompts, self._packed, self._shared, self._fragile
        self._encoded.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _halving(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        if not asked:
            return {}
        try:
            return self._answer(asked, requests, encoded, tally)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(asked) == 1:
                raise EngineError(
                    f"{requests[asked[0]].id}: {encoded[asked[0]].prompt_tokens} prompt tokens do not fit into the "
                    "memory of this machine even alone: use a larger machine or a smaller model."
                ) from error
        # Only here, after the handler, are the tensors of the failed attempt free.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(asked) // 2
        tally.notes.append(f"out of memory: batch of {len(asked)} halved to {len(asked) - half}")
        return self._halving(asked[:half], requests, encoded, tally) | self._halving(
            asked[half:], requests, encoded, tally
        )

    @torch.inference_mode()
    def _answer(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        chosen = [(requests[index], encoded[index]) for index in asked]
        outputs = self._choose(chosen, tally) if isinstance(chosen[0][0], Choose) else self._generate(chosen, tally)
        return dict(zip(asked, outputs, strict=True))

    def _packs(self, encoded: Encoded, new_tokens: int = 0) -> bool:
        return self._packed is not None and self._packed.takes(encoded, new_tokens)

    def _choose(self, chosen: Sequence[tuple[Any, Encoded]], tally: Tally) -> list[Output]:
        began = self._now()

        def prompts_done() -> None:
            tally.prefill_s += self._now() - began

        trees = [one.trees() for _, one in chosen]
        flat = [tree for some in trees for tree in some]
        if self._packed is not None and all(map(self._packs, flat)):
            scored = self._packed.choose(flat)
            found = iter(self._fragile_again(flat, scored, tally))
            prompts_done()
        else:
            found = iter(choose(self.network, flat, prompts_done))
        return [
            _chosen(request, one, [next(found) for _ in some])
            for (request, one), some in zip(chosen, trees, strict=True)
        ]

    def _fragile_again(self, asked: Sequence[Encoded], found: list[Chosen], tally: Tally) -> list[Chosen]:
        """What hangs on numeric noise is scored again in fp32, where that is wanted."""
        if self._fragile is None:
            return found
        results, count = self._fragile.again(asked, found)
        if count:
            tally.notes.append(RESCORED)
        return results

    def _generate(self, chosen: Sequence[tuple[Any, Encoded]], tally: Tally) -> list[Output]:
        rows = [self._row(request, one) for request, one in chosen]
        if self._packed is not None and all(
            self._packs(one, row.limit) for (_, one), row in zip(chosen, rows, strict=True)
        ):
            self._note(self._packed.generate(rows, self._ends), tally)
        else:
            self._generate_padded(rows, tally)
        return [self._generated(request, one, row) for (request, one), row in zip(chosen, rows, strict=True)]

    def _note(self, spent: Spent, tally: Tally) -> None:
        tally.prefill_s += spent.prefill_s
        tally.decode_s = (tally.decode_s or 0.0) + spent.decode_s
        if tally.first_token_s is None:
            tally.first_token_s = spent.first_token_s

    def _generate_padded(self, rows: Sequence[Row], tally: Tally) -> None:
        began = self._now()
        first = began

        def first_token() -> None:
            nonlocal first
            first = self._now()
            if tally.first_token_s is None:
                tally.first_token_s = first - tally.began

        generate(self.network, rows, self._ends, first_token)
        tally.prefill_s += first - began
        tally.decode_s = (tally.decode_s or 0.0) + self._now() - first

    def _row(self, request: Generate, encoded: Encoded) -> Row:
        context = self.info.context_tokens
        room = request.max_new_tokens if context is None else context - len(encoded.prompt)
        return Row(encoded.prompt, min(request.max_new_tokens, room), self._stop(request), shared=encoded.shared)

    def _stop(self, request: Generate) -> StopStrings:
        if request.raw:
            return RawStopStrings(self._tokenizer, request.stop)
        return StopStrings(self._tokenizer, request.stop, request.answered)

    def _generated(self, request: Generate, encoded: Encoded, row: Row) -> Output:
        if not row.finite:
            return Output(prompt_tokens=encoded.prompt_tokens, error=NOT_FINITE.format(id=request.id))
        spoken = row.tokens[:-1] if row.tokens and row.tokens[-1] in self._ends else row.tokens
        text = self._tokenizer.decode(spoken, skip_special_tokens=True)
        return Output(
            text=self._stop(request).cut(text),
            prompt_tokens=encoded.prompt_tokens,
            new_tokens=len(row.tokens),
            hit_limit=not row.ended,
        )

    def _encode(self, requests: Sequence[Request]) -> list[Encoded]:
        """Token ids of requests; those of the last windows are remembered: batches come out of a planned window."""
        known = {request: one for window in self._encoded for request, one in window.items()}
        fresh = [request for request in dict.fromkeys(requests) if request not in known]
        if fresh:
            encoded = self.prompts.encode(fresh)
            window = {request: self._marked(request, one) for request, one in zip(fresh, encoded, strict=True)}
            self._encoded = [*self._encoded, window][-REMEMBERED_WINDOWS:]
            known.update(window)
        return [known[request] for request in requests]

    def _marked(self, request: Request, encoded: Encoded) -> Encoded:
        if self._packed is None or not isinstance(request, Choose | Generate):
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
        """The clock, read when the device has done all it was given."""
        if self.network.device.type == "cuda":
            torch.cuda.synchronize(self.network.device)
        return time.perf_counter()


def fragile_items(model: Any, found: PackedPath | str) -> FragileItems | str:
    """What scores fragile choices again, or why they are only counted."""
    if isinstance(found, str):
        return "only counted: their noise is measured on the packed path"
    refusal = FragileItems.refusal(model)
    return FragileItems(model, found.deviation_nats) if refusal is None else f"only counted: {refusal}"


def _path_facts(found: PackedPath | str, rescoring: FragileItems | str | None) -> dict[str, object]:
    """For the record: which path scores and generates, why not the fast one, and how exact that is."""
    fragile = {} if rescoring is None else {"fragile": rescoring if isinstance(rescoring, str) else "rescored in fp32"}
    if isinstance(found, str):
        return {"path": "padded", "not_packed": found, **fragile}
    return {"path": "packed", "deviation_nats": found.deviation_nats, "tile_tokens": found.model.tile, **fragile}


def _chosen(request: Choose, encoded: Encoded, parts: Sequence[Chosen]) -> Output:
    """The output of a question from what was found in each of its trees."""
    values = tuple(value for part in parts for value in part.logprobs)
    if any(value != value or value in (float("inf"), float("-inf")) for value in values):
        return Output(prompt_tokens=encoded.prompt_tokens, error=NOT_FINITE.format(id=request.id))
    greedy = tuple(best for part in parts for best in part.greedy)
    return Output(choice_logprobs=values, choice_greedy=greedy, prompt_tokens=encoded.prompt_tokens)


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that the generation configuration, the configuration or the tokenizer names as the end of a text."""
    text = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    ids: set[int] = set()
    for place in (model.generation_config, model.config, text, tokenizer):
        named = getattr(place, "eos_token_id", None)
        ids.update(named if isinstance(named, list | tuple) else [] if named is None else [named])
    return frozenset(ids)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in OOM_PHRASES)
