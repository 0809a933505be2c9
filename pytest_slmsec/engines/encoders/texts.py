"""Texts as an encoder reads them: token ids, which of them are the option's, and which belong to one word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.prompting.raw_texts import encodable


@dataclass(frozen=True, slots=True)
class Text:
    """One text in tokens, with the special tokens that the tokenizer puts round it.

    Attributes:
        ids: token ids.
        option: positions of the option's tokens; () where the text is no question with an option.
        words: for each position the number of its word, None for special tokens.
    """

    ids: tuple[int, ...]
    option: tuple[int, ...] = ()
    words: tuple[int | None, ...] = ()


class Texts:
    """Tokenises for one encoder.

    Raises:
        ModelError: the tokenizer is none of the fast ones, which alone say where each token stands in the text.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{tokenizer.name_or_path}: its tokenizer is of the slow kind, which does not say where its tokens "
                "stand in the text: save it with a tokenizer.json."
            )
        self.tokenizer = tokenizer

    def plain(self, texts: Sequence[str]) -> list[Text]:
        """Texts by themselves."""
        return [Text(tuple(row)) for row in self._encode(texts)["input_ids"]]

    def answered(self, question: str, options: Sequence[str]) -> list[Text]:
        """The question followed by each option, one blank between them, as one segment.

        A token that spans the boundary (the blank joined to the option's first word) is the option's.
        """
        start = question.rstrip()
        found = self._encode([f"{start} {option.strip()}" for option in options])
        boundary = len(encodable(start))
        return [
            Text(
                tuple(ids),
                tuple(at for at, (_, end) in enumerate(offsets) if end > boundary),
                tuple(found.word_ids(row)),
            )
            for row, (ids, offsets) in enumerate(zip(found["input_ids"], found["offset_mapping"], strict=True))
        ]

    def _encode(self, texts: Sequence[str]) -> Any:
        clean = [encodable(text) for text in texts]
        return self.tokenizer(clean, return_attention_mask=False, return_offsets_mapping=True, truncation=False)
