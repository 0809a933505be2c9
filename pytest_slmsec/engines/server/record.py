"""What the record says about a server and its batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.server.dialect import Dialect, GenerationTiming
from pytest_slmsec.engines.server.facts import ServerFacts

OF_THE_SERVER = "server"
"""The hash of the tokenizer and the chat template in records, since only the server knows them."""
UNFINISHED = "the run was interrupted before the server had answered"
Answered = tuple[Output, GenerationTiming | None]
"""An answer, and the times that the server told for it."""


def batch_of(requests: Sequence[Request], found: Sequence[Answered | None], seconds: float) -> Batch:
    """The answers of a batch in the order of its requests, those that are missing as errors, and its timing."""
    rows = [pair or (Output(error=f"{request.id}: {UNFINISHED}."), None)
            for pair, request in zip(found, requests, strict=True)]  # fmt: skip
    sound = [(output, spent) for output, spent in rows if output.error is None]
    outputs, spents = [output for output, _ in sound], [spent for _, spent in sound]
    firsts = [output.first_token_s for output in outputs if output.first_token_s is not None]
    timed = [spent for spent in spents if spent is not None]
    whole = bool(timed) and len(timed) == len(spents)
    timing = Timing(
        seconds=seconds,
        items=len(requests),
        prefill_s=sum(spent.prefill_s for spent in timed) if whole else None,
        decode_s=sum(spent.decode_s for spent in timed) if whole else None,
        prompt_tokens=sum(spent.prompt_tokens for spent in timed)
        if whole
        else _total(o.prompt_tokens for o in outputs),
        time_to_first_token_s=median(firsts) if firsts else None,
        new_tokens=sum(spent.new_tokens for spent in timed) if whole else _total(o.new_tokens for o in outputs),
    )
    return Batch(tuple(output for output, _ in rows), timing)


def _total(counts: Iterable[int | None]) -> int | None:
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def capabilities_of(facts: ServerFacts) -> Capability:
    """What the engine can measure."""
    found = Capability.GENERATE | Capability.SAMPLE
    for has, capability in (
        (facts.chat_top or facts.raw_top or facts.echo, Capability.CHOICE),
        (facts.chat_top or facts.raw_top, Capability.TOP_LOGPROBS),
        (facts.counts, Capability.PROMPT_TOKENS),
        (facts.timed, Capability.TIMINGS),
    ):
        found |= capability if has else Capability(0)
    return found


def info_of(spec: ModelSpec, settings: EngineSettings, place: str, dialect: Dialect, facts: ServerFacts) -> EngineInfo:
    """Facts about the model. `place`: address of the server, or of all of them."""
    listed = facts.listed
    extra = {
        "server": place,
        **facts.says,
        "choice_mode": facts.choice_mode,
        "raw_choice_mode": facts.raw_choice_mode,
        "top_logprobs": facts.chat_top or facts.raw_top,
        "conversations": facts.chat,
        "system_turns": facts.system_turns,
        "raw_texts": facts.raw,
        "counts_tokens": facts.counts,
        "names_endings": facts.names_endings,
        "tells_timings": facts.timed,
        "streamed": {"conversations": facts.chat_streaming, "raw_texts": facts.raw_streaming},
        "missing": dict(facts.why),
        "parameters": dict(dialect.parameters),
        **({"thinking": dict(facts.thinking.facts)} if facts.thinking.facts else {}),
        "concurrency": settings.server.concurrency,
    }
    return EngineInfo(
        engine=dialect.engine, kernel="unknown", device="remote", dtype="unknown", load_s=facts.load_s,
        model_bytes=listed.model_bytes if listed else None,
        context_tokens=spec.context_tokens or (listed.context_tokens if listed else None),
        weights_sha256=sha256_json([dialect.engine, place, spec.location, facts.says]), tokenizer_sha256=OF_THE_SERVER,
        template_sha256=OF_THE_SERVER, extra=extra,
    )  # fmt: skip
