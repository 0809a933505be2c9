"""CTIBench (Alam et al. 2024, arXiv 2406.07599; hub `AI4Sec/cti-bench`, repository `xashru/cti-bench`; CC BY-NC-SA).

Six published tasks, and the multiple-choice questions twice more by log-probability: of each letter (`cti-mcq-choice`),
and of each option's text (`cti-mcq-cloze`), the form for base models and very small ones (OLMES, Gu et al. 2024, arXiv
2406.08446: "Question: ... Answer:" without the options, log-probability divided by the characters of the option).
Upstream inference: one system sentence, the column `Prompt` verbatim as the user turn, greedy, at most 2048 new tokens.

The default limits of new tokens leave room for the brief reasoning the prompts ask for before the last line, with a
vector spelled out metric by metric (VSP) and a reason for each technique (ATE) the longest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.actor_graph import ActorGraph, Graph
from pytest_slmsec.scoring.attack_techniques import score_techniques
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cvss import base_score, score_vector
from pytest_slmsec.scoring.cwe import score_cwe
from pytest_slmsec.scoring.letters import score_letter
from pytest_slmsec.scoring.metrics import ACCURACY, MAD, MEAN_F1
from pytest_slmsec.scoring.option_logprob import score_option, score_option_per_character
from pytest_slmsec.scoring.threat_actor import score_actor
from pytest_slmsec.tasks.base import READERS, HubSource, Task
from pytest_slmsec.tasks.baselines import best_actor, best_base_score, best_technique_set, modal_gold
from pytest_slmsec.tasks.tsv import FRESH_COPY, bad_cell, find_file, read_tsv, shown

SYSTEM = "You are a cybersecurity expert specializing in cyberthreat intelligence."
LETTERS = ("A", "B", "C", "D")
OPTIONS = tuple(f"Option {letter}" for letter in LETTERS)
HUB_DATASET = "AI4Sec/cti-bench"
HUB_REVISION = "9237e1636ee3e168fbe5ebdcc1c571de0525e568"
ACTOR_GOLD = "cti-bench/evaluation/responses/cti-taa-responses.tsv"
ALIASES = "cti-bench/evaluation/alias_dict.json"
RELATED = "cti-bench/evaluation/related_dict.json"

Rows = Sequence[Mapping[str, object]]
Gold = Callable[[str], str | None]
"""A cell of the column `GT` to the gold answer, or None if it is none."""
Category = Callable[[Mapping[str, object], str], str | None]
"""A row and its gold answer to the item's category, or None."""
SEVERITIES = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
"""Least base score of each severity, from the CVSS v3.1 specification, section 5."""
KNOWLEDGE_BASES = {"attack.mitre.org": "ATT&CK", "cwe.mitre.org": "CWE", "capec.mitre.org": "CAPEC"}


def letter_gold(cell: str) -> str | None:
    """A letter of the options; one published cell is lower case."""
    letter = cell.strip().upper()
    return letter if letter in LETTERS else None


def cwe_gold(cell: str) -> str | None:
    """A weakness id."""
    return cell.strip() if re.fullmatch(r"CWE-\d+", cell.strip()) else None


def vector_gold(cell: str) -> str | None:
    """A CVSS v3 vector with its prefix."""
    return cell.strip() if base_score(cell.strip()) is not None else None


def techniques_gold(cell: str) -> str | None:
    """Technique ids, separated by commas."""
    return cell.strip() if re.fullmatch(r"\s*T\d{4}(\s*,\s*T\d{4})*\s*", cell) else None


def weakness(row: Mapping[str, object], gold: str) -> str | None:
    """The weakness that is asked for."""
    del row
    return gold


def severity(row: Mapping[str, object], gold: str) -> str | None:
    """The severity of a vector's base score."""
    del row
    score = base_score(gold) or 0.0
    return next((name for least, name in SEVERITIES if score >= least), "none")


def platform(row: Mapping[str, object], gold: str) -> str | None:
    """The platform of the malware (``Enterprise``, ``Mobile``)."""
    del gold
    return str(row.get("Platform") or "").strip() or None


def knowledge_base(row: Mapping[str, object], gold: str) -> str | None:
    """Where a question was taken from: ``CWE``, ``CAPEC``, or ATT&CK with its part, ``ATT&CK techniques``."""
    del gold
    url = urlsplit(str(row.get("URL") or ""))
    base = KNOWLEDGE_BASES.get(url.netloc)
    part = url.path.strip("/").partition("/")[0]
    return f"{base} {part}" if base == "ATT&CK" and part else base


def read_rows(
    task: str,
    gold: Gold,
    expected: str,
    rows: Rows,
    source: Path | str | None = None,
    by_choice: bool = False,
    cloze: bool = False,
    category: Category = knowledge_base,
) -> list[Item]:
    """Items of the rows of one published table.

    Args:
        task: name of the task, and first part of each id.
        gold: reads the column `GT`. expected: what stands there, for messages.
        rows: cells by column; a missing cell (None, as data frames read an empty one) is an empty text.
        source: the file, for messages.
        by_choice: the letters are compared by log-probability as the first token of the reply.
        cloze: with `by_choice`, the texts of the options are compared instead, as continuations of the bare question.
        category: what an item's `meta` gets as its category.

    Raises:
        DataError: a missing column, an empty prompt, or a gold answer that is none.
    """
    source = source or f"{task} rows"
    if cloze:
        return [_cloze_item(f"{task}-{number:05d}", row, number, source, gold, expected)
                for number, row in enumerate(rows, 1)]  # fmt: skip
    choices = LETTERS if by_choice else ()
    return [
        Item(
            id=f"{task}-{number:05d}",
            prompt=_prompt(row, number, source),
            gold=_gold(row, number, source, gold, expected),
            system=SYSTEM,
            choices=choices,
            labels=choices,
            question=_cell(row, number, "Question", source) if by_choice else "",
            options=tuple(_cell(row, number, option, source) for option in OPTIONS) if by_choice else (),
            origin=_origin(source, number),
            meta=_meta(row) | _category(category(row, _gold(row, number, source, gold, expected))),
        )
        for number, row in enumerate(rows, 1)
    ]


def _cloze_item(
    name: str, row: Mapping[str, object], number: int, source: Path | str, gold: Gold, expected: str
) -> Item:
    """A question as raw text and the texts of its options as continuations.

    An option without text (five published ones) cannot continue anything and is left out. Where it is the right one
    (row 2236) the item cannot be answered, and the scorer keeps it out of the denominator.
    """
    right = _gold(row, number, source, gold, expected)
    texts = {letter: _cell(row, number, option, source) for letter, option in zip(LETTERS, OPTIONS, strict=True)}
    given = {letter: text.strip() for letter, text in texts.items() if text.strip()}
    question = _cell(row, number, "Question", source).strip()
    return Item(
        id=name,
        prompt=f"Question: {question}\nAnswer:",
        gold=right,
        choices=tuple(f" {text}" for text in given.values()),
        labels=tuple(given),
        raw=True,
        question=question,
        options=tuple(given.values()),
        origin=_origin(source, number),
        meta=_meta(row) | _category(knowledge_base(row, right)),
    )


def _origin(source: Path | str, number: int) -> str:
    return f"{Path(source).name} row {number}"


def _cell(row: Mapping[str, object], number: int, column: str, source: Path | str) -> str:
    if column not in row:
        bad_cell(source, number, column, "the column is missing")
    value = row[column]
    return "" if value is None else str(value)


def _prompt(row: Mapping[str, object], number: int, source: Path | str) -> str:
    prompt = _cell(row, number, "Prompt", source)
    return prompt if prompt.strip() else bad_cell(source, number, "Prompt", "the prompt is empty")


def _gold(row: Mapping[str, object], number: int, source: Path | str, gold: Gold, expected: str) -> str:
    cell = _cell(row, number, "GT", source)
    found = gold(cell)
    return found if found is not None else bad_cell(source, number, "GT", f"{shown(cell)} is not {expected}")


def _category(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"category": name}


def _meta(row: Mapping[str, object]) -> dict[str, Any]:
    meta: dict[str, Any] = {name.lower(): row[name] for name in ("URL", "Platform") if name in row}
    if all(option in row for option in OPTIONS):
        meta["options"] = [str(row[option] or "") for option in OPTIONS]
    return meta


def load_table(file: str, columns: Sequence[str], read: Callable[[Rows, Path], list[Item]], root: Path) -> list[Item]:
    """Items of the published file `file` below `root`; see `tasks.base.Loader`."""
    path = find_file(root, file, Path(file).stem)
    return read(read_tsv(path, columns), path)


def load_actors(root: Path) -> list[Item]:
    """Items of threat-actor attribution. Text, gold answers and the two graphs are four files; gold rows follow the
    order of the texts. `meta` gets what `scoring.threat_actor.score_actor` needs."""
    task = "cti-taa"
    texts, golds = (find_file(root, file, task) for file in ("cti-bench/data/cti-taa.tsv", ACTOR_GOLD))
    rows, gold_rows = read_tsv(texts, ("Prompt",)), read_tsv(golds, ("GT",))
    if len(rows) != len(gold_rows):
        raise DataError(
            f"{texts} has {len(rows)} rows and {golds}, column 'GT', has {len(gold_rows)}; row n of one belongs to "
            f"row n of the other: {FRESH_COPY}."
        )
    alias, related = (read_graph(find_file(root, file, task)) for file in (ALIASES, RELATED))
    graphs = {mode: ActorGraph(alias, related, drop_nan=mode is Mode.STRICT) for mode in Mode}
    known = sorted(graphs[Mode.STRICT].names)
    return [
        Item(
            id=f"{task}-{number:05d}",
            prompt=_prompt(row, number, texts),
            gold=_gold(gold_row, number, golds, _actor_gold, "the name of an actor"),
            system=SYSTEM,
            origin=_origin(texts, number),
            meta=_meta(row) | {"known": known} | {mode.value: _names(graphs[mode], gold_row["GT"]) for mode in Mode},
        )
        for number, (row, gold_row) in enumerate(zip(rows, gold_rows, strict=True), 1)
    ]


def _actor_gold(cell: str) -> str | None:
    return cell.strip() or None


def _names(graph: ActorGraph, gold: str) -> dict[str, list[str]]:
    return {key: sorted(names) for key, names in graph.groups(gold)._asdict().items()}


def read_graph(path: Path) -> Graph:
    """A JSON object of names to lists of names.

    Raises:
        DataError: it is something else.
    """
    try:
        graph = json.loads(path.read_bytes())
    except ValueError as error:  # not JSON, or not UTF-8
        raise DataError(f"{path}: not JSON in UTF-8 ({error}); {FRESH_COPY}.") from error
    names = graph.items() if isinstance(graph, dict) else [("the whole file", None)]
    for name, others in names:
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise DataError(f"{path}, {shown(name)}: not a list of names; {FRESH_COPY}.")
    return graph  # type: ignore[no-any-return]


def _table_task(
    name: str,
    file: str,
    gold: Gold,
    expected: str,
    *,
    options: bool = False,
    on_hub: bool = True,
    cloze: bool = False,
    category: Category = knowledge_base,
    **rest: Any,
) -> Task:
    """A task whose items stand in one table with the gold answers."""
    path = f"cti-bench/data/{file}.tsv"
    by_choice = rest.get("max_new_tokens") == 0
    read = partial(read_rows, name, gold, expected, by_choice=by_choice, cloze=cloze, category=category)
    columns = ("Prompt", "GT", *(OPTIONS if options else ()), *(("Question",) if by_choice else ()))
    return Task(
        name,
        load=partial(load_table, path, columns, read),
        files=(path,),
        hub=HubSource(HUB_DATASET, file, "test", HUB_REVISION) if on_hub else None,
        from_rows=read,
        **rest,
    )


# "CWE-79."
ONE_CWE = r"CWE-\d+(?=\D)"
# "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n"
ONE_VECTOR = (
    "/".join(f"{metric}:[A-Za-z]+" for metric in ("AV", "AC", "PR", "UI", "S", "C", "I", "A")) + "(?=[^A-Za-z])"
)
"""Complete answers for ``--slmsec-stop-when-answered``, each with the character behind it: until that is generated, the
last number or word may still grow."""

_MCQ: dict[str, Any] = {
    "file": "cti-mcq",
    "gold": letter_gold,
    "expected": "one of the options A, B, C, D",
    "options": True,
    "metric": ACCURACY,
    "constant": modal_gold,
    "n_items": 2500,
}
_RCM: dict[str, Any] = {
    "gold": cwe_gold,
    "expected": "a weakness id such as CWE-79",
    "category": weakness,
    "scorer": score_cwe,
    "metric": ACCURACY,
    "constant": modal_gold,
    "n_items": 1000,
    "max_new_tokens": 512,
    "answered": ONE_CWE,
    "version": READERS,
}

TASKS: tuple[Task, ...] = (
    _table_task("cti-mcq", scorer=score_letter, max_new_tokens=256, version=READERS, **_MCQ),
    _table_task("cti-mcq-choice", scorer=score_option, max_new_tokens=0, **_MCQ),
    _table_task("cti-mcq-cloze", scorer=score_option_per_character, max_new_tokens=0, cloze=True, **_MCQ),
    _table_task("cti-rcm", "cti-rcm", **_RCM),
    _table_task("cti-rcm-2021", "cti-rcm-2021", on_hub=False, **_RCM),
    _table_task(
        "cti-vsp",
        "cti-vsp",
        vector_gold,
        "a CVSS v3 vector such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        category=severity,
        scorer=score_vector,
        metric=MAD,
        constant=best_base_score,
        n_items=1000,
        max_new_tokens=768,
        answered=ONE_VECTOR,
        version=READERS,
    ),
    Task(
        "cti-taa",
        scorer=score_actor,
        metric=ACCURACY,
        load=load_actors,
        files=("cti-bench/data/cti-taa.tsv", ACTOR_GOLD, ALIASES, RELATED),
        constant=best_actor,
        n_items=50,
        max_new_tokens=512,
        version=READERS,
    ),
    _table_task(
        "cti-ate",
        "cti-ate",
        techniques_gold,
        "a list of technique ids such as T1059, T1071",
        category=platform,
        scorer=score_techniques,
        metric=MEAN_F1,
        constant=best_technique_set,
        n_items=60,
        max_new_tokens=1024,
        version=READERS,
    ),
)
