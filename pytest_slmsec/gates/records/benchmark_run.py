"""One benchmark on one model as it was measured, in this run or stored: the input of every gate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.items import VARIANT, Reply, duplicates
from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.gates.records.constant_scores import CONSTANT, with_constant
from pytest_slmsec.gates.records.fact_kinds import AGAIN, check_facts, check_table, is_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = (
    "item", "sha256", "gold", "text", "logprobs", "value", "parsed", "correct", "extracted", "parts", "prompt_tokens",
    "new_tokens", "hit_limit",
)  # fmt: skip
KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("item", "sha256"), (str,)),
    **dict.fromkeys(("gold", "text", "thought", "category", "cluster"), (str, NoneType)),
    **dict.fromkeys(("prompt_tokens", "new_tokens"), (int, float, NoneType)),
    **dict.fromkeys(("logprobs", "choice_scores", "pair_verdicts"), (list, tuple, NoneType)),
    "replies": (list, tuple),
    VARIANT: (dict,),
}
"""What a column holds for each item, where readers rely on it."""
VARIANT_KEYS = frozenset({"item", "kind", "n"})
REPLY_KEYS = frozenset(field.name for field in fields(Reply))
FACTS = ("metric", "higher_is_better", "scale", "base", "quant", "mode", "scorer", "decoding", "by_choice")
SUM_TOLERANCE = 1e-6
LONGEST = 60


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkRun:
    """One benchmark on one model.

    Attributes:
        benchmark, model: the label of the group, and the model's name.
        facts: the facts about the group, as stored with the latency entry (`docs/records.md`).
        columns: a list for each of `COLUMNS`, all in the order of the data set, or in that of the design where the run
            stopped early; ``cluster`` as well, where items come in clusters, and `CONSTANT`.
        machine: stable facts about the machine; empty where they are not known.
        where: file or run it comes from, for messages.
    """

    benchmark: str
    model: str
    facts: Mapping[str, Any]
    columns: Mapping[str, Sequence[Any]]
    machine: Mapping[str, Any]
    where: str

    @property
    def name(self) -> str:
        """For messages: ``cti-mcq on phi3``."""
        return f"{self.benchmark} on {self.model}"

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.columns["item"])

    @property
    def values(self) -> NDArray[np.float64]:
        """Score of each item in the unit of the metric."""
        import numpy as np

        return np.asarray(self.columns["value"], dtype=np.float64)

    def flags(self, column: str) -> NDArray[np.bool_]:
        """``correct`` or ``parsed``, one flag an item."""
        import numpy as np

        return np.asarray(self.columns[column], dtype=np.bool_)

    def part(self, name: str) -> NDArray[np.float64] | None:
        """A further number of each score, such as ``p_correct``; None where a score lacks it."""
        import numpy as np

        parts = self.columns["parts"]
        return np.array([p[name] for p in parts], dtype=np.float64) if all(name in p for p in parts) else None

    def identities(self) -> list[tuple[str, int]]:
        """Identity of each item: its digest, and how many items before it have the same one."""
        seen: dict[str, int] = {}
        found = []
        for digest in self.columns["sha256"]:
            found.append((digest, seen.get(digest, 0)))
            seen[digest] = found[-1][1] + 1
        return found

    def taken(self, positions: Sequence[int]) -> BenchmarkRun:
        """The same run with its items at `positions`, in that order."""
        columns = {name: [column[i] for i in positions] for name, column in self.columns.items()}
        return BenchmarkRun(self.benchmark, self.model, self.facts, columns, self.machine, self.where)


def run_from_plain(
    facts: Mapping[str, Any], group: Mapping[str, Any], machine: Mapping[str, Any] | None, where: str
) -> BenchmarkRun:
    """A run from plain data, checked.

    Args:
        facts: `extra_info` of the group's latency entry. group: its entry in the section ``slmsec`` of the file.

    Raises:
        CompareError: something is missing, damaged, contradictory or not a number; names it.
    """
    name = f"{where}: {group.get('benchmark')} on {group.get('model')}"
    columns = group.get("items")
    if not isinstance(columns, Mapping):
        raise CompareError(f"{name} has no answers, only sums; {AGAIN}.")
    check_table(facts, "what is known about it", name)
    _require(facts, FACTS, name)
    _require(columns, COLUMNS, name)
    check_facts(facts, name)
    _check_lengths(columns, facts, name)
    _check_kinds(columns, name)
    _check_values(columns, name)
    _check_bits(columns, facts, name)
    columns = with_constant(columns, facts)
    _check_constant(columns, name)
    here = None if facts.get("recorded") else machine  # recorded answers were not made on the machine that scored them
    return BenchmarkRun(str(group["benchmark"]), str(group["model"]), facts, columns, here or {}, where)


def _require(found: Mapping[str, Any], keys: Sequence[str], name: str) -> None:
    missing = [key for key in keys if key not in found]
    if missing:
        raise CompareError(f"{name} lacks {', '.join(missing)}: it was written in an older format; {AGAIN}.")


def _check_lengths(columns: Mapping[str, Sequence[Any]], facts: Mapping[str, Any], name: str) -> None:
    lengths = {key: len(columns[key]) for key in COLUMNS if isinstance(columns[key], Sequence)}
    if len(lengths) < len(COLUMNS) or len(set(lengths.values())) != 1:
        raise CompareError(f"{name} is damaged: its columns have different lengths ({_counts(lengths)}); {AGAIN}.")
    (n,) = set(lengths.values())
    if n == 0:
        raise CompareError(f"{name} has no items: there is nothing to compare.")
    if facts.get("n_expected", n) != n:
        raise CompareError(f"{name} has {n} of {facts['n_expected']} items; a part is never compared; {AGAIN}.")


def _check_kinds(columns: Mapping[str, Sequence[Any]], name: str) -> None:
    """Further columns have a value for each item, and each value is of a kind that readers can rely on."""
    n = len(columns["item"])
    for key, column in columns.items():
        if key == CONSTANT and column is not None:
            continue  # `_check_constant` looks at it
        if not isinstance(column, (list, tuple)) or len(column) != n:
            raise CompareError(f"{name} is damaged: its column {key!r} does not hold a value for each of {n} items; "
                               f"{AGAIN}.")  # fmt: skip
        for item, value in zip(columns["item"], column, strict=True):
            if not isinstance(value, KINDS.get(key, object)) or not _holds(key, value):
                raise CompareError(f"{name}, item {item}: {key!r} cannot be {shortened(repr(value), LONGEST)}; "
                                   f"{AGAIN}.")  # fmt: skip


def _holds(key: str, value: Any) -> bool:
    """Whether a value of the right kind holds what readers ask it for."""
    if key in ("logprobs", "choice_scores"):
        return all(isinstance(number, (int, float, NoneType)) for number in value or ())
    if key == "replies":
        return all(isinstance(one, dict) and {"role", "model", "prompt_sha256", "text"} <= one.keys() <= REPLY_KEYS
                   for one in value)  # fmt: skip
    return key != VARIANT or value.keys() >= VARIANT_KEYS


def _counts(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {n}" for key, n in lengths.items())


def _check_values(columns: Mapping[str, Sequence[Any]], name: str) -> None:
    twice = duplicates(columns["item"])
    if twice:
        raise CompareError(f"{name} has the item {twice[0]} twice; every item must occur once; {AGAIN}.")
    for item, value, parts in zip(columns["item"], columns["value"], columns["parts"], strict=True):
        numbers = {"score": value, **(parts if isinstance(parts, Mapping) else {"parts": None})}
        for key, number in numbers.items():
            if not is_number(number):
                raise CompareError(f"{name}, item {item}: {key} is {number!r}, not a finite number; {AGAIN}.")
    for key in ("correct", "parsed"):
        wrong = [i for i, flag in zip(columns["item"], columns[key], strict=True) if not isinstance(flag, bool)]
        if wrong:
            raise CompareError(f"{name}, item {wrong[0]}: {key!r} is neither true nor false; {AGAIN}.")


def _check_constant(columns: Mapping[str, Sequence[Any]], name: str) -> None:
    """The column of the constant answer: a number for each item, or null."""
    known = columns.get(CONSTANT)
    if known is None:
        return
    length = len(known) if isinstance(known, Sequence) else 0
    if length != len(columns["item"]) or not all(value is None or is_number(value) for value in known):
        raise CompareError(f"{name} is damaged: its column {CONSTANT!r} does not hold a number for each item; {AGAIN}.")


def _check_bits(columns: Mapping[str, Sequence[Any]], facts: Mapping[str, Any], name: str) -> None:
    """Answers and sums are stored twice; where they disagree somebody changed one of them."""
    for key in ("correct", "parsed"):
        bits = facts.get(f"{key}_bits")
        if bits is not None and bits != "".join("01"[flag] for flag in columns[key]):
            raise CompareError(f"{name} was changed after it was written: the column {key!r} and {key}_bits "
                               f"disagree; {AGAIN}.")  # fmt: skip
    if facts.get("binary", facts["metric"] == "accuracy"):
        right = 1 if facts["higher_is_better"] else 0
        rows = zip(*(columns[k] for k in ("item", "value", "correct")), strict=True)
        wrong = [item for item, value, correct in rows if value != (right if correct else 1 - right)]
        if wrong:
            raise CompareError(f"{name} was changed after it was written: item {wrong[0]} has a score that its being "
                               f"right or wrong contradicts; {AGAIN}.")  # fmt: skip
    elif facts["mode"] == "strict" and facts.get("score") is not None:
        mean = math.fsum(columns["value"]) / len(columns["value"])
        if abs(mean - facts["score"]) > SUM_TOLERANCE * max(1.0, abs(mean)) and facts["metric"] in ("MAD", "F1"):
            raise CompareError(f"{name} was changed after it was written: its scores average {mean:.6g} and not "
                               f"{facts['score']:.6g}; {AGAIN}.")  # fmt: skip
