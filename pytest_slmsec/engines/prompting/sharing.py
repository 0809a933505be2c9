"""Finds the leading tokens that all prompts of a benchmark share, so that they can be computed once."""

from __future__ import annotations

from dataclasses import replace

from pytest_slmsec.core.items import Choose, Generate
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.engines.prompting.raw_texts import joined

FEWEST_TOKENS = 16
"""Tokens. Keeping a shorter prefix apart costs more than it saves."""


class SharedPrefixes:
    """Marks the shared prefix of prompts for one tokenizer.

    The prefix is the rendered text up to the last character that all items of the benchmark share, without its last
    token, which may join with the text after it. It follows from the request alone, so an answer does not depend on
    which other items are selected.
    """

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._known: dict[str, Tokens] = {}

    def mark(self, request: Generate | Choose, encoded: Encoded) -> Encoded:
        """`encoded` with `shared` set; 0 if the prompt's tokens do not begin with those of the prefix."""
        if encoded.error is not None or (isinstance(request, Choose) and request.contexts):
            return encoded
        tokens = self._tokens(request)
        fits = FEWEST_TOKENS <= len(tokens) < len(encoded.prompt) and encoded.prompt[: len(tokens)] == tokens
        return replace(encoded, shared=len(tokens)) if fits else encoded

    def _tokens(self, request: Generate | Choose) -> Tokens:
        text = self._text(request)
        if text not in self._known:
            own = Generate("prefix", (request.messages[-1]._replace(content=text),), 1, raw=True)
            encoded = self._prompts.encode([own])[0] if request.raw else None
            tokens = encoded.prompt if encoded is not None else self._prompts.tokenise([text])[0]
            self._known[text] = tokens[:-1]
        return self._known[text]

    def _text(self, request: Generate | Choose) -> str:
        """The rendered text up to the end of the shared part; empty if the user turn is not found in it."""
        content = request.messages[-1].content
        if request.raw:
            return joined(request)[: len(joined(request)) - len(content) + request.shared_chars]
        rendered = self._prompts.render(request.messages, closed=isinstance(request, Choose))
        at = rendered.rfind(content.strip()) if content.strip() else -1
        kept = request.shared_chars - (len(content) - len(content.lstrip()))
        return rendered[: at + max(kept, 0)] if at >= 0 else ""
