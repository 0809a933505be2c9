"""Shards: a run cut into parts that separate processes measure, and the facts that bind their journals together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_slmsec.core.errors import UsageError

FORM = re.compile(r"(\d+)/(\d+)")
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the `of` parts of a run: ``--slmsec-shard=NUMBER/OF``. Numbers begin with 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/4``.

        Raises:
            UsageError: it has another form, or there is no such part.
        """
        found = FORM.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(
                f"--slmsec-shard={text}: write which part of how many, 1/4 to 4/4 for four parts. An array job that "
                "counts from 0 adds 1."
            )
        return cls(int(found[1]), int(found[2]))

    def part(self, whole: Sequence[Part]) -> Sequence[Part]:
        """Its part of a sequence: neighbours stay together, and the parts differ by one in length at most."""
        return whole[len(whole) * (self.number - 1) // self.of : len(whole) * self.number // self.of]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What the journal of a shard says about it.

    Attributes:
        shard: which part it is.
        plan: digest of the ids of all test cases of the whole run, in order; equal for all shards of one run.
        n_cases: how many these are. spans: which of them belong to this part (`spans_of`).
    """

    shard: Shard
    plan: str
    n_cases: int
    spans: tuple[tuple[int, int], ...]

    @property
    def places(self) -> set[int]:
        """Places of its test cases among those of the run, from 0."""
        return {place for begin, end in self.spans for place in range(begin, end)}

    def plain(self) -> dict[str, Any]:
        """Plain data, the inverse of `read`."""
        return {"number": self.shard.number, "of": self.shard.of, "plan": self.plan, "n_cases": self.n_cases,
                "spans": [list(span) for span in self.spans]}  # fmt: skip

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> ShardFacts:
        """The facts from plain data."""
        spans = tuple((int(begin), int(end)) for begin, end in plain["spans"])
        return cls(Shard(int(plain["number"]), int(plain["of"])), str(plain["plan"]), int(plain["n_cases"]), spans)


def spans_of(places: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Runs of neighbouring places, each as its first and the one behind its last."""
    spans: list[tuple[int, int]] = []
    for place in sorted(places):
        if spans and spans[-1][1] == place:
            spans[-1] = spans[-1][0], place + 1
        else:
            spans.append((place, place + 1))
    return tuple(spans)
