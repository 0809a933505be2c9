"""What a case sends to the main process with its report: plain data only, because it goes through xdist and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pytest_slmsec.collection.cases import Case, Evaluation
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import TRAINED_ON, VARIANT, Answer, Item
from pytest_slmsec.core.journal import StoredBatch
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.settings import DEFAULT_THOUGHT_TOKENS
from pytest_slmsec.execution.model_grading import judge_identity
from pytest_slmsec.perturb.benchmark import PERTURBED, clean_label
from pytest_slmsec.replay.match import Replayed
from pytest_slmsec.tasks.baselines import ConstantAnswer


def row(case: Case, answer: Answer, trained_on: bool | None = None) -> dict[str, Any]:
    """One measured case.

    Args:
        trained_on: whether its question stands in the training data; None: not looked for.
    """
    output, score = answer.output, answer.score
    return {
        "group": case.evaluation.label,
        "model": case.evaluation.model.name,
        "row": case.row,
        "item": answer.item.id,
        "error": answer.error,
        "score": None if score is None else {**asdict(score), "parts": dict(score.parts)},
        "prompt_tokens": output.prompt_tokens,
        "prompt_words": _words(answer),
        "new_tokens": output.new_tokens,
        "thought_tokens": output.thought_tokens,
        "hit_limit": output.hit_limit,
        "seconds": answer.seconds,
        "first_token_s": output.first_token_s,
        "gold": answer.item.gold,
        "cluster": _named(answer.item, "cluster"),
        "category": _named(answer.item, "category"),
        TRAINED_ON: trained_on,
        VARIANT: answer.item.meta.get(VARIANT),
        "text": answer.text,
        "thought": output.thought,
        "logprobs": output.choice_logprobs and list(output.choice_logprobs),
        "choice_scores": output.choice_scores and list(output.choice_scores),
        "replies": [asdict(reply) for reply in output.replies],
    }


def _named(item: Item, key: str) -> str | None:
    """What the benchmark says about an item: its ``cluster``, the text that it shares with other items, which are
    therefore not independent; or its ``category`` (tactic, weakness, language), by which losses are shown.
    """
    name = item.meta.get(key)
    return None if name is None else str(name)


def _words(answer: Answer) -> int | None:
    """The least number of words (between blanks) that were asked; None for encoders, which get only a part."""
    item = answer.item
    if answer.output.choice_scores is not None:
        return None
    return min(len(text.split()) for text in (item.contexts or (item.prompt,)))


def transcript(case: Case, answer: Answer, info: Callable[[ModelSpec], EngineInfo | None]) -> dict[str, Any]:
    """The texts of one case, for ``--slmsec-transcript``.

    Args:
        info: facts about a model that was loaded.
    """
    item = answer.item
    return {
        "item_sha256": case.evaluation.keys[case.row],
        "decoding": _decoding(case.evaluation, info(case.evaluation.model)),
        "system": item.system,
        "shots": [list(turn) for turn in item.shots],
        "prompt": item.prompt,
        "choices": list(item.choices),
    }


def batch(stored: StoredBatch) -> dict[str, Any]:
    """Timing and meters of one batch."""
    return {"timing": dict(stored.timing), "meters": dict(stored.meters), "notes": list(stored.notes)}


def header(evaluation: Evaluation, info: Callable[[ModelSpec], EngineInfo | None], file: str) -> dict[str, Any]:
    """Facts about an evaluation that every comparison needs; sent once by each process.

    Args:
        info: facts about a model that was loaded. file: where its test stands.
    """
    task, model, metric = evaluation.task, evaluation.model, evaluation.metric
    constant = ConstantAnswer(*task.constant(evaluation.items, evaluation.mode)) if task.constant else None
    keys, decoding = evaluation.keys, _decoding(evaluation, info(model))
    return {
        "file": file,
        "task": task.name,
        "by_choice": task.by_choice,
        "metric": metric.name,
        "higher_is_better": metric.higher_is_better,
        "scale": metric.scale,
        "binary": metric.binary,
        "base": model.base,
        "quant": model.quant,
        "adapter": model.adapter and model.adapter.name,
        "n_expected": len(evaluation.positions),
        "constant": None if constant is None else {"answer": constant.answer, "value": constant.value},
        "constant_per_item": None if constant is None or constant.per_item is None else list(constant.per_item),
        "mode": evaluation.mode.value,
        "scorer": f"{task.name}/{evaluation.mode.value}/{task.version}",
        "source": evaluation.dataset.origin,
        "recorded": None if evaluation.replayed is None else _recorded(evaluation, evaluation.replayed),
        **_variants(evaluation),
        "dataset_sha256": evaluation.dataset.sha256,
        "items_sha256": sha256_json(keys),
        "item_sha256": [key[:16] for key in keys],
        "decoding": decoding,
        "decoding_sha256": sha256_json(decoding),
        "engine": _engine(info(model)),
        "judge": judge_identity(evaluation, info),
        "judges": {
            role: {"model": spec.name, **(_engine(info(spec)) or {})} for role, spec in evaluation.roles.items()
        },
    }


def _variants(evaluation: Evaluation) -> dict[str, Any]:
    """Of perturbed items: how many there are of each kind, and which group asks the published texts."""
    facts = evaluation.dataset.facts_of_variants()
    return {} if facts is None else {PERTURBED: {**facts, "clean": clean_label(evaluation.label, evaluation.task.name)}}


def _decoding(evaluation: Evaluation, info: EngineInfo | None) -> dict[str, Any]:
    """How answers are generated; of recorded ones, as far as it was recorded."""
    if evaluation.replayed is not None:
        return dict(evaluation.replayed.recording.decoding)
    example = asdict(evaluation.request(evaluation.items[0]))
    early = {"answered": example["answered"]} if example.get("answered") else {}
    known = {key: example.get(key) for key in ("max_new_tokens", "stop", "raw")}
    return known | early | _thinking(info, evaluation.task.by_choice, bool(example.get("raw")))


def _thinking(info: EngineInfo | None, by_choice: bool, raw: bool) -> dict[str, Any]:
    """The settings of the model's thinking, as far as they affect the answers to such questions."""
    facts: Any = {} if info is None or raw else info.extra.get("thinking") or {}
    found: dict[str, Any] = {}
    if facts.get("template"):
        found["template"] = dict(facts["template"])
    if not by_choice and facts.get("asked", "auto") != "auto":
        found["thinking"] = facts["asked"]
    if not by_choice and facts.get("thought_tokens") not in (None, DEFAULT_THOUGHT_TOKENS):
        found["thought_tokens"] = facts["thought_tokens"]
    return found


def _recorded(evaluation: Evaluation, replayed: Replayed) -> dict[str, Any]:
    """Where recorded answers come from, and what their run measured."""
    recording = replayed.recording
    return {
        "file": recording.path.name,
        "model": recording.model,
        "costs": dict(recording.costs),
        "reasons": dict(recording.reasons),
        "notes": replayed.notes(evaluation.known),
    }


def _engine(info: EngineInfo | None) -> dict[str, Any] | None:
    return None if info is None else {**asdict(info), "extra": dict(info.extra)}


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that holds only JSON types: tuples become lists, anything else its text."""
    result = _plain(value)
    assert isinstance(result, dict)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    # By exact type: subclasses of str, such as torch's version, are refused by xdist's serialiser.
    return value if value is None or type(value) in (str, int, float, bool) else str(value)
