"""Is the base better than a constant answer? A model that has learnt nothing cannot lose anything by quantising.

On an uninformative benchmark a gate can FAIL, for a candidate may still be worse, but it cannot PASS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.gates.decision.methods import Method, clusters_of
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.rule_check import P_CORRECT
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.constant_scores import CONSTANT

Floats = NDArray[np.float64]
BEST_CONSTANT, CHANCE = "the best constant answer", "chance"


@dataclass(frozen=True, slots=True)
class BaseTest:
    """The one-sided test of whether the base is better than a reference that knows nothing, on the same items.

    Attributes:
        benchmark, metric: what was tested. reference: `BEST_CONSTANT` or `CHANCE`, with the answer where it is known.
        base_score, reference_score: means in the unit of the metric. advantage: how much better the base is.
        lower: lower bound of the base's advantage, higher is better, each gate at its own error rate; None where no
            bound can be given.
        informative: the bound is above 0.
        is_share: the scores are shares of 1, printed in percent.
    """

    benchmark: str
    metric: str
    reference: str
    base_score: float
    reference_score: float
    advantage: float
    lower: float | None
    informative: bool

    is_share: bool = True

    @property
    def is_above(self) -> bool:
        """Whether the base is better on these items, shown or not."""
        return self.advantage > 0

    @property
    def sentence(self) -> str:
        """Why an uninformative benchmark cannot PASS."""
        base, reference = self._shown(self.base_score), self._shown(self.reference_score)
        return (
            f"{self.benchmark} is uninformative: the base ({self.metric} {base}) is not shown to be better than "
            f"{self.reference} ({reference}), so it has nothing to lose and a PASS would mean nothing."
        )

    def _shown(self, score: float) -> str:
        return f"{100 * score:.1f} %" if self.is_share else f"{score:.2f}"

    def to_json(self) -> dict[str, Any]:
        """The test as plain data."""
        return {"reference": self.reference, "base": self.base_score, "reference_score": self.reference_score,
                "lower": self.lower, "informative": self.informative}  # fmt: skip


def base_test(run: BenchmarkRun, metric: str, method: Method) -> BaseTest | None:
    """Test a base by one metric.

    None where the record holds nothing to test it against, or where the constant answer is right on every item, so that
    nothing could be better.

    Right and wrong answers are compared as paired binary items, all other scores as paired differences, by the same
    methods as the gates. The probability of the right option is compared with chance, 1 / (number of options) of each
    item; a base whose accuracy is not even in the sample above the best constant answer is uninformative by it as well,
    for letters that are often right are worth more than chance to a model that always says the same one.
    """
    if metric == P_CORRECT:
        return _against_chance(run, method)
    reference = run.columns.get(CONSTANT)
    if reference is None:
        return None
    if has_faultless_constant(run):
        return None
    up, scale = bool(run.facts["higher_is_better"]), float(run.facts["scale"])
    constant = _filled(reference, run.values)
    margin = method.config.preset.margin(method.n_items)
    name = f"{run.benchmark} {metric}: base against constant"
    if run.facts.get("binary", run.facts["metric"] == "accuracy"):
        right = constant == (1.0 if up else 0.0)
        lower = method.binary(run.flags("correct"), right, margin, name).lower
    else:
        worse = constant - run.values if up else run.values - constant
        lower = method.real(worse, margin * scale, scale, name, "points").lower
    scores = float(run.values.mean()), float(constant.mean())
    advantage = scores[0] - scores[1] if up else scores[1] - scores[0]
    return BaseTest(run.benchmark, metric, _named(run), *scores, advantage, lower, lower is not None and lower > 0,
                    is_share=scale == 1)  # fmt: skip


def has_faultless_constant(run: BenchmarkRun) -> bool:
    """Whether the best constant answer is right on every item that is counted, so that nothing could be better."""
    best = float(run.facts["scale"]) if run.facts["higher_is_better"] else 0.0
    counted = [score for score in run.columns.get(CONSTANT) or () if score is not None]
    return bool(counted) and all(score == best for score in counted)


def uninformative(runs: Sequence[BenchmarkRun], config: GateConfig) -> list[str]:
    """The sentences on stored bases that have nothing to lose, by the metric that decides; for a plan."""
    found = []
    for run in runs:
        rule = config.rule(run.benchmark, str(run.facts.get("task", run.benchmark)))
        own = P_CORRECT if run.facts["by_choice"] and run.part(P_CORRECT) is not None else str(run.facts["metric"])
        metric = own if rule.metrics is None else rule.metrics[0]
        method = Method(config, run.n, clusters=clusters_of(run), variants=VARIANT in run.columns)
        tested = base_test(run, metric, method)
        if tested is not None and not tested.informative:
            found.append(f"{run.model}: {tested.sentence}")
    return found


def _against_chance(run: BenchmarkRun, method: Method) -> BaseTest | None:
    probabilities, options = run.part(P_CORRECT), _options(run)
    if probabilities is None or options is None:
        return None
    chance = 1 / options
    margin = method.config.preset.margin(method.n_items)
    name = f"{run.benchmark} {P_CORRECT}: base against chance"
    lower = method.real(chance - probabilities, margin, 1.0, name, "points").lower
    scores = float(probabilities.mean()), float(chance.mean())
    better = lower is not None and lower > 0
    constant = run.columns.get(CONSTANT)
    if better and constant is not None:
        accuracy, best = float(run.flags("correct").mean()), float(_filled(constant, run.values).mean())
        if accuracy <= best:
            return BaseTest(run.benchmark, "accuracy", _named(run), accuracy, best, accuracy - best, lower, False)
    return BaseTest(run.benchmark, P_CORRECT, CHANCE, *scores, scores[0] - scores[1], lower, better)


def _filled(constant: Sequence[float | None], values: Floats) -> Floats:
    """The scores of the constant answer; on items that are not counted those of the base, which makes no difference."""
    pairs = zip(constant, values.tolist(), strict=True)
    return np.array([own if score is None else score for score, own in pairs], dtype=np.float64)


def _options(run: BenchmarkRun) -> Floats | None:
    """How many options each item has, from the scores that were stored of them."""
    for column in ("logprobs", "choice_scores"):
        found = run.columns.get(column) or ()
        if found and all(found):
            return np.array([len(scores) for scores in found], dtype=np.float64)
    return None


def _named(run: BenchmarkRun) -> str:
    known = run.facts.get("constant")
    answer = known.get("answer") if isinstance(known, dict) else None
    return BEST_CONSTANT if not answer else f"{BEST_CONSTANT}, {answer!r}"
