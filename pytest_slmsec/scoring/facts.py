"""Recall of hand-written key facts in an answer ``Cause - ... Remediation - 1. ... 2. ...``; a rule of our own.

A fact is a list of alternatives. An alternative is met where each of its words begins a word of one place of the
answer, in any order, after a common ending is cut off: "replace disk" is met by "Replacing the failed disks". Facts of
the cause are looked for in the cause, facts of the remedies in single steps. A step with a negation meets nothing, and
one that names a device or address which is not in the log (sdb where the log says sda) meets nothing either.

The official reading asks for the form as the prompt shows it. The strict reading tolerates "Cause:", bold headings,
"1)" and bullets, and headings such as "Threat" and "Remedies".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import fsum

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import both_ends, own_turn, unicode_plain

Alternatives = Sequence[str]
STEPS_NEEDED = 2 / 3
"""Share of the steps that a correct answer names."""
CAUSE, STEPS, FORBIDDEN, OTHER_DEVICE, COMPLETE = "cause", "steps", "forbidden", "other_device", "complete"
"""Parts of the score: whether the whole cause is named, the share of steps, whether something forbidden or a device
that the log does not name is in the answer, and whether the answer is correct."""

_OFFICIAL = re.compile(r"Cause - (?P<cause>.+?)\s+Remediation - (?P<steps>1\. .+)", re.S)
# "**Cause:**", "Threat -", "Cause and threat:", "# Root cause".
_STRICT = re.compile(
    r"\b(?:(?:root|likely|probable) )?(?:causes?|threats?)(?: (?:and|or|/) (?:causes?|threats?))?\s*[-:\n]\s*"
    r"(?P<cause>.+?)\s*\b(?:remediations?|remed(?:y|ies)|solutions?|mitigations?|(?:recommended )?(?:steps|actions))"
    r"(?: steps)?\s*[-:\n]\s*(?P<steps>.+)",
    re.S | re.I,
)
# "1. ", "2) ", "(3) ", "Step 4: ", "- ": what begins a step.
_NUMBER = re.compile(r"(?:(?:^|\s)\(?(?:step )?\d{1,2}[.):]\s+)|(?:^|\n)\s*[-+]\s+", re.I)
_WORD = re.compile(r"[^\W_]+(?:[._'-][^\W_]+)*")
_NEGATION = re.compile(r"\b(?:not|never|don't|doesn't|without|avoid|no need)\b", re.I)
# "sda1", "nvme0n1", "md0", "eth0", "enp2s0", "10.1.2.3".
_DEVICE = re.compile(
    r"\b(?:[svh]d[a-z]\d{0,2}|nvme\d+n\d+(?:p\d+)?|md\d+|(?:eth|ens|eno|wlan|bond)\d+|enp\d+s\d+|"
    r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b"
)
_ENDINGS = ("ing", "ies", "ed", "es", "e", "s", "y")
_SHORTEST_STEM = 4


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer about a log must say, and must not.

    Attributes:
        log: what was asked about. cause, steps: facts, each a list of alternatives. forbid: alternatives that no step
            may meet.
    """

    log: str
    cause: tuple[Alternatives, ...]
    steps: tuple[Alternatives, ...]
    forbid: Alternatives = ()

    def as_gold(self) -> str:
        """The facts as an item's gold answer."""
        return json.dumps({"log": self.log, "cause": self.cause, "steps": self.steps, "forbid": self.forbid},
                          ensure_ascii=False)  # fmt: skip


@cache
def facts_of(gold: str) -> Facts | None:
    """The facts of a gold answer; None where it is another kind of gold answer."""
    try:
        found = json.loads(gold)
        return Facts(found["log"], tuple(found["cause"]), tuple(found["steps"]), found["forbid"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer in its two parts: `cause`, and its `steps` without numbers."""

    cause: str
    steps: tuple[str, ...]


def read_answer(text: str, mode: Mode) -> Reading | None:
    """The parts of an answer, or None where it does not have the form."""
    if mode is Mode.STRICT:
        text = re.sub(r"\*+|`+|(?m:^[ \t]*[#>]+[ \t]*)", "", own_turn(unicode_plain(both_ends(text))))
    match = (_STRICT if mode is Mode.STRICT else _OFFICIAL).search(text)
    if match is None:
        return None
    steps = tuple(part.strip() for part in _NUMBER.split(match["steps"]) if part.strip())
    return Reading(match["cause"].strip(), steps) if steps else None


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def stem(word: str) -> str:
    """A word without a common English ending, at least four letters long."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def meets(text: str, alternatives: Alternatives) -> bool:
    """Whether all words of some alternative begin words of `text`, endings apart."""
    words = words_of(text)
    parts = [*words, *(part for word in words if "-" in word for part in word.split("-"))]
    return any(all(any(_begins(wanted, part) for part in parts) for wanted in words_of(phrase))
               for phrase in alternatives)  # fmt: skip


def _begins(wanted: str, word: str) -> bool:
    """Whether `word` is a form of `wanted`; short ones must be equal, a plural apart: "log" is not "login"."""
    if len(wanted) < _SHORTEST_STEM:
        return word in (wanted, f"{wanted}s")
    return word.startswith(stem(wanted))


def foreign_devices(text: str, log: str) -> set[str]:
    """Devices and addresses in `text` that are not in `log`. A partition is known by its disk, and the reverse."""
    known = set(_DEVICE.findall(log))
    return {name for name in _DEVICE.findall(text)
            if not any(name.startswith(other) or other.startswith(name) for other in known)}  # fmt: skip


def score_facts(item: Item, output: Output, mode: Mode) -> Score:
    """Mean recall over all facts; correct: the whole cause, two thirds of the steps, and nothing forbidden.

    An answer without the form has no recall in either mode.
    """
    facts, reading = facts_of(item.gold), read_answer(output.text or "", mode)
    if facts is None:
        raise KeyError("the gold answer holds no facts")
    if reading is None:
        nothing = dict.fromkeys((CAUSE, STEPS, FORBIDDEN, OTHER_DEVICE, COMPLETE), 0.0)
        return Score(0.0, False, False, None, nothing)
    foreign = [bool(foreign_devices(step, facts.log)) for step in reading.steps]
    advised = [step for step in reading.steps if not _NEGATION.search(step)]
    usable = [step for step in advised if not foreign_devices(step, facts.log)]
    cause = [meets(reading.cause, fact) for fact in facts.cause]
    steps = [any(meets(step, fact) for step in usable) for fact in facts.steps]
    forbidden = any(meets(step, facts.forbid) for step in advised)
    share = fsum(steps) / len(steps)
    correct = all(cause) and share >= STEPS_NEEDED - 1e-9 and not forbidden
    parts = {CAUSE: float(all(cause)), STEPS: share, FORBIDDEN: float(forbidden), OTHER_DEVICE: float(any(foreign)),
             COMPLETE: float(correct)}  # fmt: skip
    return Score(fsum([*cause, *steps]) / (len(cause) + len(steps)), True, correct, reading.cause, parts)
