"""Files that pytest-benchmark wrote in a run of ours (``--benchmark-json``, ``--benchmark-autosave``).

Read by `gates.records.saved_runs`, so a damaged file is refused with the same message as in a comparison.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import CompareError, ReplayError
from pytest_slmsec.core.items import Output, Reply, Score
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.saved_runs import runs_from_json
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import json_of, text_of

FORM = "a file of --benchmark-json"
COSTS = (
    "prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "time_to_first_token_mean_s",
    "peak_rss_bytes", "peak_private_bytes", "peak_gpu_bytes", "gpu_process_bytes", "gpu_used_bytes", "energy_j",
    "energy_source", "idle_power_w", "largest_batch",
)  # fmt: skip


def reads(path: Path) -> bool:
    """By the keys of the whole file, which is one JSON object."""
    if path.suffix != ".json":
        return False
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "benchmarks" in value


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    try:
        runs = runs_from_json(json_of(text_of(path), str(path)), str(path))
    except CompareError as error:
        raise ReplayError(str(error)) from error
    return [_recording(path, run) for run in runs]


def _recording(path: Path, run: BenchmarkRun) -> Recording:
    facts, n = run.facts, run.n
    return Recording(
        path,
        str(facts.get("task") or run.benchmark),
        tuple(_answer(run, row) for row in range(n)),
        model=run.model,
        decoding=facts["decoding"] or {},
        label=run.benchmark,
        source=facts.get("source"),
        mode=facts["mode"],
        costs={key: facts[key] for key in COSTS if facts.get(key) is not None},
        reasons={key: str(why) for key, why in (facts.get("reasons") or {}).items()},
    )


def _answer(run: BenchmarkRun, row: int) -> Recorded:
    at: dict[str, Any] = {key: column[row] for key, column in run.columns.items()}
    scores = at.get("choice_scores")
    output = Output(
        text=at["text"],
        choice_logprobs=None if at["logprobs"] is None else tuple(at["logprobs"]),
        choice_scores=None if scores is None else tuple(scores),
        prompt_tokens=at["prompt_tokens"],
        new_tokens=at["new_tokens"],
        hit_limit=bool(at["hit_limit"]),
        thought=at.get("thought"),
        thought_tokens=at.get("thought_tokens", 0),
        replies=tuple(Reply(**reply) for reply in at.get("replies") or ()),
    )
    score = Score(at["value"], at["parsed"], at["correct"], at["extracted"], at["parts"])
    return Recorded(f"item {at['item']}", output, item=at["item"], sha256=at["sha256"], gold=at["gold"], score=score)
