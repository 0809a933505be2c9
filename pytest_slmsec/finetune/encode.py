"""Rows as token ids and labels: the prompt as the model is asked later, then the answer, which alone is trained.

A row ends in the token that ends a turn, so that the model learns to stop; what a template writes behind it (a line
break) is left out. The token is the first special token that the template writes behind an answer; without a template,
the tokenizer's end of text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Message
from pytest_slmsec.core.wrap import counted, folded
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.prompting.encoded import common_beginning
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.finetune.recipe import CUT, ERROR
from pytest_slmsec.finetune.rows import TrainingRow

IGNORED = -100
"""The label of a token that is not trained (torch.nn.CrossEntropyLoss)."""
PROBE = (Message("user", "Which port does HTTPS use?"), Message("assistant", "zebra"))
SHOWN = 20
"""Places of rows that the record lists."""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row of training.

    Attributes:
        where: file and row. ids: token ids. labels: the same, `IGNORED` where nothing is trained; equally long.
    """

    where: str
    ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def trained(self) -> int:
        """Number of tokens that are trained."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """The rows that are trained, and those that are not as they were given.

    Attributes:
        rows: in the order of the files. dropped, cut, unlabelled: places of rows left out because they are too long,
            cut to ``max_length``, and left out because nothing of them would be trained.
    """

    rows: tuple[EncodedRow, ...]
    dropped: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Identity of everything that is trained, in order."""
        return sha256_json([[row.ids, row.labels] for row in self.rows])


class Encoder:
    """Encodes rows for one tokenizer.

    Args:
        end_ids: token ids that end a text.

    Attributes:
        end_of_turn: the token that ends each row.

    Raises:
        FinetuneError: no token ends a turn.
    """

    def __init__(self, tokenizer: Any, end_ids: Collection[int]) -> None:
        self._prompts, self._end_ids = Prompts(tokenizer), frozenset(end_ids)
        self.end_of_turn, self._tail = self._ending()

    @property
    def ends(self) -> frozenset[int]:
        """All tokens that end a turn or a text."""
        return self._end_ids | {self.end_of_turn}

    def notice(self) -> str | None:
        """A sentence where the model does not stop at the token that ends a turn, or None."""
        if self.end_of_turn in self._end_ids:
            return None
        name = self._prompts.tokenizer.convert_ids_to_tokens(self.end_of_turn)
        return (
            f"{Path(self._prompts.place).name}: its template ends a turn with {name}, at which it does not stop: add "
            f"{self.end_of_turn} to eos_token_id in generation_config.json, or answers will not end."
        )

    def _ending(self) -> tuple[int, tuple[int, ...]]:
        """The token that ends a turn, and the tokens that a template writes behind it."""
        tokenizer = self._prompts.tokenizer
        if self._prompts.template.exists:
            suffix = self._prompts.render(PROBE, answered=True).rpartition(PROBE[-1].content)[2]
            behind = tokenizer(suffix, add_special_tokens=False)["input_ids"]
            special = self._end_ids | set(tokenizer.all_special_ids) | _added_special(tokenizer)
            place = next((at for at, token in enumerate(behind) if token in special), None)
            if place is not None:
                return behind[place], tuple(behind[place + 1 :])
        if tokenizer.eos_token_id is None:
            raise FinetuneError(
                f"{self._prompts.place}: neither its chat template nor its tokenizer has a token that ends a turn, so "
                "a model trained with it would never stop: set eos_token in tokenizer_config.json."
            )
        return int(tokenizer.eos_token_id), ()

    def pad_id(self) -> int:
        """A token for padding that ends neither a turn nor a text: the tokenizer's own where it is none of them, else
        one reserved for that, else that for unknown words.

        Raises:
            FinetuneError: there is none.
        """
        tokenizer = self._prompts.tokenizer
        special = sorted(_added_special(tokenizer))
        names = dict(zip(special, tokenizer.convert_ids_to_tokens(special), strict=True))
        reserved = [token for mark in ("pad", "reserved") for token, name in names.items() if mark in name.lower()]
        candidates = [tokenizer.pad_token_id, *reserved, tokenizer.unk_token_id]
        found = next((token for token in candidates if token is not None and token not in self.ends), None)
        if found is None:
            raise FinetuneError(
                f"{self._prompts.place}: its tokenizer has no token for padding but those that end a text, which "
                "would ruin the labels: set pad_token in tokenizer_config.json to a token that is reserved."
            )
        return int(found)

    def encode(self, row: TrainingRow) -> EncodedRow:
        """One row, whatever its length.

        Raises:
            FinetuneError: the template refuses the conversation.
        """
        try:
            asked = self._prompts.render(row.prompt)
            whole = self._prompts.render(row.turns, answered=True)
        except Exception as error:  # a template may raise anything
            raise FinetuneError(f"{row.where}: the chat template refuses the conversation ({first_line(error)}): "
                                "take the row out, or change its turns.") from error  # fmt: skip
        prompt, ids = self._prompts.tokenise([asked, whole])
        if self._tail and ids[-len(self._tail) :] == self._tail:
            ids = ids[: -len(self._tail)]
        if ids[-1:] != (self.end_of_turn,):
            ids = (*ids, self.end_of_turn)
        start = min(common_beginning([prompt, ids]), len(ids))
        if not row.answer.strip():
            start = len(ids)
        return EncodedRow(row.where, ids, (IGNORED,) * start + ids[start:])

    def encode_all(
        self, rows: Sequence[TrainingRow], max_length: int | None, too_long: str, allow_unlabelled: bool
    ) -> EncodedRows:
        """All rows within ``max_length`` tokens.

        Args:
            too_long: what becomes of longer ones, one of `recipe.TOO_LONG`. allow_unlabelled: leave out rows of which
                nothing would be trained.

        Raises:
            FinetuneError: a row is too long or has nothing to train, and that is not allowed; or no row is left.
        """
        kept, dropped, cut, unlabelled = list[EncodedRow](), list[str](), list[str](), list[str]()
        for row in map(self.encode, rows):
            if max_length is not None and len(row.ids) > max_length:
                (cut if too_long == CUT else dropped).append(f"{row.where} ({len(row.ids)} tokens)")
                if too_long != CUT:
                    continue
                row = self._shortened(row, max_length)
            if row.trained:
                kept.append(row)
            else:
                unlabelled.append(row.where)
        if dropped and too_long == ERROR:
            raise FinetuneError(f"{_some(dropped)}: longer than max_length = {max_length}; raise it, shorten the rows, "
                                'or say too_long = "drop" or "cut" in [data].')  # fmt: skip
        if unlabelled and not allow_unlabelled:
            raise FinetuneError(
                f"{_some(unlabelled)}: nothing of the answer would be trained, for it is empty or lies behind "
                f"max_length = {max_length}; take them out, or say allow_unlabelled = true in [data]."
            )
        if not kept:
            raise FinetuneError(f"No row is left to train: {len(dropped)} are longer than max_length = {max_length}, "
                                f"{len(unlabelled)} have no answer; raise max_length.")  # fmt: skip
        return EncodedRows(tuple(kept), tuple(dropped), tuple(cut), tuple(unlabelled))

    def _shortened(self, row: EncodedRow, length: int) -> EncodedRow:
        """The beginning of a row, ended by the token that ends a turn where any of the answer is in it."""
        ids, labels = row.ids[: length - 1], row.labels[: length - 1]
        if all(label == IGNORED for label in labels):
            return EncodedRow(row.where, ids, labels)
        return EncodedRow(row.where, (*ids, self.end_of_turn), (*labels, self.end_of_turn))


def _added_special(tokenizer: Any) -> set[int]:
    """Ids of all added tokens that are special, named or not."""
    return {place for place, token in tokenizer.added_tokens_decoder.items() if token.special}


def _some(places: Sequence[str]) -> str:
    return f"{counted(len(places), 'row')} ({folded(places, 3, '; ')})"
