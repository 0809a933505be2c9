"""Documents of a task object of `lm_eval` as items: the package renders every prompt, few-shot examples included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, NoReturn

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.tasks.harness.definition import Definition
from pytest_slmsec.tasks.harness.loading import Splits, load_task
from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import FRESH_COPY

DOCUMENT, STOP, LIMIT = "document", "stop", "max_new_tokens"
"""Keys of `Item.meta`: the document as the package knows it, and for generation the strings that end an answer and the
most tokens it may have."""


def items_of(definition: Definition, splits: Splits) -> list[Item]:
    """The items of the split that is asked, in its order.

    All of them are rendered together and in order, because the package draws the examples of one document after the
    other from one generator of random numbers: what is selected later changes no prompt.

    Raises:
        DataError: file and record of what cannot be asked. UsageError: see `loading.load_task`.
    """
    task = load_task(definition, splits)
    asked = splits[definition.split]
    try:
        with quiet():
            task.build_all_requests()
    except Exception as error:  # of many kinds: jinja2, the task's own functions
        _name_the_record(definition, task, asked, error)
    of_document: dict[int, list[Any]] = {}
    for instance in task.instances:
        of_document.setdefault(instance.doc_id, []).append(instance)
    same = len(of_document) == len(asked)  # a task may drop documents of its split
    return [
        _item(definition, task, number + 1, instances, asked[number] if same else asked[0])
        for number, instances in of_document.items()
    ]


def labels_of(n: int) -> tuple[str, ...]:
    """Names of n choices: letters, then numbers."""
    return tuple(ascii_uppercase[:n]) + tuple(str(number) for number in range(27, n + 1))


def golds_of(definition: Definition, task: Any, document: Mapping[str, Any], n_choices: int) -> tuple[int, ...]:
    """Which choices are right, as `ConfigurableTask.process_results` finds them; out of range: none."""
    if definition.golds is not None:
        return tuple(definition.golds(document))
    if task.OUTPUT_TYPE == "loglikelihood":
        return (0,)
    gold = task.doc_to_text(document) if task.multiple_input else task.doc_to_target(document)
    if isinstance(gold, str):
        choices = task.doc_to_choice(document)
        gold = choices.index(gold) if gold in choices else -1
    golds = gold if isinstance(gold, list) else [gold]
    return tuple(one for one in golds if isinstance(one, int) and 0 <= one < n_choices)


def _item(definition: Definition, task: Any, number: int, instances: Sequence[Any], record: Record) -> Item:
    identifier = f"{definition.name}-{number:05d}"
    document = dict(instances[0].doc)
    if task.OUTPUT_TYPE == "generate_until":
        prompt, options = instances[0].args
        stop, limit = generation_of(options)
        meta = {DOCUMENT: document, STOP: stop, LIMIT: limit}
        gold = task.doc_to_target(document)
        return Item(identifier, prompt, str(gold), raw=True, origin=record.origin, meta=meta)
    contexts, choices = zip(*(instance.args for instance in instances), strict=True)
    labels = labels_of(len(choices))
    golds = golds_of(definition, task, document, len(choices))
    if not golds:
        _refuse(record, "its right answer is none of its choices")
    return Item(
        identifier,
        contexts[0],
        ", ".join(labels[gold] for gold in golds),
        choices=choices,
        labels=labels,
        raw=True,
        contexts=contexts if len(set(contexts)) > 1 else (),
        origin=record.origin,
        meta={DOCUMENT: document},
    )


def generation_of(options: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Stop strings and token limit of a request, read as the package's own models read them."""
    from lm_eval.models.utils import normalize_gen_kwargs

    read = normalize_gen_kwargs(dict(options))
    until = read["until"]
    return tuple([until] if isinstance(until, str) else until), int(read["max_gen_toks"])


def _name_the_record(definition: Definition, task: Any, asked: Sequence[Record], error: Exception) -> NoReturn:
    """Find the document that the package stumbled over."""
    documents = list(task.eval_docs)
    for record, document in zip(asked if len(asked) == len(documents) else (), documents, strict=False):
        try:
            context = task.fewshot_context(document, num_fewshot=0)
            task.construct_requests(document, context, metadata=(definition.name, 0, 1))
        except Exception as found:
            _refuse(record, f"lm_eval cannot make a question of it ({type(found).__name__}: {found})", found)
    _refuse(asked[0], f"lm_eval cannot make questions of this file ({type(error).__name__}: {error})", error)


def _refuse(record: Record, why: str, cause: Exception | None = None) -> NoReturn:
    sentence = " ".join(why.split())[:300]
    raise DataError(f"{record.source}, record {record.number}: {sentence}; {FRESH_COPY}.") from cause
