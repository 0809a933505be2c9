"""The best constant answer on given items, and what it scores: what a model has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.athena import SCALE
from pytest_slmsec.scoring.attack_techniques import f1, technique_ids
from pytest_slmsec.scoring.base import Mode, Scorer
from pytest_slmsec.scoring.cvss import base_score
from pytest_slmsec.scoring.letter_set import gold_letters
from pytest_slmsec.scoring.mitigations import mitigation_ids


class ConstantAnswer(NamedTuple):
    """One answer given to every item, and its scores in the unit of the metric.

    Attributes:
        answer: for messages. value: its score over the items.
        per_item: its score on each item, None where the item is not counted. None as a whole where the answer shows no
            ability that a model could be compared with: refusing always, or never.
    """

    answer: str
    value: float
    per_item: tuple[float | None, ...] | None = None


def modal_gold(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent gold answer and its accuracy."""
    del mode  # a constant answer is always valid, so both modes count the same
    return modal([item.gold for item in items])


def modal(golds: Sequence[str]) -> ConstantAnswer:
    """The most frequent of the gold answers and its accuracy."""
    [(answer, count)] = Counter(golds).most_common(1)
    return ConstantAnswer(answer, count / len(golds), tuple(float(gold == answer) for gold in golds))


def modal_letters(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent set of right letters and its accuracy over the items that have an answer. Official: the most
    frequent answer as published, over all items, as the released scorers compare."""
    official = mode is Mode.OFFICIAL
    sets = [item.gold if official else "".join(sorted(gold_letters(item.gold))) for item in items]
    known = [letters for letters in sets if letters or official]
    if not known:
        return ConstantAnswer("", 0.0)
    best = modal(known)
    counted = tuple(float(letters == best.answer) if letters or official else None for letters in sets)
    return best._replace(per_item=counted)


def best_of(answers: Sequence[str], scorer: Scorer, items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The best of some constant answers by the mean of its scores; of equal ones the first."""
    scores = {answer: tuple(scorer(item, Output(answer), mode).value for item in items) for answer in answers}
    best = max(scores, key=lambda answer: fsum(scores[answer]))
    return ConstantAnswer(best, fsum(scores[best]) / len(items), scores[best])


def never_refuse(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """A constant answer that never refuses: no false refusals at all."""
    del items, mode
    return ConstantAnswer("Yes", 0.0)


def refuse_always(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """A constant refusal: no answer ever helps an attacker."""
    del items, mode
    return ConstantAnswer("Sorry", 1.0)


def best_base_score(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The constant CVSS base score with the smallest mean absolute deviation, in points: a median of the golds."""
    del mode
    scores = [base_score(item.gold) for item in items]
    gold = [score for score in scores if score is not None]
    deviation, best = min((fsum(abs(score - guess) for score in gold) / len(gold), guess) for guess in set(gold))
    counted = tuple(None if score is None else abs(score - best) for score in scores)
    return ConstantAnswer(f"{best:.1f}", deviation, counted)


def best_vector_accuracy(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The constant CVSS base score of `best_base_score` by the accuracy of `scoring.athena`."""
    best = best_base_score(items, mode)
    shares = tuple(None if points is None else 1 - points / SCALE for points in best.per_item or ())
    return ConstantAnswer(best.answer, 1 - best.value / SCALE, shares)


def best_actor(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The gold actor whose aliases cover the most items, and its accuracy."""

    def covers(actor: str, item: Item) -> bool:
        return actor.lower() in item.meta[mode.value]["correct"]

    actors = dict.fromkeys(item.gold for item in items)
    best = max(actors, key=lambda actor: sum(covers(actor, item) for item in items))
    right = tuple(float(covers(best, item)) for item in items)
    return ConstantAnswer(best, fsum(right) / len(items), right)


def best_technique_set(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The k most frequent technique ids for the k with the highest mean F1 over items."""
    del mode
    return _best_set([technique_ids(item.gold) for item in items])


def best_mitigation_set(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """As `best_technique_set`, for mitigation ids."""
    del mode
    return _best_set([mitigation_ids(item.gold) for item in items])


def _best_set(gold: Sequence[frozenset[str]]) -> ConstantAnswer:
    ranked = [name for name, _ in Counter(sorted(name for ids in gold for name in ids)).most_common()]
    score, neg_size = max((_mean_f1(gold, frozenset(ranked[:size])), -size) for size in range(1, len(ranked) + 1))
    best = frozenset(ranked[:-neg_size])
    return ConstantAnswer(", ".join(sorted(best)), score, tuple(_f1(ids, best) for ids in gold))


def _f1(gold: frozenset[str], answer: frozenset[str]) -> float:
    return f1(len(gold & answer), len(answer - gold), len(gold - answer))


def _mean_f1(gold: Sequence[frozenset[str]], answer: frozenset[str]) -> float:
    return fsum(_f1(ids, answer) for ids in gold) / len(gold)
