"""Aliases and relations of threat actors (CTIBench TAA, Alam et al. 2024, arXiv 2406.07599; upstream
`evaluation/evaluation.ipynb` with `alias_dict` and `related_dict`).

An answer is *correct* if the gold name reaches it over the alias graph, made two-way, and *plausible* if it does over
aliases and related groups together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Graph = Mapping[str, Sequence[str]]

NO_ALIAS = "nan"


class ActorGroups(NamedTuple):
    """Names that count for one gold name, lower case: `correct` is contained in `plausible`."""

    correct: frozenset[str]
    plausible: frozenset[str]


class ActorGraph:
    """The alias graph and the related-groups graph, lower case and two-way.

    Args:
        alias, related: name to names, as published.
        drop_nan: leave out the literal ``nan`` nodes, which stand for "no alias known" and join unrelated groups.
    """

    def __init__(self, alias: Graph, related: Graph, *, drop_nan: bool) -> None:
        """See the class."""
        self._drop_nan = drop_nan
        self._alias = self._two_way((alias,))
        self._both = self._two_way((alias, related))

    def groups(self, gold: str) -> ActorGroups:
        """The names reached from `gold` in at least one step: a name without neighbours does not even reach itself, as
        upstream; without the ``nan`` nodes it does."""
        name = gold.strip().lower()
        itself = frozenset({name}) if self._drop_nan else frozenset()
        return ActorGroups(_reached(self._alias, name) | itself, _reached(self._both, name) | itself)

    @property
    def names(self) -> frozenset[str]:
        """Every name of both graphs."""
        return frozenset(self._both) - {NO_ALIAS}

    def _two_way(self, graphs: Iterable[Graph]) -> dict[str, set[str]]:
        edges: dict[str, set[str]] = {}
        for name, others in (pair for graph in graphs for pair in graph.items()):
            for one, two in ((name.strip().lower(), other.strip().lower()) for other in others):
                if not (self._drop_nan and NO_ALIAS in (one, two)):
                    edges.setdefault(one, set()).add(two)
                    edges.setdefault(two, set()).add(one)
        return edges


def _reached(edges: Mapping[str, set[str]], start: str) -> frozenset[str]:
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return frozenset(seen)
