"""Scores by the filters and metrics of a task object of `lm_eval`.

Source of the procedure: lm_eval 0.4.13, ``evaluator.py`` (`evaluate`): the filters are applied to the answers of a
document, and `process_results` makes its metrics, once for each filter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal
from pytest_slmsec.tasks.harness.definition import Definition
from pytest_slmsec.tasks.harness.documents import DOCUMENT, golds_of
from pytest_slmsec.tasks.harness.loading import task_of

INVALID = "[invalid]"
"""What the package's filters give where they find nothing."""
UNREAD = Score(0.0, parsed=False, correct=False)


def score_document(definition: Definition, item: Item, output: Output, mode: Mode) -> Score:
    """The headline metric of a document; `parts` hold its other metrics under the names that `lm_eval` prints.

    Official: the package's numbers. Strict: an answer in which the filter of the headline finds nothing is wrong, and
    so is a tie of several choices at the top, which the package gives to the first of them.

    For choices, `parts` also hold ``p_correct``, the probability of the right one among all (softmax over the
    log-probabilities; divided by the length of each choice where the headline is ``acc_norm``), ``margin``, the lead of
    the best over the second, and ``tie``.

    Raises:
        KeyError: the item's document or the task object is not here (`rescore` says so).
    """
    task, document = task_of(definition), item.meta[DOCUMENT]
    if task.OUTPUT_TYPE == "generate_until":
        return _generated(definition, task, document, output.text or "", mode)
    return _chosen(definition, task, item, output, mode)


def _generated(definition: Definition, task: Any, document: Mapping[str, Any], text: str, mode: Mode) -> Score:
    found, read = _metrics(task, document, [text])
    name = definition.headline
    extracted = read[name.partition(",")[2] or next(iter(read))]
    parsed = bool(extracted.strip()) and extracted != INVALID
    value = found[name] if parsed or mode is Mode.OFFICIAL else 0.0
    return Score(value, parsed, value == 1.0, extracted if parsed else None, found)


def _chosen(definition: Definition, task: Any, item: Item, output: Output, mode: Mode) -> Score:
    logprobs = output.choice_logprobs or ()
    if len(logprobs) != len(item.choices) or not all(map(math.isfinite, logprobs)):
        return UNREAD
    if output.choice_greedy is None and needs_greedy(task):
        raise KeyError("choice_greedy")
    document = item.meta[DOCUMENT]
    greedy = output.choice_greedy or (False,) * len(logprobs)
    found = _finite(task, document, logprobs, greedy)
    value = found[definition.headline]
    levels = _levels(definition, task, document, logprobs)
    top = max(levels)
    tie = levels.count(top) > 1 and definition.golds is None
    if tie and mode is Mode.STRICT:
        value = 0.0
    parts = {**found, **_lead(levels), **_p_correct(definition, task, document, levels)}
    label = None if tie and mode is Mode.STRICT else item.labels[levels.index(top)]
    return Score(value, True, value > 0.5, label, parts)


def needs_greedy(task: Any) -> bool:
    """Whether a metric asks if greedy decoding would write a choice."""
    return task.OUTPUT_TYPE == "loglikelihood" or "exact_match" in task.aggregation()


def _finite(
    task: Any, document: Mapping[str, Any], logprobs: Sequence[float], greedy: Sequence[bool]
) -> dict[str, float]:
    """The metrics; where the package's exponentials of very small log-probabilities come out as 0 / 0, from the same
    log-probabilities moved up together, which changes no quotient."""
    import numpy

    with numpy.errstate(invalid="ignore"):
        found, _ = _metrics(task, document, list(zip(logprobs, greedy, strict=True)))
    if all(map(math.isfinite, found.values())):
        return found
    top = max(logprobs)
    return _metrics(task, document, [(value - top, best) for value, best in zip(logprobs, greedy, strict=True)])[0]


def _metrics(task: Any, document: Mapping[str, Any], answers: Sequence[Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Numeric metrics by name, and the first answer as each filter reads it."""
    from lm_eval.api.instance import Instance

    repeats = int(task.config.repeats)
    instances = [
        Instance(task.OUTPUT_TYPE, dict(document), (), index, resps=[answer] * repeats)
        for index, answer in enumerate(answers)
    ]
    numbers: dict[str, float] = {}
    read: dict[str, str] = {}
    for pipeline in task._filters:
        pipeline.apply(instances)
        filtered = [instance.filtered_resps[pipeline.name] for instance in instances]
        read[pipeline.name] = str(filtered[0])
        suffix = f",{pipeline.name}" if len(task._filters) > 1 else ""
        for name, value in task.process_results(dict(document), filtered).items():
            if isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0:
                numbers[f"{name}{suffix}"] = float(value)
    return numbers, read


def _levels(definition: Definition, task: Any, document: Mapping[str, Any], logprobs: Sequence[float]) -> list[float]:
    """What the headline compares: log-probabilities, for ``acc_norm`` divided by the characters of each choice."""
    if definition.headline != "acc_norm":
        return list(logprobs)
    lengths = [float(len(choice)) for choice in task.doc_to_choice(dict(document))]
    return [value / length if length else -math.inf for value, length in zip(logprobs, lengths, strict=True)]


def _lead(levels: Sequence[float]) -> dict[str, float]:
    top, *rest = sorted(levels, reverse=True)
    return {"margin": top - rest[0] if rest else 0.0, "tie": float(bool(rest) and rest[0] == top)}


def _p_correct(
    definition: Definition, task: Any, document: Mapping[str, Any], levels: Sequence[float]
) -> dict[str, float]:
    golds = golds_of(definition, task, document, len(levels))
    if len(levels) < 2 or definition.golds is not None:
        return {}
    top = max(levels)
    weights = [math.exp(level - top) for level in levels]
    return {"p_correct": math.fsum(weights[gold] for gold in golds) / math.fsum(weights)}


def modal_extracted(definition: Definition, items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent right answer as the headline's filter reads it, and the share of items it is right for."""
    del mode
    task, name = task_of(definition), definition.headline.partition(",")[2]
    read = [_metrics(task, item.meta[DOCUMENT], [item.gold])[1] for item in items]
    return modal([one[name] if name else next(iter(one.values())) for one in read])


def equal_weights(definition: Definition, items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The score of a model to which all choices are equally probable."""
    del definition, mode
    shares = tuple(len(item.gold.split(", ")) / len(item.choices) for item in items)
    return ConstantAnswer("equal", math.fsum(shares) / len(items), shares)
