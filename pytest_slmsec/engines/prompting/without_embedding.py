"""Tokens of a tokenizer that the model has no embedding for.

Some checkpoints have them: the tokenizer of a text model may know the image token of its larger siblings
(google/gemma-3-1b-it: ``<image_soft_token>``, id 262144, with 262144 rows of the embedding).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Request
from pytest_slmsec.engines.prompting.encoded import Encoded

NAMED = 3


class WithoutEmbedding:
    """Refuses texts that hold such a token.

    Args:
        tokenizer: of the model. embedded: number of token ids that the model embeds; None: all of them.
    """

    def __init__(self, tokenizer: Any, embedded: int | None) -> None:
        self._embedded = embedded
        self._tokens = tokens_without_embedding(tokenizer, embedded)

    def notes(self) -> list[str]:
        """For the record: one sentence where there are such tokens."""
        if not self._tokens:
            return []
        names = sorted(self._tokens.values())
        more = ", ..." if len(names) > NAMED else ""
        return [
            f"the model embeds {self._embedded} tokens and its tokenizer has {len(names)} more "
            f"({', '.join(names[:NAMED])}{more}): a prompt that holds one is an error"
        ]

    def refusal(self, request: Request, encoded: Encoded) -> str | None:
        """Why a request cannot be asked, or None."""
        return self.why(request.id, [encoded.prompt, *encoded.choices])

    def why(self, name: str, texts: Iterable[Iterable[int]]) -> str | None:
        """A sentence on the first token of the texts without an embedding, for the item `name`; None: there is none."""
        if not self._tokens:
            return None
        found = next((token for text in texts for token in text if token in self._tokens), None)
        if found is None:
            return None
        return (
            f"{name}: its prompt holds {self._tokens[found]}, token {found} of the tokenizer, and the model embeds "
            f"only {self._embedded} tokens: take it out of the prompt, or deselect the item."
        )

    def check_template(self, place: str, prompt: Sequence[int]) -> None:
        """Refuse a model whose chat template writes such a token: every prompt would hold it.

        Args:
            place: of the model, for the message. prompt: token ids of a question in the template.

        Raises:
            ModelError: names the token.
        """
        found = next((token for token in prompt if token in self._tokens), None)
        if found is not None:
            raise ModelError(
                f"{place}: the chat template writes {self._tokens[found]}, token {found} of the tokenizer, and the "
                f"model embeds only {self._embedded} tokens: fetch tokenizer, template and weights from one place."
            )


def tokens_without_embedding(tokenizer: Any, embedded: int | None) -> dict[int, str]:
    """Tokens by id whose id lies beyond the `embedded` rows of the embedding."""
    if embedded is None:
        return {}
    return {at: token for token, at in tokenizer.get_vocab().items() if at >= embedded}


def check_vocabulary(directory: Path, tokenizer: Any, embedded: int) -> None:
    """Refuse the tokenizer of another model: one with tokens that the model has no embedding for. Tokens that were
    added to a tokenizer may lie beyond the embedding.

    Args:
        embedded: rows of the embedding.

    Raises:
        ModelError: names the largest id and the rows of the embedding.
    """
    added = set(tokenizer.get_added_vocab())
    beyond = [at for at, token in tokens_without_embedding(tokenizer, embedded).items() if token not in added]
    if beyond:
        raise ModelError(
            f"{directory}: the tokenizer has ids up to {max(beyond)}, but the model embeds only {embedded} tokens: "
            "tokenizer and weights do not belong together; fetch both from one place."
        )
