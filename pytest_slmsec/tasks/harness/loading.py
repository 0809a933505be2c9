"""Task objects of `lm_eval` over documents that are already in memory.

The package is given a YAML file of a few keys that includes its own definition, with `custom_dataset` in place of the
data set, so that neither its index of all tasks is built (5 seconds) nor anything is downloaded.
Interface: lm_eval 0.4.13, ``docs/task_guide.md`` and ``tasks/manager.py`` (`TaskManager`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataError, UsageError
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.tasks.harness.definition import Definition
from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import FRESH_COPY

Splits = Mapping[str, Sequence[Record]]
SPLIT_KEYS = ("training_split", "validation_split", "test_split", "fewshot_split")

_in_work: ContextVar[Splits] = ContextVar("slmsec_lm_eval_rows")
_loaded: dict[str, Any] = {}


def task_of(definition: Definition) -> Any:
    """The task object that was loaded last for a definition.

    Raises:
        KeyError: none was.
    """
    return _loaded[definition.name]


def load_task(definition: Definition, splits: Splits) -> Any:
    """The task object over these documents, its few-shot examples drawn with the package's own seed.

    Raises:
        DataError: the package cannot make questions of the documents. UsageError: a kind of task that cannot be asked.
    """
    from lm_eval.defaults import DEFAULT_OTHER_SEED
    from lm_eval.tasks import TaskManager

    config = stock_config(definition.path)
    check_supported(definition.name, config)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "task.yaml").write_text(_yaml(definition.path, config, splits), "utf-8")
        token = _in_work.set(splits)
        try:
            with quiet():
                task = TaskManager(include_defaults=False, include_path=folder).load([definition.name])
        except Exception as error:  # of many kinds: jinja2, arrow, datasets, the task's own functions
            raise _unusable(definition, splits, error) from error
        finally:
            _in_work.reset(token)
    loaded = task["tasks"][definition.name]
    if loaded.get_config("num_fewshot") is None:
        loaded.set_config("num_fewshot", 0)
    loaded.set_fewshot_seed(DEFAULT_OTHER_SEED)
    _loaded[definition.name] = loaded
    return loaded


def check_supported(name: str, config: Mapping[str, Any]) -> None:
    """Refuse what greedy text and log-probabilities of continuations cannot answer.

    Raises:
        UsageError: names the task and what it asks for.
    """
    kind = str(config.get("output_type", "generate_until"))
    options = config.get("generation_kwargs") or {}
    why = None
    if "class" in config:
        why = "is written as Python code of its own and not as a definition"
    elif kind not in ("multiple_choice", "loglikelihood", "generate_until"):
        why = f"asks for {kind} (the log-probability of whole texts), which is not measured here"
    elif config.get("doc_to_image") or config.get("doc_to_audio"):
        why = "shows images or plays sounds, and only text is asked here"
    elif config.get("unsafe_code"):
        why = "runs code that the model wrote, which is never done here"
    elif options.get("do_sample") or float(options.get("temperature") or 0.0) > 0.0:
        why = "asks for sampled answers, and answers are greedy here"
    if why:
        raise UsageError(f"--slmsec-lm-eval={name}: this task {why}; name another one.")


def rows_in_work(**_: Any) -> Any:
    """The documents as `datasets` holds them: what `lm_eval` calls instead of loading a data set."""
    import datasets

    splits = {name: [dict(row.value) for row in rows] for name, rows in _in_work.get().items()}
    return datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in splits.items()})


def _yaml(path: Path, config: Mapping[str, Any], splits: Splits) -> str:
    """The definition over what is there; splits that are not there are not named either: nothing is taken from them."""
    absent = [key for key in SPLIT_KEYS if config.get(key) is not None and config[key] not in splits]
    lines = [
        f"include: {json.dumps(str(path))}",
        f"custom_dataset: !function {__name__}.{rows_in_work.__name__}",
        "dataset_kwargs: null",
        *(f"{key}: null" for key in absent),
    ]
    return "\n".join(lines) + "\n"


def stock_config(path: Path) -> Mapping[str, Any]:
    """A definition as it stands, includes resolved and functions not.

    Raises:
        UsageError: it defines no single task.
    """
    from lm_eval.tasks import TaskManager

    with quiet():
        index = TaskManager(include_defaults=False, include_path=path.parent).task_index
    for entry in index.values():
        if entry.yaml_path == path and entry.cfg and "task" in entry.cfg and "group" not in entry.cfg:
            return dict(entry.cfg)
    raise UsageError(f"{path} defines no task.")


def _unusable(definition: Definition, splits: Splits, error: Exception) -> DataError:
    source = splits[definition.split][0].source
    why = " ".join(str(error).split())[:200] or "no reason given"
    return DataError(
        f"{source}: lm_eval cannot make a task of it ({type(error).__name__}: {why}); the rows must be in the data "
        f"set's own format: {FRESH_COPY}."
    )
