"""The gates of one benchmark: its metric, the probability of the right option, parse rate, collapse of answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.gates.decision.gain_gates import gain_gate
from pytest_slmsec.gates.decision.group_gates import group_gate, improvements
from pytest_slmsec.gates.decision.informative import BaseTest, base_test
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of
from pytest_slmsec.gates.decision.pair_gates import pair_gate
from pytest_slmsec.gates.decision.refusal_gates import refusal_gates
from pytest_slmsec.gates.decision.variant_gates import variant_gates
from pytest_slmsec.gates.policy.config import GateConfig, Rule
from pytest_slmsec.gates.policy.rule_check import P_CORRECT, Scale, check_rule
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.margins import DEFAULT_MARGINS, METRIC_UNITS
from pytest_slmsec.gates.statistics.result import UNINFORMATIVE, GateResult, Verdict
from pytest_slmsec.scoring.log_answers import MISSED_CRITICAL

Floats = NDArray[np.float64]

PARSE_RATE = "parse rate"
COLLAPSE = "answers"
MISSED_WHAT, MISSED_MARGIN, ENOUGH_CRITICAL = "missed critical", 0.02, 133
"""The gate on missed critical items: 2 points. With fewer than 133 items not even an unchanged model is shown to be
within 2 points at the 5 % level: the score statistic of no change is z^2 = n d / (1 - d), and n = 133 reaches
1.645^2."""


def score_gates(pair: Pair, config: GateConfig) -> list[Judged]:
    """All gates of one benchmark, the primary one first.

    Raises:
        CompareError: an unparsed answer where the configuration allows none, or a margin that a score makes useless.
        UsageError: what the configuration says does not fit the benchmark; see `check_rule`.
    """
    base = pair.base
    _check_parsed(pair, config)
    rule = config.rule(base.benchmark, str(base.facts.get("task", base.benchmark)))
    check_rule(rule, base.benchmark, _scale(pair))
    if rule.min_gain is not None:  # what was learnt changes which answers are common, so none is looked at for collapse
        return [gain_gate(pair, config, rule.min_gain), _parse_gate(pair, config, rule), *_groups(pair, config, rule),
                *pair_gate(pair, config)]  # fmt: skip
    names = _metrics(pair, rule)
    found = [_metric_gate(pair, config, rule, name, place == 0) for place, name in enumerate(names)]
    found.append(_parse_gate(pair, config, rule))
    found += [*missed_critical_gate(pair, config), *variant_gates(pair, config)]
    collapse = _collapse_gate(pair, config) if str(base.facts["metric"]).startswith("accuracy") else None
    found += [] if collapse is None else [collapse]
    found += [*refusal_gates(pair, config), *_groups(pair, config, rule, found[0].base_test)]
    return [*found, *pair_gate(pair, config)]


def _groups(pair: Pair, config: GateConfig, rule: Rule, tested: BaseTest | None = None) -> list[Judged]:
    """The gate on the worst category, where it is asked for; without PASS where the base has nothing to lose."""
    judged = group_gate(pair, config, rule)
    if judged is None:
        return []
    if tested is None or tested.informative:
        return [judged]
    return [replace(judged, member=replace(judged.member, result=_without_pass(judged.result, tested)))]


def _scale(pair: Pair) -> Scale:
    facts = pair.base.facts
    return Scale(str(facts["metric"]), bool(facts["higher_is_better"]), _is_share(pair), float(facts["scale"]),
                 _has_p_correct(pair))  # fmt: skip


def _check_parsed(pair: Pair, config: GateConfig) -> None:
    for run in (pair.base, pair.candidate):
        unparsed = int((~run.flags("parsed")).sum())
        if config.unparsable == "error" and unparsed:
            raise CompareError(f"{unparsed} of {run.n} answers of {run.name} could not be read, and unparsable = "
                               '"error" allows none.')  # fmt: skip


def _has_p_correct(pair: Pair) -> bool:
    return pair.base.part(P_CORRECT) is not None and pair.candidate.part(P_CORRECT) is not None


def _metrics(pair: Pair, rule: Rule) -> tuple[str, ...]:
    """Names of the metrics to judge, the primary one first.

    The probability of the right option goes first where there is one: it decides with far fewer items.
    """
    own = str(pair.base.facts["metric"])
    known = {own.casefold(): own} | ({P_CORRECT: P_CORRECT} if _has_p_correct(pair) else {})
    if rule.metrics is None:
        return (P_CORRECT, own) if P_CORRECT in known and pair.base.facts["by_choice"] else (own,)
    return tuple(dict.fromkeys(known[name.casefold()] for name in rule.metrics))


def _metric_gate(pair: Pair, config: GateConfig, rule: Rule, name: str, primary: bool) -> Judged:
    of_metric = _share if _is_share(pair) else _real
    measure = _p_correct if name == P_CORRECT else of_metric
    result, base, candidate = measure(pair, config, rule, f"{pair.base.benchmark} {name}")
    tested = base_test(pair.base, name, method_of(pair, config))
    informative = tested is None or tested.informative
    if tested is not None and not informative:
        result = _without_pass(result, tested)
    member = Member(result, Kind.SCORE, _required(pair, config, rule), primary, rule.own_margin,
                    informative=informative, variants=VARIANT in pair.base.columns)  # fmt: skip
    return Judged(pair.base.benchmark, name, member, base, candidate, base_test=tested)


def _required(pair: Pair, config: GateConfig, rule: Rule) -> bool | None:
    """Whether the rule requires a gate; of variants, where it does not say, as many items must stand behind them."""
    if rule.required is not None or VARIANT not in pair.base.columns:
        return rule.required
    return method_of(pair, config).n_items >= config.suite.required_min_items


def _without_pass(result: GateResult, tested: BaseTest) -> GateResult:
    """The result of a gate on a base that has nothing to lose: it can FAIL, but it is never PASS.

    With too few items for any PASS that is the reason given, unless the base is worse than the constant answer on them.
    """
    if result.details.get("below_floor") and tested.is_above:
        return result
    verdict = Verdict.INCONCLUSIVE if result.verdict is Verdict.PASS else result.verdict
    return replace(result, verdict=verdict, details={**result.details, UNINFORMATIVE: tested.sentence})


Found = tuple[GateResult, float, float]


def _margin(pair: Pair, config: GateConfig, rule: Rule, base_share: float) -> float:
    """The tolerated drop, a share of the scale.

    Raises:
        CompareError: a relative margin on a base that scores nothing.
    """
    if rule.max_drop is None:
        usual = config.preset.margin(method_of(pair, config).n_items)
        return DEFAULT_MARGINS.get(str(pair.base.facts["metric"]), usual)
    margin = rule.max_drop.of(base_share)
    if margin <= 0:
        raise CompareError(f"{rule.where}: a relative margin says nothing about {pair.base.name}, which scores 0; give "
                           'points, such as "2pt".')  # fmt: skip
    return margin


def _is_share(pair: Pair) -> bool:
    """Whether the metric is a share of right or of wrong answers."""
    facts = pair.base.facts
    return bool(facts.get("binary", facts["metric"] == "accuracy"))


def _share(pair: Pair, config: GateConfig, rule: Rule, name: str) -> Found:
    """Right answers are counted, whichever way the metric runs; shown is the metric itself."""
    before, after = pair.base.flags("correct"), pair.candidate.flags("correct")
    share, up = float(before.mean()), bool(pair.base.facts["higher_is_better"])
    result = method_of(pair, config).binary(before, after, _margin(pair, config, rule, share), name, share)
    shown = [float(flags.mean()) if up else 1.0 - float(flags.mean()) for flags in (before, after)]
    return result, shown[0], shown[1]


def _p_correct(pair: Pair, config: GateConfig, rule: Rule, name: str) -> Found:
    before, after = pair.base.part(P_CORRECT), pair.candidate.part(P_CORRECT)
    assert before is not None
    assert after is not None
    share = float(before.mean())
    margin = _margin(pair, config, rule, share)
    result = method_of(pair, config).real(after - before, margin, 1.0, name, "points")
    return result, share, float(after.mean())


def _real(pair: Pair, config: GateConfig, rule: Rule, name: str) -> Found:
    facts, before, after = pair.base.facts, pair.base.values, pair.candidate.values
    scale, metric = float(facts["scale"]), str(facts["metric"])
    default = DEFAULT_MARGINS.get(metric, config.preset.margin(method_of(pair, config).n_items) * scale)
    if facts["higher_is_better"]:
        margin = default if rule.max_drop is None else scale * _margin(pair, config, rule, float(before.mean()) / scale)
    else:
        margin = default if rule.max_increase is None else rule.max_increase
    unit = "points" if scale == 1 else METRIC_UNITS.get(metric, metric)
    result = method_of(pair, config).real(improvements(pair), margin, scale, name, unit)
    return result, float(before.mean()), float(after.mean())


def _parse_gate(pair: Pair, config: GateConfig, rule: Rule) -> Judged:
    before, after = pair.base.flags("parsed"), pair.candidate.flags("parsed")
    name = f"{pair.base.benchmark} {PARSE_RATE}"
    method = method_of(pair, config)
    result = method.binary(before, after, config.preset.margin(method.n_items), name)
    member = Member(result, Kind.PARSE, _required(pair, config, rule), primary=False)
    return Judged(pair.base.benchmark, PARSE_RATE, member, float(before.mean()), float(after.mean()))


def missed_critical_gate(pair: Pair, config: GateConfig) -> list[Judged]:
    """The gate on critical items that are called unimportant, where a benchmark has such items and was judged whole.

    Below `ENOUGH_CRITICAL` items it can FAIL and keeps an alarming suite from PASS, but a PASS does not need it.
    """
    found = [place for place, parts in enumerate(pair.base.columns["parts"]) if MISSED_CRITICAL in parts]
    if not found or method_of(pair, config).design is not None:
        return []
    part = replace(pair, base=pair.base.taken(found), candidate=pair.candidate.taken(found))
    missed = [np.array([parts[MISSED_CRITICAL] > 0 for parts in run.columns["parts"]], dtype=np.bool_)
              for run in (part.base, part.candidate)]  # fmt: skip
    name = f"{pair.base.benchmark} {MISSED_WHAT}"
    result = method_of(part, config).binary(~missed[0], ~missed[1], MISSED_MARGIN, name)
    enough = len(found) >= ENOUGH_CRITICAL
    member = Member(result, Kind.SCORE, required=enough, primary=False, own_margin=enough)
    return [Judged(pair.base.benchmark, MISSED_WHAT, member, float(missed[0].mean()), float(missed[1].mean()))]


def _collapse_gate(pair: Pair, config: GateConfig) -> Judged | None:
    """The gate on a candidate that falls back on one answer: how much the share of one answer grew, as paired items.

    The answer is chosen after the fact, so the FAIL side stands at alpha over the number of different answers.
    """
    answers = [np.array([str(x) if x is not None else "" for x in run.columns["extracted"]], dtype=object)
               for run in (pair.base, pair.candidate)]  # fmt: skip
    counts = [Counter(a.tolist()) for a in answers]
    grown = {answer: counts[1][answer] - counts[0][answer] for answer in {*counts[0], *counts[1]} if answer}
    if not grown:
        return None
    answer = max(sorted(grown), key=lambda a: grown[a])
    others = [np.asarray(a != answer, dtype=np.bool_) for a in answers]
    alpha = config.alpha / len(grown)
    name = f"{pair.base.benchmark} {COLLAPSE}"
    result = method_of(pair, config).binary(others[0], others[1], config.max_collapse, name, alpha=alpha)
    details = {**result.details, "answer": answer, "different_answers": len(grown)}
    p_fail = None if result.p_fail is None else min(1.0, result.p_fail * len(grown))
    member = Member(replace(result, p_fail=p_fail, details=details), Kind.SCORE, required=False, primary=False)
    shares = [float((~o).mean()) for o in others]
    return Judged(pair.base.benchmark, COLLAPSE, member, shares[0], shares[1])
