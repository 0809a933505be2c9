"""Both harnesses, each over a model of its own with the same weights, and what a measurement of one of them is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from asked import Question, choose_requests, generate_requests

from pytest_slmsec.engines.causal_lm.causal import CausalEngine
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.packed.layout import needed_tokens, segment


@dataclass(frozen=True)
class Measured:
    """One run over all requests: seconds of CPU and of wall time, tokens fed to the model, and what came out."""

    cpu_s: float
    wall_s: float
    fed: int
    results: list[Any]


class Fed:
    """Counts the tokens that models are fed, whoever feeds them."""

    def __init__(self, *models: Any) -> None:
        self.tokens = 0
        for model in models:
            model.get_decoder().register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        ids = options.get("input_ids", args[0] if args else None)
        self.tokens += 0 if ids is None else ids.numel()


def measure(work: Callable[[], list[Any]], fed: Fed) -> Measured:
    """Run `work` once."""
    before = fed.tokens
    _wait()
    wall, cpu = time.perf_counter(), time.process_time()
    results = work()
    _wait()
    return Measured(time.process_time() - cpu, time.perf_counter() - wall, fed.tokens - before, results)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def engine_over(model: Any, tokenizer: Any) -> CausalEngine:
    """Our engine over a model in memory."""
    device = str(next(model.parameters()).device)
    info = EngineInfo("speed", "torch.nn.Linear", device, str(model.dtype), 0.0, None, 4096, "", "", "")
    return CausalEngine(model, tokenizer, info, EngineSettings(device=device, max_batch=10**6))


class Ours:
    """Our engine over the model, whose linear layers it lays out anew."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.engine = engine_over(model, tokenizer)
        self.path = self.engine.info.extra["path"]

    def needed(self, asked: Sequence[Question]) -> int:
        """Tokens that must be fed at least once to score the choices."""
        encoded = self.engine._encode(choose_requests(asked))
        return needed_tokens([segment(tree) for one in encoded for tree in one.trees()])

    def choose(self, asked: Sequence[Question]) -> list[tuple[float, ...] | None]:
        """Log-probabilities of the choices of each question."""
        requests = choose_requests(asked)
        return [output.choice_logprobs for output in self._answer(requests)]

    def generate(self, asked: Sequence[Question], limit: int, answered: str = "") -> list[str | None]:
        """Greedy answers, each up to its first match of `answered`, where that is given."""
        return [output.text for output in self._answer(generate_requests(asked, limit, answered))]

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        self.engine._encoded.clear()
        if self.engine.packed is not None:
            self.engine.packed.model._prefixes.clear()  # a prefix belongs to the work that is measured
        found: dict[int, Any] = {}
        for batch in self.engine.plan(requests):
            outputs = self.engine.run([requests[index] for index in batch]).outputs
            found.update(zip(batch, outputs, strict=True))
        return [found[index] for index in range(len(requests))]


class LmEval:
    """lm-evaluation-harness's own model class over the same model."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        from lm_eval.models.huggingface import HFLM

        self._lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=4096)

    def choose(self, asked: Sequence[Question]) -> list[tuple[float, ...]]:
        """Log-probabilities of the choices of each question."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("loglikelihood", {}, (one.context, choice), n)
            for one in asked
            for n, choice in enumerate(one.choices)
        ]
        values = iter([logprob for logprob, _ in self._lm.loglikelihood(requests, disable_tqdm=True)])
        return [tuple(next(values) for _ in one.choices) for one in asked]

    def generate(self, asked: Sequence[Question], limit: int) -> list[str]:
        """Greedy answers."""
        from lm_eval.api.instance import Instance

        options = {"until": [], "max_gen_toks": limit, "do_sample": False}
        requests = [Instance("generate_until", {}, (one.context, dict(options)), n) for n, one in enumerate(asked)]
        found: list[str] = self._lm.generate_until(requests, disable_tqdm=True)
        return found
