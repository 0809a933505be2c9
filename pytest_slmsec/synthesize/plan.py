"""The file that ``slmsec synthesize`` reads: TOML as data classes, with every key checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import check_keys, read_toml
from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.synthesize.prompts import ANSWER_SYSTEM, QUESTION_PROMPT, SLOTS, TOPIC_PROMPT

MOST_LEAVES = 10_000
Table = TypeVar("Table")


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """The table ``[topics]``: `root` with `breadth` and `depth`, or `tree`, or `file`.

    Attributes:
        root: what everything is about; the tree below it comes from the model. breadth: subtopics of each topic.
        depth: levels below the root.
        tree: nested tables and lists of names. file: JSON or TOML with such a tree, relative to the plan.
        prompt: wording with the slots {n} and {topic}. temperature, seed: as in `core.items.Generate`.
        max_new_tokens: most tokens of an answer.
    """

    root: str = ""
    breadth: int = 4
    depth: int = 2
    tree: Mapping[str, Any] | Sequence[Any] | None = None
    file: str | None = None
    prompt: str = TOPIC_PROMPT
    temperature: float = 0.0
    seed: int = 0
    max_new_tokens: int = 512


@dataclass(frozen=True, slots=True)
class QuestionSettings:
    """The table ``[questions]``. `per_topic`: questions about each leaf of the tree; else as in `TopicSettings`."""

    per_topic: int = 5
    prompt: str = QUESTION_PROMPT
    temperature: float = 0.7
    seed: int = 0
    max_new_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """The table ``[answers]``. `system`: the system turn before each question; empty: none."""

    system: str = ANSWER_SYSTEM
    temperature: float = 0.0
    seed: int = 0
    max_new_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """The table ``[filters]``.

    Attributes:
        question_words, answer_words: fewest and most words.
        near_duplicate: share of the runs of 8 words of the shorter text that makes it a copy of an earlier one.
        benchmarks: patterns of benchmarks whose items no row may hold.
        judge: a model that accepts or rejects each answer, as ``--model`` takes it; None: none.
    """

    question_words: tuple[int, int] = (3, 80)
    answer_words: tuple[int, int] = (3, 1000)
    near_duplicate: float = 0.5
    benchmarks: tuple[str, ...] = ("*",)
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, of which model, and what is kept. `path`: the file; `model`: as ``--model`` takes it."""

    path: Path
    model: str
    topics: TopicSettings
    questions: QuestionSettings = field(default_factory=QuestionSettings)
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    filters: FilterSettings = field(default_factory=FilterSettings)


TABLES: Mapping[str, type[Any]] = {
    "topics": TopicSettings, "questions": QuestionSettings, "answers": AnswerSettings, "filters": FilterSettings,
}  # fmt: skip


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        UsageError: the file cannot be read, is no TOML, lacks the model or the topics, or has an unknown key or a value
            that cannot be used; names the key, near matches and what to write.
    """
    content = read_toml(path, "docs/synthesize.md")
    check_keys(str(path), content, ("model", *TABLES))
    model = content.get("model")
    if not isinstance(model, str) or not model.strip():
        raise UsageError(f'{path} names no model that writes the data: write, for example, model = "openai:NAME".')
    read = {name: _table(path, name, content.get(name, {}), kind) for name, kind in TABLES.items()}
    _check_topics(path, read["topics"], content.get("topics", {}))
    return Plan(path, model, **read)


def _table(path: Path, name: str, given: Any, kind: type[Table]) -> Table:
    if not isinstance(given, dict):
        raise UsageError(f"{path}: {name} = {shortened(repr(given), 60)} must be a table: write [{name}].")
    where = f"{path}: [{name}]"
    check_keys(where, given, [one.name for one in fields(kind)])  # type: ignore[arg-type]
    for key, value in given.items():
        remedy = CHECKS[key](value)
        if remedy is not None:
            raise UsageError(f"{where} {key} = {shortened(repr(value), 60)}: {remedy}.")
    return kind(**{key: tuple(value) if key in TUPLES else value for key, value in given.items()})


def _check_topics(path: Path, topics: TopicSettings, given: Mapping[str, Any]) -> None:
    ways = [key for key in ("root", "tree", "file") if key in given]
    if len(ways) != 1:
        found = f"has {' and '.join(ways)}" if ways else "has none of them"
        raise UsageError(f"{path}: [topics] {found}: write root (with breadth and depth), or tree, or file.")
    if ways == ["root"] and topics.breadth**topics.depth > MOST_LEAVES:
        leaves = topics.breadth**topics.depth
        raise UsageError(f"{path}: [topics] breadth = {topics.breadth}, depth = {topics.depth} make {leaves:,} topics, "
                         f"and at most {MOST_LEAVES:,} are asked about: lower one of them.")  # fmt: skip


def _whole(least: int) -> Any:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if fits else f"write a whole number of at least {least}"

    return check


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "write a text in quotes"


def _name(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "write a text in quotes that is not empty"


def _wording(value: Any) -> str | None:
    fits = isinstance(value, str) and all(slot in value for slot in SLOTS)
    return None if fits else f"write a text in quotes with {' and '.join(SLOTS)} in it"


def _between(least: float, most: float) -> Any:
    def check(value: Any) -> str | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        return None if fits else f"write a number from {least:g} to {most:g}"

    return check


def _words(value: Any) -> str | None:
    whole = isinstance(value, list) and len(value) == 2 and all(_whole(1)(one) is None for one in value)
    return None if whole and value[0] <= value[1] else "write the fewest and the most words, such as [3, 80]"


def _patterns(value: Any) -> str | None:
    fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return None if fits else 'write a list of names or patterns in quotes, such as ["cti-*"]'


def _tree(value: Any) -> str | None:
    return None if isinstance(value, dict | list) else "write nested tables and lists of names"


TUPLES = ("question_words", "answer_words", "benchmarks")
CHECKS: Mapping[str, Any] = {
    "root": _name, "breadth": _whole(1), "depth": _whole(1), "tree": _tree, "file": _name, "per_topic": _whole(1),
    "prompt": _wording, "temperature": _between(0, 2), "seed": _whole(0), "max_new_tokens": _whole(1), "system": _text,
    "question_words": _words, "answer_words": _words, "near_duplicate": _between(0.05, 1), "benchmarks": _patterns,
    "judge": _name,
}  # fmt: skip
"""What to write instead of a value that cannot be used, or None, by key."""
