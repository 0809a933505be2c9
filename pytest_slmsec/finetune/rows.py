"""Rows of training data as conversations whose last turn is the answer that is trained.

Forms: ``messages`` (chats; ``conversations`` of ShareGPT as well), ``alpaca`` and ``iio`` (instruction, input, output:
Taori et al., "Stanford Alpaca", 2023), ``turn`` (chats of several turns, as HackMentor has them), ``qa`` (question and
answer, or prompt and completion). A chat gives one training row for each assistant turn, with all turns before it as
the prompt: the prompt is never trained, which plain chats in TRL's ``SFTTrainer`` would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Message
from pytest_slmsec.tasks.training_texts import training_rows
from pytest_slmsec.tasks.tsv import shown

CHATS = ("messages", "conversations")
PAIRS = (("question", "answer"), ("prompt", "completion"), ("prompt", "response"))
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
"""What ShareGPT and its relatives call the roles."""
KNOWN_ROLES = ("system", "user", "assistant")
LEAST_ROWS = 2
"""Fewer rows are no training data but most likely a file cut short or a path mixed up."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One answer to be trained.

    Attributes:
        where: file and row, for messages. turns: all turns, of which the last is the answer.
    """

    where: str
    turns: tuple[Message, ...]

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turns before the answer."""
        return self.turns[:-1]

    @property
    def answer(self) -> str:
        """The text that is trained."""
        return self.turns[-1].content

    @property
    def text(self) -> str:
        """All turns but the system's, for a comparison with items of benchmarks."""
        return "\n".join(turn.content for turn in self.turns if turn.role != "system")


def read_training_rows(paths: Sequence[Path], form: str | None, system: str | None) -> list[TrainingRow]:
    """All rows of some files, in their order.

    Args:
        form: of every row, one of `recipe.FORMS`; None: seen by the fields of each. system: the system turn of rows
            that bring none.

    Raises:
        DataError: a row lacks a field, has roles that do not alternate, or there are fewer rows than `LEAST_ROWS`;
            names file, row and remedy. DataUnavailable: a file cannot be read.
    """
    found = [one for path in paths for one in _of_file(path, form, system)]
    if len(found) < LEAST_ROWS:
        names = ", ".join(map(str, paths))
        many = "no row" if not found else "one row"
        raise DataError(f"{names}: {many} of training data, and at least {LEAST_ROWS} are needed; name files with "
                        "more rows.")  # fmt: skip
    return found


def _of_file(path: Path, form: str | None, system: str | None) -> Iterator[TrainingRow]:
    for place, row in training_rows(path):
        reader = _Row(f"{path}, {place}", row, form)
        for turns in _answers(reader.turns()):
            first = (Message("system", system),) if system and turns[0].role != "system" else ()
            yield TrainingRow(reader.where, (*first, *turns))


def _answers(turns: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """The beginnings of a chat that end in an assistant turn."""
    for place, turn in enumerate(turns, 1):
        if turn.role == "assistant":
            yield tuple(turns[:place])


class _Row:
    """One row of a file, read in its form."""

    def __init__(self, where: str, row: Mapping[str, Any], form: str | None) -> None:
        self.where, self.row, self.form = where, row, form

    def bad(self, why: str, remedy: str) -> NoReturn:
        raise DataError(f"{self.where}: {why}; {remedy}.")

    def turns(self) -> list[Message]:
        """The conversation of the row."""
        chat = next((key for key in CHATS if key in self.row), None)
        pair = next((keys for keys in PAIRS if all(key in self.row for key in keys)), None)
        if self.form in (None, "messages", "turn") and chat is not None:
            return self._chat(chat)
        if self.form in (None, "alpaca", "iio") and "instruction" in self.row:
            return self._instruction()
        if self.form in (None, "qa") and pair is not None:
            return [Message("user", self._text(pair[0])), Message("assistant", self._text(pair[1], empty=True))]
        keys = ", ".join(map(shown, list(self.row)[:10])) or "none"
        wanted = f"of the form {self.form!r}" if self.form else "that is known"
        self.bad(f"its fields are none {wanted} (it has: {keys})",
                 "give messages, or instruction and output, or question and answer")  # fmt: skip

    def _instruction(self) -> list[Message]:
        asked, given = self._text("instruction"), self.row.get("input")
        if given not in (None, ""):
            asked = f"{asked}\n\n{self._text('input')}"
        return [Message("user", asked), Message("assistant", self._text("output", empty=True))]

    def _text(self, key: str, empty: bool = False) -> str:
        value = self.row.get(key)
        if not isinstance(value, str) or not (value.strip() or empty):
            self.bad(f"{key!r} is {'empty' if value in (None, '') else 'no text'}", "fill it in, or take the row out")
        if "\0" in value:
            self.bad(f"{key!r} holds a NUL byte, so it is no text", "take it out")
        return value

    def _chat(self, key: str) -> list[Message]:
        given = self.row[key]
        if not isinstance(given, list) or not given:
            self.bad(f"{key!r} is no list of turns", "give each turn as an object with role and content")
        turns = [self._turn(number, turn) for number, turn in enumerate(given, 1)]
        self._check_order(turns)
        return turns

    def _turn(self, number: int, turn: Any) -> Message:
        if not isinstance(turn, Mapping):
            self.bad(f"turn {number} is no object", "give each turn as an object with role and content")
        role = str(turn.get("role", turn.get("from")))
        role = ROLES.get(role, role)
        content = turn.get("content", turn.get("value"))
        if role not in KNOWN_ROLES:
            self.bad(f"turn {number} has the role {shown(role)}", f"write one of {', '.join(KNOWN_ROLES)}")
        if not isinstance(content, str) or "\0" in content or (not content.strip() and role != "assistant"):
            self.bad(f"turn {number} has no text", "give it one, or take the row out")
        return Message(role, content)  # type: ignore[arg-type]  # one of KNOWN_ROLES

    def _check_order(self, turns: Sequence[Message]) -> None:
        start = 1 if turns[0].role == "system" else 0
        for place, turn in enumerate(turns[start:]):
            due = "user" if place % 2 == 0 else "assistant"
            if turn.role != due:
                self.bad(f"turn {start + place + 1} is {turn.role!r} where {due!r} is due, so the roles do not "
                         "alternate", "join turns of one role, or take the row out")  # fmt: skip
        if turns[-1].role != "assistant":
            self.bad("the chat ends without an answer of the assistant", "add it, or take the last turn out")
