"""An engine that costs nothing and keeps a log, to count what a run loads and asks.

It answers with the text that stands in the prompt behind ``say:``, fails a whole batch in which a prompt holds
``poison``, and reports ``unanswerable`` prompts as errors of their own. Used by conftests of inner test runs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from pytest_slmsec.core.items import Choose, Output
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing

BATCH = 8


class FreeEngine:
    capabilities = Capability.GENERATE | Capability.CHOICE | Capability.TIMINGS

    def __init__(self, spec):
        self.log = Path(os.environ["FREE_ENGINE_LOG"])
        self.note({"load": spec.name})
        self.info = EngineInfo(
            engine="free 1", kernel="none", device="cpu", dtype="fp32", load_s=0.25, model_bytes=7_000_000,
            context_tokens=4096, weights_sha256=os.environ.get("FREE_ENGINE_WEIGHTS", "w") + spec.name,
            tokenizer_sha256="t", template_sha256="c",
        )  # fmt: skip

    def note(self, what):
        with self.log.open("a") as file:
            file.write(json.dumps(what) + "\n")

    def plan(self, requests):
        return [list(range(start, min(start + BATCH, len(requests)))) for start in range(0, len(requests), BATCH)]

    def run(self, requests):
        self.note({"ask": [request.id for request in requests], "thread": threading.current_thread().name})
        if delay := os.environ.get("FREE_ENGINE_DELAY_S"):
            time.sleep(float(delay))
        prompts = [request.messages[-1].content for request in requests]
        if any("poison" in prompt for prompt in prompts):
            raise RuntimeError("this prompt breaks the kernel")
        outputs = tuple(self.answer(request, prompt) for request, prompt in zip(requests, prompts, strict=True))
        new_tokens = sum(output.new_tokens for output in outputs)
        timing = Timing(0.5, len(requests), 0.125, 0.25, 100 * len(requests), new_tokens, 0.125)
        return Batch(outputs, timing)

    def answer(self, request, prompt):
        if "unanswerable" in prompt:
            return Output(error=f"{request.id}: the prompt has 9999 tokens and the model's context holds 4096")
        if isinstance(request, Choose):
            return Output(choice_logprobs=tuple(-float(n) for n in range(len(request.choices))), prompt_tokens=100)
        return Output(text=prompt.partition("say:")[2], prompt_tokens=100, new_tokens=5)

    def close(self):
        self.note({"close": True})
