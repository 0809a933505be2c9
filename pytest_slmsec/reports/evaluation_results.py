"""What one benchmark found on one model: the reports of its cases, collected in the main process and summed up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from statistics import fmean, median
from typing import Any

from pytest_slmsec.core.items import Score
from pytest_slmsec.engines.common.base import FRAGILE_DEVIATIONS
from pytest_slmsec.perturb.benchmark import PERTURBED
from pytest_slmsec.reports.robustness import robust_result
from pytest_slmsec.scoring.base import Metric, Mode, Result
from pytest_slmsec.sentinels.base import Finding

MEASURED = (
    "prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "time_to_first_token_mean_s",
    "peak_rss_bytes", "peak_private_bytes", "peak_gpu_bytes", "gpu_process_bytes", "gpu_used_bytes", "energy_j",
    "energy_source", "idle_power_w",
)  # fmt: skip
"""What a recorded run may have measured."""
FIRST_TOKEN = ("time_to_first_token_s", "time_to_first_token_mean_s")
CONSTANT_PER_ITEM = "constant_per_item"
"""Key of the header: what the best constant answer scores on each item."""
UNMOVED = "the counter of the {source} did not move: the run was too short for its steps"
NOT_RECORDED = "the recorded run does not say"


@dataclass(frozen=True, slots=True)
class Cost:
    """Speed and memory of one benchmark on one model. None: not measured; `reasons` says why.

    Attributes:
        prefill_tokens_per_s, decode_tokens_per_s: tokens over seconds, each summed over the batches.
        time_to_first_token_s, time_to_first_token_mean_s: median and mean over answers that a server streamed, each
            timed from its own request; else over batches, each timed from its start.
        seconds_per_item: of each item, those of its batch divided by its items. seconds_per_token: of each batch with
            generated text.
        peak_rss_bytes, peak_private_bytes, peak_gpu_bytes: highest reading of all batches.
        gpu_process_bytes, gpu_used_bytes: highest that NVML counted for this process, and for the whole GPU.
        energy_j: summed over batches; None where one of them was not counted, or by another counter than the rest.
        energy_source: which counter gave it. idle_power_w: watts of the same device before the first batch, mean over
            loadings.
    """

    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    time_to_first_token_s: float | None
    time_to_first_token_mean_s: float | None
    seconds_per_item: tuple[float, ...]
    seconds_per_token: tuple[float, ...]
    peak_rss_bytes: int | None
    peak_private_bytes: int | None
    peak_gpu_bytes: int | None
    gpu_process_bytes: int | None
    gpu_used_bytes: int | None
    energy_j: float | None
    energy_source: str | None
    idle_power_w: float | None
    reasons: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def peak_bytes(self) -> int | None:
        """GPU memory where there is a GPU, else resident memory."""
        return self.peak_gpu_bytes if self.peak_gpu_bytes is not None else self.peak_rss_bytes


@dataclass
class EvaluationResult:
    """The result of one benchmark on one model: the collected reports of its cases.

    Attributes:
        header: facts about the evaluation (`payload.header`). rows: measured cases by row of the data set.
        batches: timing and meters of each batch.
        stopped: number of items after which the gate ended the benchmark, or None.
        place: index of its first case among all tests, because several processes report in any order.
        findings: what the sentinels found, once everything has run.
        peaks_again: peaks of memory, in bytes, when the benchmark was run again for them.
        clean: of variants, the result of the published texts of the same items, where they were asked.
    """

    label: str
    model: str
    metric: Metric | None = None
    header: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stopped: int | None = None
    place: int = 0
    peaks_again: dict[str, list[int]] | None = None
    clean: EvaluationResult | None = None

    @property
    def n_expected(self) -> int:
        """Items of the whole benchmark, or of the sample that was taken of it."""
        return int(self.header.get("n_expected", 0))

    @property
    def n_errors(self) -> int:
        """Items without a valid measurement."""
        return sum(row["error"] is not None for row in self.rows.values())

    @property
    def complete(self) -> bool:
        """Every item was validly measured."""
        return bool(self.header) and len(self.rows) == self.n_expected and not self.n_errors

    @property
    def judged(self) -> EvaluationResult | None:
        """What can be judged: everything when it is complete, the items seen when it stopped early, else None."""
        if self.complete:
            return self
        rows = self.header["early_stop"]["order"][: self.stopped] if self.stopped else []
        return self.part(rows) if rows and self.measures(rows) else None

    def measures(self, rows: Sequence[int]) -> bool:
        """Whether all of `rows` were validly measured."""
        return all(self.rows.get(row, {}).get("score") is not None for row in rows)

    def part(self, rows: Sequence[int]) -> EvaluationResult:
        """The result of some of its rows, in the order given and numbered from 0."""
        keys = self.header["item_sha256"]
        header = {**self.header, "n_expected": len(rows), "item_sha256": [keys[row] for row in rows]}
        constant = self.header.get(CONSTANT_PER_ITEM)
        if constant is not None:
            header[CONSTANT_PER_ITEM] = [constant[row] for row in rows]
        chosen = {place: self.rows[row] for place, row in enumerate(rows)}
        return EvaluationResult(self.label, self.model, self.metric, header, chosen, self.batches, clean=self.clean)

    @property
    def n_hit_limit(self) -> int:
        """Answers that ended at the token limit, thoughts without an end included."""
        return sum(row["hit_limit"] for row in self.rows.values())

    @property
    def n_unfinished_thoughts(self) -> int:
        """Answers that are thoughts without an end."""
        return sum(
            row["hit_limit"] and row.get("thought") is not None and not row["text"] for row in self.rows.values()
        )

    @property
    def n_fragile(self) -> int | None:
        """Choices whose margin is below twice the engine's measured deviation; None where that is not known."""
        deviation: float | None = ((self.header.get("engine") or {}).get("extra") or {}).get("deviation_nats")
        if deviation is None or not self.header.get("by_choice"):
            return None
        margins: list[float | None] = [row["score"]["parts"].get("margin") for row in self.measured()]
        return len([margin for margin in margins if margin is not None and margin < FRAGILE_DEVIATIONS * deviation])

    def measured(self) -> list[dict[str, Any]]:
        """Rows of the items that were validly measured, in the order of the data set."""
        return [row for _, row in sorted(self.rows.items()) if row["score"] is not None]

    def scores(self) -> list[Score]:
        """Scores of the measured items, in the order of the data set."""
        return [Score(**row["score"]) for row in self.measured()]

    def result(self) -> Result | None:
        """The headline number; None when nothing was measured."""
        scores = self.scores()
        if not scores or self.metric is None:
            return None
        plain = self.metric.aggregate(scores, Mode(self.header["mode"]))
        if PERTURBED not in self.header:
            return plain
        clean = [] if self.clean is None else self.clean.measured()
        return robust_result(plain, self.measured(), clean, self.metric.scale, self.metric.binary)

    def bits(self) -> str:
        """One character an item in the order of the data set: 1 right, 0 wrong, - not measured."""
        marks = []
        for row in range(self.n_expected):
            score = self.rows.get(row, {}).get("score")
            if score is None:
                marks.append("-")
            else:
                marks.append("1" if score["correct"] else "0")
        return "".join(marks)

    def cost(self) -> Cost:
        """Speed and memory over all batches; of recorded answers what their run measured."""
        recorded = self.header.get("recorded")
        if recorded is not None:
            return _recorded_cost(recorded, self.measured())
        timings = [batch["timing"] for batch in self.batches]
        readings = [batch["meters"] for batch in self.batches]
        firsts = _first_tokens(self.measured(), timings)
        source = _source(readings)
        joules = None if source is None else fsum(reading["energy_j"] for reading in readings)
        generating = [t for t in timings if t["new_tokens"]]
        return Cost(
            prefill_tokens_per_s=_rate(timings, "prompt_tokens", "prefill_s"),
            decode_tokens_per_s=_rate(_decoding(generating), "decoded", "decode_s"),
            time_to_first_token_s=median(firsts) if firsts else None,
            time_to_first_token_mean_s=fmean(firsts) if firsts else None,
            seconds_per_item=_seconds(self.measured()),
            seconds_per_token=tuple(t["seconds"] / t["new_tokens"] for t in generating),
            peak_rss_bytes=_highest(readings, "peak_rss_bytes"),
            peak_private_bytes=_highest(readings, "peak_private_bytes"),
            peak_gpu_bytes=_highest(readings, "peak_gpu_bytes"),
            gpu_process_bytes=_highest(readings, "gpu_process_bytes"),
            gpu_used_bytes=_highest(readings, "gpu_used_bytes"),
            energy_j=joules or None,
            energy_source=source,
            idle_power_w=_mean(readings, "idle_power_w"),
            reasons={
                **({"energy_j": UNMOVED.format(source=source)} if joules == 0 else {}),
                **{name: why for reading in readings for name, why in reading.get("reasons", {}).items()},
                **({} if firsts else dict.fromkeys(FIRST_TOKEN, self._why_no_first_token(bool(generating)))),
            },
            notes=tuple(dict.fromkeys(note for batch in self.batches for note in batch["notes"])),
        )

    def _why_no_first_token(self, generated: bool) -> str:
        if not generated:
            return "no text was generated"
        engine = self.header.get("engine") or {}
        missing = (engine.get("extra") or {}).get("missing") or {}
        raw = (self.header.get("decoding") or {}).get("raw")
        why: str = missing.get("raw_streaming" if raw else "chat_streaming", "the engine does not measure it")
        return why


def _first_tokens(rows: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> list[float]:
    """Seconds to the first token: of each answer, where some were timed one by one, else of each batch."""
    answers = [row["first_token_s"] for row in rows if row.get("first_token_s") is not None]
    return answers or [t["time_to_first_token_s"] for t in timings if t["time_to_first_token_s"] is not None]


def over_all_benchmarks(results: Sequence[EvaluationResult]) -> list[EvaluationResult]:
    """What one model costs: its results as one, with the batches of all. Recorded costs stay as their run gave them."""
    recorded = [result for result in results if result.header.get("recorded") is not None]
    live = [result for result in results if result.header.get("recorded") is None]
    if live:
        batches = [batch for result in live for batch in result.batches]
        recorded.append(EvaluationResult("", live[0].model, header=live[0].header, batches=batches))
    return recorded


def _seconds(rows: list[dict[str, Any]]) -> tuple[float, ...]:
    return tuple(row["seconds"] for row in rows if row["seconds"] is not None)


def _recorded_cost(recorded: Mapping[str, Any], rows: list[dict[str, Any]]) -> Cost:
    """Costs of recorded answers, as their run measured them, with a reason for each that it does not say."""
    known = recorded["costs"]
    reasons = {name: recorded["reasons"].get(name, NOT_RECORDED) for name in MEASURED if known.get(name) is None}
    rate = known.get("decode_tokens_per_s")
    return Cost(
        **{name: known.get(name) for name in MEASURED},
        seconds_per_item=_seconds(rows),
        seconds_per_token=(1 / rate,) if rate else (),
        reasons=reasons,
        notes=tuple(recorded["notes"]),
    )


class EvaluationResults:
    """All results of a run, fed with the payload of each report."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, str], EvaluationResult] = {}

    def add(self, payload: Mapping[str, Any], metric: Metric, place: int = 0) -> None:
        """Take in one case. A case reported again (reruns) replaces its earlier row.

        Args:
            place: index of the case among all tests, because several processes report in any order.
        """
        row = payload["row"]
        key = (row["group"], row["model"])
        evaluated = self.by_key.setdefault(key, EvaluationResult(*key, place=place))
        evaluated.place = min(evaluated.place, place)
        evaluated.metric = metric
        evaluated.rows[row["row"]] = row
        if payload.get("batch") is not None:
            evaluated.batches.append(payload["batch"])
        if payload.get("header") is not None:
            evaluated.header = payload["header"]

    def __iter__(self) -> Iterator[EvaluationResult]:
        for evaluated in self.by_key.values():
            variants = evaluated.header.get(PERTURBED)
            evaluated.clean = None if variants is None else self.by_key.get((variants["clean"], evaluated.model))
        return iter(sorted(self.by_key.values(), key=lambda evaluated: evaluated.place))

    def __bool__(self) -> bool:
        return bool(self.by_key)


def _decoding(timings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first token of each answer comes out of prefill; the rest are decoded, where there is a rest."""
    return [{**t, "decoded": t["new_tokens"] - t["items"]} for t in timings if t["new_tokens"] > t["items"]]


def _rate(timings: list[dict[str, Any]], tokens: str, seconds: str) -> float | None:
    known = [t for t in timings if t[tokens] is not None and t[seconds] is not None]
    spent = sum(t[seconds] for t in known)
    return sum(t[tokens] for t in known) / spent if spent > 0 else None


def _highest(readings: list[dict[str, Any]], name: str) -> int | None:
    return max((r[name] for r in readings if r.get(name) is not None), default=None)


def _source(readings: Sequence[Mapping[str, Any]]) -> str | None:
    """The counter that gave the energy of every batch; None where one has none, or they have several."""
    found = {reading.get("energy_source") for reading in readings}
    return found.pop() if len(found) == 1 else None


def _mean(readings: Sequence[Mapping[str, Any]], name: str) -> float | None:
    known = {reading[name] for reading in readings if reading.get(name) is not None}
    return fmean(known) if known else None
