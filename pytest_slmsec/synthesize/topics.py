"""The tree of topics: normalised names, no topic twice, grown by a model or given, saved so that it can be edited."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.toml_files import read_toml
from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.synthesize.lists import clean, read_list
from pytest_slmsec.synthesize.prompts import Path

LONGEST_NAME = 100
"""Characters; a longer line is a sentence and no topic."""
DEEPEST = 20


@dataclass
class Tree:
    """Topics by name, each with those below it.

    Attributes:
        below: the topics below this one, in order. duplicates, too_long: names that were left out, counted at the root.
    """

    below: dict[str, Tree] = field(default_factory=dict)
    duplicates: int = 0
    too_long: int = 0

    def leaves(self, path: Path = ()) -> Iterator[Path]:
        """The paths of the topics that have none below, in order."""
        for name, tree in self.below.items():
            yield from tree.leaves((*path, name)) if tree.below else [(*path, name)]

    def at(self, path: Path) -> Tree:
        """The tree below a path."""
        return self if not path else self.below[path[0]].at(path[1:])

    def add(self, path: Path, name: str) -> bool:
        """Add a topic below a path. Returns whether it is there now: not where its name is too long, that of another
        topic beside it or of one above it, whatever the case of its letters."""
        name = normalised(name)
        if not name or len(name) > LONGEST_NAME:
            self.too_long += 1
            return False
        place = self.at(path)
        if name.casefold() in {other.casefold() for other in (*path, *place.below)}:
            self.duplicates += 1
            return False
        place.below[name] = Tree()
        return True

    def plain(self) -> dict[str, Any] | list[str]:
        """As it is saved: a list of names where none has topics below, else a table."""
        if any(tree.below for tree in self.below.values()):
            return {name: tree.plain() for name, tree in self.below.items()}
        return list(self.below)


def normalised(name: str) -> str:
    """A topic's name without marks of lists, quotes and punctuation at its end."""
    return clean(name).strip().rstrip(".,;:").strip()


def read_tree(value: Any, where: str) -> Tree:
    """A tree from nested tables and lists of names.

    Args:
        where: for messages.

    Raises:
        UsageError: a value that is no name, table or list; or no topic at all.
    """
    tree = Tree()
    _fill(tree, (), value, where)
    if not tree.below:
        raise UsageError(f'{where} holds no topic: write, for example, {{"Phishing": ["Spear phishing", "Vishing"]}}.')
    return tree


def _fill(tree: Tree, path: Path, value: Any, where: str) -> None:
    if len(path) > DEEPEST or not isinstance(value, Mapping | list):
        place = f"below {' > '.join(path)}" if path else "at its top"
        raise UsageError(f"{where}: {shortened(repr(value), 60)} {place} is no list of names and no table of topics.")
    entries: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
    names: Sequence[Any] = list(value)
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"{where}: {shortened(repr(name), 60)} is no name of a topic: write a text in quotes.")
        fresh = tree.add(path, name)
        below = entries.get(name)
        if below and (fresh or normalised(name) in tree.at(path).below):
            _fill(tree, (*path, normalised(name)), below, where)


def read_tree_file(path: pathlib.Path) -> Tree:
    """A tree out of a JSON or TOML file.

    Raises:
        UsageError: it cannot be read, or see `read_tree`.
    """
    if path.suffix.lower() == ".toml":
        return read_tree(read_toml(path), str(path))
    try:
        value = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a JSON or TOML file of topics.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no valid JSON ({error}): correct it, or remove it.") from error
    return read_tree(value, str(path))


def grow(root: str, breadth: int, depth: int, ask: Callable[[Sequence[Path]], Sequence[Output]]) -> tuple[Tree, int]:
    """Grow a tree level by level.

    Args:
        ask: asks for the subtopics of some topics; outputs in their order.

    Returns:
        The tree, and the number of answers of which no topic was read.
    """
    tree, unparsable = Tree(), 0
    tree.add((), root)
    level: list[Path] = [(normalised(root),)]
    for _ in range(depth):
        below: list[Path] = []
        for path, output in zip(level, ask(level), strict=True):
            names = read_list(output.text or "")
            before = len(below)
            for name in names:
                if len(below) - before == breadth:
                    break
                if tree.add(path, name):
                    below.append((*path, normalised(name)))
            unparsable += output.error is None and len(below) == before
        level = below
    return tree, unparsable
