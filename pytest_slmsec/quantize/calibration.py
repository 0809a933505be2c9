"""Calibration text: read it, hold out a part for verification, and check that it holds no evaluation items.

A calibration file has one text a line. A line may be a conversation, written

    <|system|>You are an analyst.<|end|><|user|>What is T1003?<|end|><|assistant|>OS Credential Dumping<|end|>

which is rendered with each model's own chat template; any other line is plain text.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Message, Role
from pytest_slmsec.core.paths import fixtures_dir

MIN_LINES = 8
HELD_OUT_EVERY = 8
TURN = re.compile(r"<\|(system|user|assistant)\|>\s*(.*?)<\|end\|>", re.DOTALL)
CONVERSATION = re.compile(rf"(?:<\|bos\|>)?(?:{TURN.pattern}\s*)+", re.DOTALL)
SEGMENT_END = re.compile(r"[\n\r]+|\s{2,}|(?<=[.?!])\s+|<\|[a-z]+\|>")
OPTION = re.compile(r"\s*[A-Z]\)\s")
"""An option of a multiple-choice question. Options are names of things, which any text on the subject may mention."""
MIN_SEGMENT_WORDS = 5
"""Shorter segments ("Answer in a few words") occur in unrelated texts and do not count as overlap."""
MAX_SHARED_BY_ITEMS = 5
"""A segment in more items than this is a shared instruction, not a question, and does not count as overlap."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The lines of a calibration file.

    Attributes:
        used: lines to calibrate with. held_out: every eighth line, to verify with.
    """

    used: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Identity of all lines, whichever part they are in."""
        return sha256_json([self.used, self.held_out])

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines."""
        return self.used + self.held_out


def default_calibration() -> Path:
    """The calibration text that ships with the project."""
    return fixtures_dir() / "tinysec" / "calibration.txt"


def read_calibration(path: Path) -> Calibration:
    """Read a file of one text a line; blank lines do not count.

    Raises:
        QuantizeError: it cannot be read, is not UTF-8, or has too few lines.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").split("\n") if line.strip()]
    except OSError as error:
        raise QuantizeError(f"The calibration text {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise QuantizeError(f"The calibration text {path} is not UTF-8 (byte {error.start}): convert it.") from error
    if len(lines) < MIN_LINES:
        raise QuantizeError(f"{path} has {len(lines)} lines of text; calibration needs {MIN_LINES}, better 256.")
    held_out = tuple(lines[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    used = tuple(line for number, line in enumerate(lines, start=1) if number % HELD_OUT_EVERY)
    return Calibration(used, held_out)


def conversation(line: str) -> tuple[Message, ...] | None:
    """The turns of a line that is a conversation, else None."""
    if not CONVERSATION.fullmatch(line):
        return None
    return tuple(Message(cast("Role", role), content.strip()) for role, content in TURN.findall(line))


def plain_text(line: str) -> str:
    """A line as running text: the turns of a conversation without their marks."""
    return " ".join(turn.content for turn in conversation(line) or ()) or line


def check_overlap(calibration_lines: Sequence[str], item_prompts: Mapping[str, str]) -> None:
    """Refuse calibration text that holds an evaluation item, whole or by its question.

    Texts are compared by the hashes of their normalised words: the whole line, each turn, and each segment (a sentence
    or a line) of at least five words. Segments that many items share are instructions and do not count.

    Args:
        item_prompts: item ids to prompts.

    Raises:
        QuantizeError: naming the first overlapping item and the line.
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(calibration_lines, start=1):
        for unit in _units(line):
            lines.setdefault(unit, number)
    units = {item_id: _units(prompt) for item_id, prompt in item_prompts.items()}
    shared = Counter(unit for own in units.values() for unit in own)
    for item_id, own in units.items():
        hits = [lines[unit] for unit in own if unit in lines and shared[unit] <= MAX_SHARED_BY_ITEMS]
        if hits:
            raise QuantizeError(
                f"The calibration text overlaps the evaluation items: its line {min(hits)} holds {item_id}. A model "
                "calibrated on its test looks better than it is: calibrate on other text."
            )


def _units(text: str) -> set[str]:
    turns = [turn.content for turn in conversation(text) or ()]
    parts = [part for part in SEGMENT_END.split(text) if not OPTION.match(part)]
    segments = [words for words in map(_words, parts) if len(words) >= MIN_SEGMENT_WORDS]
    whole = [words for words in map(_words, [text, *turns]) if len(words) >= MIN_SEGMENT_WORDS]
    return {hashlib.sha256(" ".join(words).encode("utf-8", "replace")).hexdigest() for words in [*whole, *segments]}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def prompts_by_id(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Item ids to prompts, for `check_overlap`; ids may repeat across benchmarks, prompts then join."""
    found: dict[str, str] = {}
    for item_id, prompt in items:
        found[item_id] = f"{found[item_id]}\n{prompt}" if item_id in found else prompt
    return found
