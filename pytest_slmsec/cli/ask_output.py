"""What `slmsec ask` prints: the answer escaped for a terminal, and a line of figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.items import Choose, Generate, Output
from pytest_slmsec.core.wrap import columns, counted, shown, wrapped
from pytest_slmsec.engines.common.base import Engine, Rendering

if TYPE_CHECKING:
    from pytest_slmsec.execution.batch_runner import MeasuredOutput

MIB = 2**20
NO_ANSWER = "(no text)"


def text_lines(text: str) -> list[str]:
    """A text of a model for a terminal: its lines stay lines, and all that cannot be printed is escaped."""
    return [shown(line) for line in text.split("\n")]


def prompt_lines(engine: Engine, request: Generate | Choose) -> list[str]:
    """The prompt as it was sent, special tokens included; of a server, the messages that it renders itself."""
    if isinstance(engine, Rendering):
        texts = engine.rendered(request)
        return [line for text in texts for line in ("prompt as sent:", *text_lines(text), "")]
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return ["messages as sent; the server renders them:", shown(json.dumps(messages, ensure_ascii=False)), ""]


def answer_lines(measured: MeasuredOutput, request: Generate | Choose) -> list[str]:
    """The thought where there is one, the answer or the ranked choices, a blank line, and the figures."""
    output = measured.output
    thought = [] if output.thought is None else ["thought:", *text_lines(output.thought), "", "answer:"]
    if isinstance(request, Choose):
        body = choice_lines(request, output)
    else:
        body = text_lines(output.text) if output.text else [NO_ANSWER]
    batch = measured.batch
    timing, meters = ({}, {}) if batch is None else (batch.timing, batch.meters)
    facts = ", ".join(figures(output, timing, meters))
    return [*thought, *body, "", *wrapped(facts, columns(), "")]


def choice_lines(request: Choose, output: Output) -> list[str]:
    """Each choice, best first, with its log-probability and share among them, or with an encoder's score."""
    scores = output.choice_logprobs or output.choice_scores or ()
    shares = _shares(output.choice_logprobs) if output.choice_logprobs else {}
    lines = [f"{'log-prob.':>12}{'share':>9}  choice" if shares else f"{'score':>12}  choice"]
    for option, score in sorted(zip(request.options, scores, strict=True), key=_worst_last):
        value = "not reported" if score is None else f"{score:12.4f}"
        share = f"{100 * shares[score]:7.1f} %" if score in shares else ""
        lines.append(f"{value}{share}  {shown(option)}")
    return lines


def _worst_last(pair: tuple[str, float | None]) -> float:
    return math.inf if pair[1] is None else -pair[1]


def _shares(logprobs: Sequence[float]) -> dict[float, float]:
    """The share of each log-probability (nats) among all of them."""
    highest = max(logprobs)
    weights = {value: math.exp(value - highest) for value in logprobs}
    total = math.fsum(weights[value] for value in logprobs)
    return {value: weight / total for value, weight in weights.items()}


def figures(output: Output, timing: Mapping[str, Any], meters: Mapping[str, Any]) -> list[str]:
    """Tokens, speed and memory, each named; what was not measured is left out or said."""
    found = [f"prompt {counted(output.prompt_tokens or 0, 'token')}"]
    if output.new_tokens:
        limit = " (cut at the limit)" if output.hit_limit else ""
        thought = f", {output.thought_tokens:,} of them thought" if output.thought_tokens else ""
        found.append(f"answer {counted(output.new_tokens, 'token')}{thought}{limit}")
    for name, tokens, seconds in (
        ("prefill", timing.get("prompt_tokens"), timing.get("prefill_s")),
        ("decode", (timing.get("new_tokens") or 0) - 1, timing.get("decode_s")),
    ):
        if tokens and tokens > 0 and seconds:
            found.append(f"{name} {tokens / seconds:,.1f} tok/s")
    if timing.get("time_to_first_token_s") is not None:
        found.append(f"first token after {timing['time_to_first_token_s']:.3g} s")
    if timing.get("seconds") is not None:
        found.append(f"{timing['seconds']:.3g} s in all")
    return [*found, _memory(meters)]


def _memory(meters: Mapping[str, Any]) -> str:
    for key, what in (("peak_gpu_bytes", "of the GPU"), ("peak_rss_bytes", "resident")):
        if meters.get(key):
            return f"peak memory {meters[key] / MIB:,.0f} MiB {what}"
    why = (meters.get("reasons") or {}).get("peak_rss_bytes", "not read")
    return f"peak memory unknown: {why}"
