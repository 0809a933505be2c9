"""Counts behind classifications: each score says which class was right and which was said.

Parts of a score: ``recall:CLASS`` for the gold class (1 where it was said) and ``said:CLASS`` for the class that was
read; ``tp``, ``fp`` and ``fn`` where one class is the one that is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from pytest_slmsec.core.items import Score
from pytest_slmsec.scoring.attack_techniques import f1

RECALL, SAID = "recall:", "said:"
SHOWN_CLASSES = 5
"""Recalls are told class by class up to this many classes."""


def class_parts(gold: str, said: str | None, positive: str | None = None) -> dict[str, float]:
    """The parts of one score; see the module.

    Args:
        positive: the class that is looked for, or None.
    """
    parts = {f"{RECALL}{gold}": float(said == gold)}
    if said is not None:
        parts[f"{SAID}{said}"] = 1.0
    if positive is not None:
        parts |= {
            "tp": float(gold == said == positive),
            "fp": float(said == positive != gold),
            "fn": float(gold == positive != said),
        }
    return parts


def class_extras(scores: Sequence[Score]) -> dict[str, float | None]:
    """``balanced_accuracy`` (mean recall of the classes), ``F1`` (of the class that is looked for, else the mean of all
    classes), and each recall where there are few classes."""
    recalls = {name: _values(scores, name) for name in _names(scores, RECALL)}
    means = {name: fsum(values) / len(values) for name, values in recalls.items()}
    extras: dict[str, float | None] = {"balanced_accuracy": fsum(means.values()) / len(means)}
    if any("tp" in score.parts for score in scores):
        extras["F1"] = f1(*(fsum(_values(scores, name)) for name in ("tp", "fp", "fn")))
    else:
        extras["F1"] = fsum(_class_f1(scores, name, recalls[name]) for name in recalls) / len(recalls)
    return extras | (dict(means) if len(means) <= SHOWN_CLASSES else {})


def _class_f1(scores: Sequence[Score], name: str, recalled: Sequence[float]) -> float:
    said, right = len(_values(scores, SAID + name.removeprefix(RECALL))), fsum(recalled)
    return f1(right, said - right, len(recalled) - right)


def _values(scores: Sequence[Score], name: str) -> list[float]:
    return [score.parts[name] for score in scores if name in score.parts]


def _names(scores: Sequence[Score], prefix: str) -> list[str]:
    return sorted({name for score in scores for name in score.parts if name.startswith(prefix)})
