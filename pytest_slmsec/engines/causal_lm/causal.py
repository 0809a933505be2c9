"""The engine for causal language models in memory, as transformers made them or with quantised layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.engines.causal_lm.routes import Routes
from pytest_slmsec.engines.common.base import GUESSED, EngineInfo
from pytest_slmsec.engines.common.cache_size import cache_bytes
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.answering import Answering, Tally, chosen_output
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.greedy import GenerationTiming
from pytest_slmsec.engines.decoding.network import Network, embedded_tokens, text_config
from pytest_slmsec.engines.decoding.paths import AlonePath
from pytest_slmsec.engines.packed.fragile import FragileItems
from pytest_slmsec.engines.packed.path import PackedPath, packed_path
from pytest_slmsec.engines.prompting.batching import answer_tokens, cut, size
from pytest_slmsec.engines.prompting.encoded import Encoded

BATCH_TOKENS = {"cpu": 8192, "cuda": 65536}
CACHE_BYTES = 512 << 20
"""Keys and values of the running answers may take so much even where `BATCH_TOKENS` allows less."""
OOM_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")
UNRECORDED = "answers were written without CUDA graphs, more slowly"
RESCORED = "items that hang on numeric noise were scored again in fp32"
ALONE = "texts were fed one at a time, more slowly"


class CausalEngine(Answering):
    """Answers requests with a loaded model; see `engines.common.base.Engine`.

    Requests are answered in packed batches where the model allows it (`engines.packed`), else in padded ones or one at
    a time (`routes`). If memory runs out, the batch is halved and run again, and a note says so.

    Args:
        model: a causal language model of transformers in eval mode, on its device.
        tokenizer: of the model. info: facts for the record. settings: how the user wants it to run.

    Raises:
        ModelError: the model computes no logits of a plain text, or they depend on later tokens.
    """

    def __init__(self, model: Any, tokenizer: Any, info: EngineInfo, settings: EngineSettings) -> None:
        embedded = embedded_tokens(model)
        super().__init__(tokenizer, end_ids(model, tokenizer), info, settings.thinking, embedded)
        self.network = Network(model)
        default = BATCH_TOKENS.get(self.network.device.type, BATCH_TOKENS["cpu"])
        self._budget_tokens = settings.batch_tokens or default
        self._max_batch = settings.max_batch
        running = settings.batch_tokens or max(default, fitting_tokens(model))
        found = packed_path(model, self._budget_tokens, running) if settings.packing else "switched off"
        if isinstance(found, PackedPath) and not settings.guesses:
            found.drafted = 0
        self._routes = Routes(self.network, str(getattr(tokenizer, "name_or_path", "") or "the model"), found)
        self._shares = self._routes.packed is not None
        rescoring = fragile_items(model, found) if settings.rescore_fragile else None
        self._fragile = rescoring if isinstance(rescoring, FragileItems) else None
        self.info = replace(self.info, extra={**self.info.extra, **_path_facts(found, self._routes, rescoring)})

    @property
    def packed(self) -> PackedPath | None:
        """The packed path, or None where the model has none."""
        return self._routes.packed

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Cut a window into batches of similar length under the token budget, generation and choice apart."""
        encoded = self._encode(requests)
        path, places = self._routes.packed, range(len(requests))
        chosen = [at for at in places if isinstance(requests[at], Choose) and self._routes.packs(encoded[at])]
        sizes = {at: self._answer_size(requests[at], encoded[at]) for at in places}
        answered = [at for at, tokens in sizes.items() if tokens is not None]
        rest = sorted({*places} - {*chosen, *answered})
        planned: list[list[int]] = []
        if path is not None:
            own = [tokens for tokens in sizes.values() if tokens is not None]
            planned += [[chosen[at] for at in tile] for tile in path.plan([encoded[at] for at in chosen])]
            planned += [[answered[at] for at in batch] for batch in path.plan_answers(own, self._max_batch)]
        batches = cut([size(requests[at], encoded[at]) for at in rest], self._budget_tokens, self._max_batch)
        return planned + [[rest[at] for at in batch] for batch in batches]

    def _answer_size(self, request: Request, encoded: Encoded) -> int | None:
        """Tokens of a packed answer, its prompt behind the shared prefix and those reserved; None: not packed."""
        if not isinstance(request, Generate) or encoded.error is not None:
            return None
        if not self._routes.packs(encoded, self._row(request, encoded).longest):
            return None
        return answer_tokens(len(encoded.prompt) - encoded.shared, request.max_new_tokens)

    def logits(self, tokens: Sequence[int], start: int = 0) -> torch.Tensor:
        """Logits of the next token after each token of a text from index `start` on: [positions, vocabulary]."""
        return self.network.logits(tokens)[start:]

    def close(self) -> None:
        """Free the model's memory."""
        del self.network, self._tokenizer, self.prompts, self._routes, self._shared, self._fragile
        self._encoded.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answers(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Outputs by index. If memory runs out, the requests are answered in two halves.

        Raises:
            EngineError: a single request does not fit into memory.
        """
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
        # The tensors of the failed attempt are free only here, after the exception handler.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(asked) // 2
        tally.notes.append(f"out of memory: batch of {len(asked)} halved to {len(asked) - half}")
        return self._answers(asked[:half], requests, encoded, tally) | self._answers(
            asked[half:], requests, encoded, tally
        )

    @torch.inference_mode()
    def _answer(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        chosen = [(requests[index], encoded[index]) for index in asked]
        outputs = self._choose(chosen, tally) if isinstance(chosen[0][0], Choose) else self._generate(chosen, tally)
        return dict(zip(asked, outputs, strict=True))

    def _choose(self, chosen: Sequence[tuple[Any, Encoded]], tally: Tally) -> list[Output]:
        began = done = self._now()

        def prompts_done() -> None:
            nonlocal done
            done = self._now()

        trees = [one.trees() for _, one in chosen]
        flat = [tree for some in trees for tree in some]
        packed = [at for at, tree in enumerate(flat) if self._routes.packs(tree)]
        rest = sorted(set(range(len(flat))) - set(packed))
        found: dict[int, ChoiceScores] = {}
        if packed and self._routes.packed is not None:
            asked = [flat[at] for at in packed]
            scored = self._rescore_fragile(asked, self._routes.packed.choose(asked), tally)
            found.update(zip(packed, scored, strict=True))
            prompts_done()
        if rest:
            found.update(zip(rest, self._routes.choose([flat[at] for at in rest], prompts_done), strict=True))
            self._note_alone(tally)
        tally.prefill_s += done - began
        scores = iter([found[at] for at in range(len(flat))])
        return [
            chosen_output(request, one, [next(scores) for _ in some])
            for (request, one), some in zip(chosen, trees, strict=True)
        ]

    def _rescore_fragile(self, asked: Sequence[Encoded], found: list[ChoiceScores], tally: Tally) -> list[ChoiceScores]:
        """`found`, with fragile questions scored again in fp32 if the user asked for that."""
        if self._fragile is None:
            return found
        results, count = self._fragile.rescore(asked, found)
        if count:
            tally.notes.append(RESCORED)
        return results

    def _generate(self, chosen: Sequence[tuple[Any, Encoded]], tally: Tally) -> list[Output]:
        rows = [self._row(request, one) for request, one in chosen]
        fits = [self._routes.packs(one, row.longest) for (_, one), row in zip(chosen, rows, strict=True)]
        packed = [row for row, fit in zip(rows, fits, strict=True) if fit]
        rest = [row for row, fit in zip(rows, fits, strict=True) if not fit]
        if packed and self._routes.packed is not None:
            began = self._now()
            self._add_timing(self._routes.packed.generate(packed, self._ends), began, tally)
        if rest:
            began = self._now()
            self._add_timing(self._routes.generate(rest, self._ends), began, tally)
            self._note_alone(tally)
        return [self._generated(request, one, row) for (request, one), row in zip(chosen, rows, strict=True)]

    def _add_timing(self, timing: GenerationTiming, began: float, tally: Tally) -> None:
        tally.prefill_s += timing.prefill_s
        tally.decode_s = (tally.decode_s or 0.0) + timing.decode_s
        if tally.first_token_s is None and timing.first_token_s is not None:
            tally.first_token_s = began - tally.began + timing.first_token_s
        if timing.unrecorded is not None:
            tally.notes.append(f"{UNRECORDED} ({timing.unrecorded})")

    def _note_alone(self, tally: Tally) -> None:
        found = self._routes.unpacked
        if isinstance(found.path, AlonePath):
            tally.notes.append(f"{ALONE} ({found.refused['padded']})")

    def _now(self) -> float:
        """Seconds on a monotonic clock, read when all work given to the device is done."""
        return self.network.now()


def fitting_tokens(model: Any) -> int:
    """How many tokens have keys and values of `CACHE_BYTES` together; 0 where the configuration does not say."""
    one = cache_bytes(text_config(model).to_dict(), 1, model.dtype.itemsize)
    return CACHE_BYTES // one if one else 0


def fragile_items(model: Any, found: PackedPath | str) -> FragileItems | str:
    """The object that scores fragile choices again, or the reason why they are only counted."""
    if isinstance(found, str):
        return "only counted: their noise is measured on the packed path"
    refusal = FragileItems.refusal(model)
    return FragileItems(model, found.deviation_nats) if refusal is None else f"only counted: {refusal}"


def _path_facts(found: PackedPath | str, routes: Routes, rescoring: FragileItems | str | None) -> dict[str, object]:
    """For the record: the path that scores and generates, why it is not a faster one, and its deviation."""
    fragile: dict[str, object] = {}
    if rescoring is not None:
        fragile["fragile"] = rescoring if isinstance(rescoring, str) else "rescored in fp32"
    if isinstance(found, str):
        unpacked = routes.unpacked
        slower = {f"not_{name}": why for name, why in unpacked.refused.items()}
        return {"path": unpacked.path.name, "not_packed": found, **slower, **fragile}
    facts = {"deviation_nats": found.deviation_nats, "tile_tokens": found.model.tile, "linears": found.linears}
    if found.drafted:
        facts[GUESSED] = found.drafted
    return {"path": "packed", **facts, **fragile}


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """All token ids that end a text: those of the generation configuration, the configuration and the tokenizer."""
    ids: set[int] = set()
    for place in (model.generation_config, model.config, text_config(model), tokenizer):
        named = getattr(place, "eos_token_id", None)
        if isinstance(named, list | tuple):
            ids.update(named)
        elif named is not None:
            ids.add(named)
    return frozenset(ids)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception means that memory ran out, on a CPU or a GPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in OOM_PHRASES)
