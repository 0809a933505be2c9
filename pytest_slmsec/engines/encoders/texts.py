"""Tokenises texts for an encoder: token ids, which of them belong to the option, and to which word each belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.prompting.raw_texts import encodable


@dataclass(frozen=True, slots=True)
class Text:
    """One tokenised text, including the special tokens that the tokenizer adds.

    Attributes:
        ids: token ids.
        option: positions of the option's tokens; () if the text is not a question followed by an option.
        words: for each position the number of its word, None for special tokens.
    """

    ids: tuple[int, ...]
    option: tuple[int, ...] = ()
    words: tuple[int | None, ...] = ()


class Texts:
    """Tokenises texts for one encoder.

    Raises:
        ModelError: the tokenizer is not a fast one; only those return the position of each token in the text.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{tokenizer.name_or_path}: its tokenizer is of the slow kind, which does not say where its tokens "
                "stand in the text: save it with a tokenizer.json."
            )
        self.tokenizer = tokenizer

    def plain(self, texts: Sequence[str]) -> list[Text]:
        """Each text by itself."""
        return [Text(tuple(row)) for row in self._encode(texts)["input_ids"]]

    def answered(self, question: str, options: Sequence[str]) -> list[Text]:
        """For each option the question, a blank and the option, as one segment.

        A token that spans the boundary (the blank joined to the option's first word) belongs to the option.
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

    def written(self, text: Text) -> str:
        """A tokenised text as the tokenizer writes it, special tokens included."""
        return str(self.tokenizer.decode(list(text.ids)))

    def _encode(self, texts: Sequence[str]) -> Any:
        clean = [encodable(text) for text in texts]
        return self.tokenizer(clean, return_attention_mask=False, return_offsets_mapping=True, truncation=False)
