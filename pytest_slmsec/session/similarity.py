"""Semantic similarity of answers and references, added to the scores at the end of the run.

It needs an embedding model of its own. Loaded earlier, that model would count in the memory figures of the models under
test, so it runs in the main process after everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.core.errors import ModelError, SlmsecError, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import SIMILARITY
from pytest_slmsec.scoring.similarity import Passages, mean_best_cosine
from pytest_slmsec.tasks.base import Task

if TYPE_CHECKING:
    from pytest_slmsec.engines.encoders.sentences import SentenceVectors

FLAG = "--slmsec-similarity-model"
NOT_NAMED = f"name a sentence-embedding model with {FLAG}=PATH|hf:ORG/NAME"

UNKNOWN = "{task} is not known to the main process: run it without -n"


def check_model(spec: ModelSpec) -> None:
    """Check, before anything runs, that a local directory holds a sentence-embedding model.

    Raises:
        UsageError: it does not.
    """
    if spec.source != "path":
        return
    from pathlib import Path

    from pytest_slmsec.engines.common.checkpoint import read_checkpoint
    from pytest_slmsec.engines.encoders.kinds import MODULES, Kind, find_kind

    try:
        kind = find_kind(read_checkpoint(Path(spec.location)))
    except ModelError as error:
        raise UsageError(f"{FLAG}={spec.name}: {error}") from None
    if kind is not Kind.EMBEDDING:
        raise UsageError(f"{FLAG}={spec.name}: it has no {MODULES}, so it is no sentence-embedding model.")


def add_similarity(
    results: Iterable[EvaluationResult],
    find: Callable[[str], Task | None],
    model: ModelSpec | None,
    settings: EngineSettings,
    say: Callable[[str], None],
) -> None:
    """Add the part ``similarity`` to the scores of every benchmark that compares passages.

    The header of each result names the embedding model, or the reason why there is no figure.

    Args:
        find: finds a task by its name. say: shows one line of progress.
    """
    chosen = []
    for evaluated in results:
        task = find(str(evaluated.header.get("task")))
        if task is None and SIMILARITY in _extras(evaluated):
            evaluated.header[SIMILARITY] = {"model": None, "reason": UNKNOWN.format(task=evaluated.header["task"])}
        elif task is not None and task.passages is not None:
            chosen.append((evaluated, task))
    if not chosen:
        return
    if model is None:  # where similarity is an extra that nobody asked for, it needs no reason
        return _without([one for one in chosen if SIMILARITY in _extras(one[0])], NOT_NAMED)
    say(f"loading {model.name}, for semantic similarity")
    try:
        from pytest_slmsec.engines.encoders.sentences import load_sentences

        encoder = load_sentences(model, settings)
    except SlmsecError as error:
        return _without(chosen, str(error))
    try:
        for evaluated, task in chosen:
            _measure(evaluated, task, model, encoder)
    except RuntimeError as error:  # of torch, such as memory that ran out; the scores themselves stand
        _without(chosen, f"{model.name} failed ({' '.join(str(error).split())[:200]})")
    finally:
        encoder.close()


def _extras(evaluated: EvaluationResult) -> Mapping[str, float | None]:
    result = evaluated.result()
    return {} if result is None else result.extras


def _without(chosen: Iterable[tuple[EvaluationResult, Task]], reason: str) -> None:
    for evaluated, _ in chosen:
        evaluated.header[SIMILARITY] = {"model": None, "reason": reason}


def _measure(evaluated: EvaluationResult, task: Task, model: ModelSpec, encoder: SentenceVectors) -> None:
    rows = evaluated.measured()
    passages = [_passages(task, row, Mode(evaluated.header["mode"])) for row in rows]
    texts = list(dict.fromkeys(text for one in passages for text in (*one.wanted, *one.given)))
    vectors = dict(zip(texts, encoder.vectors(texts), strict=True)) if texts else {}
    for row, one in zip(rows, passages, strict=True):
        row["score"]["parts"][SIMILARITY] = mean_best_cosine(one, vectors)
    evaluated.header[SIMILARITY] = {
        "model": model_id(model),
        "weights_sha256": encoder.info.weights_sha256,
        "reason": None,
    }


def _passages(task: Task, row: dict[str, Any], mode: Mode) -> Passages:
    """The passages of an answer that are compared, as the scorer sees it."""
    assert task.passages is not None
    cut = row["hit_limit"] and mode is Mode.STRICT and not task.cut_counts
    return task.passages(row["gold"], "" if cut else row["text"] or "", mode)
