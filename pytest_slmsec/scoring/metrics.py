"""Item scores to one headline number with a two-sided 95 % interval.

Parts of the scores (``p_correct``, ``plausible``, ``exact_vector``) are averaged over the same items into `extras`;
those whose name begins with `SHARE` (``accuracy:WebSecurity``) over the items that have them. ``p_correct`` is None as
soon as one item lacks it: an option without a log-probability does not have probability 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import fsum, sqrt

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import Score
from pytest_slmsec.scoring.attack_techniques import f1
from pytest_slmsec.scoring.base import Metric, Mode, Result
from pytest_slmsec.scoring.class_counts import RECALL, SAID, class_extras
from pytest_slmsec.scoring.cvss import WORST_DEVIATION
from pytest_slmsec.scoring.log_template import GROUP, grouping_accuracy

Z_95 = 1.959963984540054
SIMILARITY = "similarity"
RESAMPLES = 4999
SEED = 0
P_CORRECT = "p_correct"
"""Part of a choice by log-probability."""
SHARE = "accuracy:"
"""Beginning of the name of a part that is the accuracy on some of the items."""
WORST_LANGUAGE = "worst_language"
UNSCORED = "unscored"
"""Part of the score of an item without a published answer: strict mode leaves it out of the denominator and reports how
many there are."""


def wilson_interval(successes: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927), as shares of 1; it holds its level at small n and at 0 and n.

    Counts need not be whole, since items that belong together count as fewer independent ones."""
    share, spread = successes / n, z * z / n
    centre, half = share + spread / 2, z * sqrt(share * (1 - share) / n + spread / (4 * n))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def mean_interval(values: Sequence[float], lowest: float, highest: float) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of a mean (Efron 1987), 4999 resamples, fixed seed.

    Where all values are equal resampling sees no spread at all; then up to the Wilson upper bound of 0 in n of the
    population may still lie anywhere between `lowest` and `highest`, the ends of the scale.
    """
    n, mean = len(values), sum(values) / len(values)
    if min(values) == max(values):
        unseen = wilson_interval(0, n)[1]
        return mean - unseen * (mean - lowest), mean + unseen * (highest - mean)
    import numpy
    from scipy.stats import bootstrap

    found = bootstrap(
        (numpy.asarray(values),),
        numpy.mean,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=256,
        method="BCa",
        rng=numpy.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def aggregate_accuracy(scores: Sequence[Score], mode: Mode) -> Result:
    """Share of right answers with its Wilson interval. Official: right / valid, as upstream; strict: right / all but
    the `UNSCORED`, whose number is an extra."""
    counted = _counted(scores, mode)
    if not counted:
        return _nothing(scores)
    right = sum(score.correct for score in counted)
    low, high = wilson_interval(right, len(counted))
    unscored = sum(_unscored(score) for score in scores)
    extras = _mean_parts(counted) | ({UNSCORED: float(unscored)} if unscored else {})
    return Result(right / len(counted), low, high, len(counted), _valid(scores), extras)


def aggregate_deviation(scores: Sequence[Score], mode: Mode) -> Result:
    """Mean deviation in CVSS points with a BCa interval. Official: over parsed answers only; strict: over all, an
    unparsed one with the worst value."""
    counted = _counted(scores, mode)
    if not counted:
        return _nothing(scores)
    values = [score.value for score in counted]
    low, high = mean_interval(values, 0.0, WORST_DEVIATION)
    return Result(fsum(values) / len(values), low, high, len(values), _valid(scores), _mean_parts(counted))


def aggregate_f1(scores: Sequence[Score], mode: Mode) -> Result:
    """Mean F1 of items with a BCa interval, and `micro_f1` from the summed counts. An empty answer is 0 in both modes:
    no scorer that could have dropped it was released."""
    if not scores:
        return _nothing(scores)
    values = [score.value for score in scores]
    low, high = mean_interval(values, 0.0, 1.0)
    tp, fp, fn = (sum(score.parts.get(name, 0.0) for score in scores) for name in ("tp", "fp", "fn"))
    return Result(fsum(values) / len(values), low, high, len(values), _valid(scores), {"micro_f1": f1(tp, fp, fn)})


def aggregate_share(scores: Sequence[Score], mode: Mode) -> Result:
    """Mean of 0 and 1 over all items in both modes, with its Wilson interval.

    Each part is averaged over the items that have it: ``language=Hindi`` over the Hindi ones.
    """
    del mode  # the authors divide by all answers, too
    if not scores:
        return _nothing(scores)
    hits = round(fsum(score.value for score in scores))
    low, high = wilson_interval(hits, len(scores))
    names = sorted({name for score in scores for name in score.parts})
    extras = {name: _mean([score.parts[name] for score in scores if name in score.parts]) for name in names}
    return Result(hits / len(scores), low, high, len(scores), _valid(scores), extras)


def aggregate_mean(scores: Sequence[Score], mode: Mode) -> Result:
    """Mean of values between 0 and 1 over all items in both modes, with a BCa interval."""
    return _mean_of(scores, scores)


def aggregate_mean_of_answered(scores: Sequence[Score], mode: Mode) -> Result:
    """As `aggregate_mean`, but official scoring leaves empty answers out, as upstream does."""
    return _mean_of(_counted(scores, mode), scores)


def _mean_of(counted: Sequence[Score], scores: Sequence[Score]) -> Result:
    """`counted` make the value; parts are averaged over all `scores`; ``similarity`` is None where it is not known."""
    if not counted:
        return _nothing(scores)
    values = [score.value for score in counted]
    low, high = mean_interval(values, 0.0, 1.0)
    known = all(SIMILARITY in score.parts for score in scores)
    extras = {**_mean_parts(scores), **({} if known else {SIMILARITY: None})}
    return Result(fsum(values) / len(values), low, high, len(values), _valid(scores), extras)


def aggregate_languages(scores: Sequence[Score], mode: Mode) -> Result:
    """As `aggregate_share`, with the accuracy on each language (``language=Arabic``) and that of the worst one."""
    result = aggregate_share(scores, mode)
    extras = {name.removeprefix(SHARE): share for name, share in result.extras.items()}
    known = [share for share in extras.values() if share is not None]
    return replace(result, extras=extras | ({WORST_LANGUAGE: min(known)} if known else {}))


def aggregate_refusals(scores: Sequence[Score], mode: Mode) -> Result:
    """As `aggregate_share` for a run without a judge: of the extras only the shares by category (``category=NAME``) are
    kept, since the others count verdicts and no verdict was given."""
    result = aggregate_share(scores, mode)
    return replace(result, extras={name: value for name, value in result.extras.items() if "=" in name})


def aggregate_mass(scores: Sequence[Score], mode: Mode) -> Result:
    """As `aggregate_mean`, for shares of probability and for F1 of fields, where similarity is no question."""
    return replace(aggregate_mean(scores, mode), extras=_mean_parts(scores))


def aggregate_mass_of_answered(scores: Sequence[Score], mode: Mode) -> Result:
    """As `aggregate_mass`, but official scoring leaves unparsed answers out."""
    return replace(aggregate_mean_of_answered(scores, mode), extras=_mean_parts(scores))


def aggregate_classes(scores: Sequence[Score], mode: Mode) -> Result:
    """Share of right answers over all items in both modes, with its Wilson interval; beside it the extras of
    `class_counts.class_extras`, and the means of the other parts."""
    result = aggregate_share(scores, mode)
    counts = (RECALL, SAID, "tp", "fp", "fn")
    others = {name: value for name, value in result.extras.items() if not name.startswith(counts)}
    return replace(result, extras=class_extras(scores) | others) if scores else result


def aggregate_templates(scores: Sequence[Score], mode: Mode) -> Result:
    """Share of exact templates over all items in both modes; beside it ``edit_similarity`` and, where the groups of all
    items are known, ``grouping_accuracy``."""
    result = aggregate_share(scores, mode)
    extras = {name: value for name, value in result.extras.items() if name != GROUP}
    grouped = grouping_accuracy(scores)
    return replace(result, extras=extras | ({} if grouped is None else {"grouping_accuracy": grouped}))


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _counted(scores: Sequence[Score], mode: Mode) -> Sequence[Score]:
    """The scores in the denominator: all but the `UNSCORED` in strict mode, the parsed ones in official mode."""
    if mode is Mode.STRICT:
        return [score for score in scores if not _unscored(score)]
    return [score for score in scores if score.parsed]


def _unscored(score: Score) -> bool:
    return bool(score.parts.get(UNSCORED))


def _valid(scores: Sequence[Score]) -> int:
    return sum(score.parsed for score in scores)


def _nothing(scores: Sequence[Score]) -> Result:
    return Result(None, None, None, 0, _valid(scores), {})


def _mean_parts(scores: Sequence[Score]) -> dict[str, float | None]:
    names = dict.fromkeys(name for score in scores for name in score.parts)
    means: dict[str, float | None] = {}
    for name in names:
        if name == P_CORRECT and any(name not in score.parts for score in scores):
            means[name] = None
            continue
        values = [score.parts.get(name, 0.0) for score in scores if name in score.parts or not name.startswith(SHARE)]
        means[name] = fsum(values) / len(values)
    return means


ACCURACY = Metric("accuracy", aggregate_accuracy, binary=True)
MAD = Metric("MAD", aggregate_deviation, higher_is_better=False, scale=WORST_DEVIATION)
MEAN_F1 = Metric("F1", aggregate_f1)
FALSE_REFUSALS = Metric("FRR", aggregate_share, higher_is_better=False, binary=True, tell_extras=True)
RESISTED = Metric("resisted", aggregate_share, binary=True, tell_extras=True)
REFUSALS = Metric("refusals", aggregate_refusals, binary=True, tell_extras=True)
BENIGN = Metric("benign", aggregate_share, binary=True, tell_extras=True)

ACCURACY_V2 = Metric("accuracy v2", aggregate_share, binary=True)
ROUGE_L_V2 = Metric("ROUGE-L v2", aggregate_mean, tell_extras=True)
ROUGE_L_V2_ZH = Metric("ROUGE-L v2 zh", aggregate_mean_of_answered, tell_extras=True)
F1_V2 = Metric("F1 v2", aggregate_mean, tell_extras=True)
FIELD_F1 = Metric("field F1", aggregate_mass, tell_extras=True)
MULTILINGUAL = Metric("multilingual", aggregate_languages, binary=True, tell_extras=True)

ACCURACY_OF_ALL = Metric("accuracy of all", aggregate_share, binary=True)
CVSS_ACCURACY = Metric("CVSS accuracy", aggregate_mass_of_answered)
ALIAS_ACCURACY = Metric("CTIBench aliases", aggregate_share, binary=True)
LOG_ACCURACY = Metric("accuracy of logs", aggregate_share, binary=True, tell_extras=True)
FACTS = Metric("facts", aggregate_mass, tell_extras=True)
CHRF = Metric("chrF", aggregate_mass, tell_extras=True)
TOKEN_F1 = Metric("token F1", aggregate_mass, tell_extras=True)

EXACT_SET = Metric("exact set", aggregate_accuracy, binary=True, tell_extras=True)
CLASS_ACCURACY = Metric("class accuracy", aggregate_classes, binary=True, tell_extras=True)
EXACT_TEMPLATE = Metric("exact template", aggregate_templates, binary=True, tell_extras=True)
ROUGE_L = Metric("ROUGE-L", aggregate_mass)
CODE_ACCURACY = Metric("code accuracy", aggregate_share, binary=True, tell_extras=True)
SQUAD_EM = Metric("EM", aggregate_share, binary=True, tell_extras=True)

ACC = Metric("acc", aggregate_share, binary=True)
ACC_NORM = Metric("acc_norm", aggregate_share, binary=True)
EXACT_MATCH = Metric("exact_match", aggregate_share, binary=True)
MC2 = Metric("mc2", aggregate_mass)

METRICS = {
    metric.name: metric
    for metric in (
        ACCURACY,
        MAD,
        MEAN_F1,
        FALSE_REFUSALS,
        REFUSALS,
        BENIGN,
        RESISTED,
        ACCURACY_V2,
        ROUGE_L_V2,
        ROUGE_L_V2_ZH,
        F1_V2,
        ACCURACY_OF_ALL,
        CVSS_ACCURACY,
        ALIAS_ACCURACY,
        LOG_ACCURACY,
        FACTS,
        CHRF,
        EXACT_SET,
        CLASS_ACCURACY,
        EXACT_TEMPLATE,
        ROUGE_L,
        CODE_ACCURACY,
        SQUAD_EM,
        FIELD_F1,
        MULTILINGUAL,
        TOKEN_F1,
        ACC,
        ACC_NORM,
        EXACT_MATCH,
        MC2,
    )
}


def find_metric(name: str) -> Metric:
    """A metric by the name it is printed under; the main process looks it up for groups that xdist workers measured.

    Raises:
        UsageError: the metric is a user's own, which only the process that collected it knows.
    """
    if name not in METRICS:
        raise UsageError(f"The metric {name!r} is not known to the main process: run its benchmark without -n.")
    return METRICS[name]
