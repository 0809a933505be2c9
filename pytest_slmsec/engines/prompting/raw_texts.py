"""Tokenises raw texts exactly as lm-evaluation-harness does, so that its numbers can be reproduced.

Source: lm_eval 0.4.13, ``api/model.py`` (`TemplateLM._encode_pair`, `TemplateLM.loglikelihood`) and
``models/huggingface.py`` (`HFLM.tok_encode`, `HFLM.tok_batch_encode`), with ``add_bos_token`` left to the tokenizer.

* The tokenizer adds its special tokens to a text unless the text already begins with the begin-of-text token.
* White space at the end of a context moves to the continuation. Context and whole text are tokenised; if the context
  has n tokens, the continuation is the whole text without its first n tokens.
* An empty context is replaced by the begin-of-text token, or by end-of-text if the model has no begin-of-text token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pytest_slmsec.core.items import Choose, Generate
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens, common_beginning


class Text(NamedTuple):
    """A text to tokenise; `special`: with the tokenizer's special tokens."""

    text: str
    special: bool


class RawTexts:
    """Tokenises raw requests for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._first: int | None = bos if bos is not None else eos
        self._first_text = None if self._first is None else str(tokenizer.decode([self._first]))

    def encode(self, requests: Sequence[Generate | Choose]) -> list[Encoded]:
        """Token ids of each request, in their order. Equal texts are tokenised once."""
        ids = self._tokenise(dict.fromkeys(text for request in requests for text in self._texts(request)))
        return [
            self._choices(request, ids) if isinstance(request, Choose) else self._prompt(request, ids)
            for request in requests
        ]

    def _tokenise(self, texts: Iterable[Text]) -> dict[Text, Tokens]:
        found: dict[Text, Tokens] = {}
        every = list(texts)
        for special in (True, False):
            mine = [text for text in every if text.special is special]
            if mine:
                clean = [encodable(text.text) for text in mine]
                rows = self._tokenizer(clean, add_special_tokens=special, return_attention_mask=False)["input_ids"]
                found.update(zip(mine, map(tuple, rows), strict=True))
        return found

    def _texts(self, request: Generate | Choose) -> list[Text]:
        if isinstance(request, Generate):
            return [self._generated_from(request)]
        return [text for pair in pairs(request) for text in self._both(*pair)]

    def _generated_from(self, request: Generate) -> Text:
        text = joined(request)
        bos = self._tokenizer.bos_token
        return Text(text, not (bos and text.startswith(bos)))

    def _both(self, context: str, continuation: str) -> tuple[Text, ...]:
        """The whole text, and the context unless it is empty."""
        if context == "":
            return (Text(continuation, False),)
        return self._marked(context + continuation), self._marked(context.rstrip())

    def _marked(self, text: str) -> Text:
        return Text(text, not (self._first_text and text.startswith(self._first_text)))

    def _prompt(self, request: Generate, ids: dict[Text, Tokens]) -> Encoded:
        prompt = ids[self._generated_from(request)]
        if not prompt:
            return Encoded((), error=f"{request.id}: the prompt is empty: it has no tokens.")
        return Encoded(prompt, (), len(prompt))

    def _choices(self, request: Choose, ids: dict[Text, Tokens]) -> Encoded:
        split = [self._split([ids[text] for text in self._both(*pair)]) for pair in pairs(request)]
        for number, (context, continuation) in enumerate(split, 1):
            if not continuation:
                return Encoded((), error=f"{request.id}: choice {number} is empty: it has no tokens.")
            if not context:
                return Encoded((), error=f"{request.id}: the text before choice {number} has no tokens.")
        wholes = [context + continuation for context, continuation in split]
        shared = min(common_beginning(wholes), *(len(context) for context, _ in split))
        return Encoded(
            wholes[0][:shared],
            tuple(whole[shared:] for whole in wholes),
            max(len(context) for context, _ in split),
            scored=tuple(len(continuation) for _, continuation in split),
        )

    def _split(self, texts: Sequence[Tokens]) -> tuple[Tokens, Tokens]:
        whole, *rest = texts
        if rest:
            return rest[0], whole[len(rest[0]) :]
        if whole[:1] == (self._first,):
            return whole[:1], whole[1:]
        return (() if self._first is None else (self._first,)), whole


def joined(request: Generate | Choose) -> str:
    """The raw text of a request: the contents of its turns, joined."""
    return "".join(message.content for message in request.messages)


def pairs(request: Choose) -> list[tuple[str, str]]:
    """Pairs of the text before a choice and the choice."""
    contexts = request.contexts or (joined(request),) * len(request.choices)
    return list(zip(contexts, request.choices, strict=True))


def encodable(text: str) -> str:
    """`text` with lone surrogates, which tokenizers refuse, replaced by U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
