"""Renders conversations with the chat template and tokenises them; finds where each choice begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_slmsec.core.errors import PromptTooLong
from pytest_slmsec.core.items import Choose, Generate, Message, Request
from pytest_slmsec.core.open_thoughts import ends_in_thought
from pytest_slmsec.engines.common.settings import ThinkingSettings
from pytest_slmsec.engines.prompting.chat_template import BLANK_LINE, ChatTemplate
from pytest_slmsec.engines.prompting.encoded import Encoded, common_beginning
from pytest_slmsec.engines.prompting.raw_texts import RawTexts, encodable, joined
from pytest_slmsec.engines.prompting.thinking import TemplateThinking

QUESTION = "Which port does HTTPS use?"


class Prompts:
    """Renders and tokenises conversations for one tokenizer.

    With a chat template, the text is what the template writes, including the generation prompt, and no further special
    tokens are added. If the template refuses or drops system turns, the system text is put in front of the first user
    turn, with a blank line between them. Without a template, the text is the turns with blank lines between them, and
    the tokenizer adds its special tokens. A prompt never has two begin-of-text tokens. Raw requests are tokenised by
    other rules: see `raw_texts`. A thought that the template opens is closed in front of choices (`thinking`).

    Args:
        thinking: whether models that can think before they answer are asked to.

    Raises:
        ModelError: the template cannot be used (see `chat_template.ChatTemplate`), or lacks a variable that was set.
    """

    def __init__(self, tokenizer: Any, thinking: ThinkingSettings | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.thinking = TemplateThinking(tokenizer, self.template.source, thinking or ThinkingSettings())
        self._raw = RawTexts(tokenizer)

    def encode(self, requests: Sequence[Request]) -> list[Encoded]:
        """Token ids of each request, in their order."""
        raw = [request for request in requests if isinstance(request, Generate | Choose) and request.raw]
        chats = [request for request in requests if not (isinstance(request, Generate | Choose) and request.raw)]
        texts = [
            replace(one, opened=isinstance(request, Generate) and ends_in_thought(joined(request)))
            for request, one in zip(raw, self._raw.encode(raw), strict=True)
        ]
        known = dict(zip([*raw, *chats], [*texts, *self._encode_chats(chats)], strict=True))
        return [known[request] for request in requests]

    def _encode_chats(self, requests: Sequence[Request]) -> list[Encoded]:
        """Tokenise a window of conversations in one call of the tokenizer.

        For each choice the *whole* text, prompt and choice, is tokenised. Scored are the tokens after the beginning
        that all texts of the request have in common. So a token that spans the boundary (a blank joined to the letter)
        is scored as a whole, and all choices of a request are scored after the same tokens. If no token spans the
        boundary, the common beginning is the prompt.
        """
        texts: list[str] = []
        spans: list[tuple[int, int] | str] = []
        opened: dict[Request, bool] = {}
        for request in requests:
            try:
                rendered = self.render(request.messages, closed=isinstance(request, Choose))
            except Exception as error:
                spans.append(f"{request.id}: the chat template refused the conversation: {error}")
                continue
            choices = request.choices if isinstance(request, Choose) else ()
            spans.append((len(texts), len(texts) + 1 + len(choices)))
            opened[request] = self.opens_thought(rendered, request.messages)
            texts += [rendered, *(rendered + choice for choice in choices)]
        ids = self.tokenise(texts)
        return [
            Encoded((), error=span)
            if isinstance(span, str)
            else replace(_encoded(request, ids[span[0] : span[1]]), opened=opened[request])
            for request, span in zip(requests, spans, strict=True)
        ]

    def render(self, messages: Sequence[Message], answered: bool = False, closed: bool = False) -> str:
        """The conversation as text, with the generation prompt at its end; without it if `answered`.

        Args:
            closed: the answer follows at once, without a thought before it.
        """
        if not self.template.exists:
            return BLANK_LINE.join(message.content for message in messages)
        text = self.template.render(messages, not answered, self.thinking.variables(closed))
        ends_open = not answered and self.thinking.closes(closed)
        return self.thinking.close(text, messages[-1].content) if ends_open else text

    def opens_thought(self, rendered: str, messages: Sequence[Message]) -> bool:
        """Whether a rendered conversation ends inside a thought."""
        if not self.template.exists:
            return ends_in_thought(rendered, self.thinking.tags)
        return self.thinking.opened(rendered, messages[-1].content) is not None

    @property
    def place(self) -> str:
        """Where the tokenizer was read, for messages."""
        return self.template.place

    def asked_tokens(self) -> tuple[int, ...]:
        """Token ids of a short question as it is asked; () where the template refuses it."""
        try:
            return self.tokenise([self.render((Message("user", QUESTION),))])[0]
        except Exception:  # a template may refuse this text; items that it refuses get its message
            return ()

    def thinking_facts(self) -> dict[str, Any] | None:
        """For the record, what the template makes of thinking; None where nothing thinks or was asked to."""
        messages = (Message("user", QUESTION),)
        try:
            answer, choice = self.render(messages), self.render(messages, closed=True)
            plain = self.template.render(messages) if self.template.exists else answer
        except Exception:  # a template may refuse this text; items that it refuses get its message
            return None
        opened = self.opens_thought(answer, messages)
        if not (self.thinking.chosen or self.thinking.may_think or opened or choice != answer):
            return None
        return self.thinking.facts({"answer": answer, "choice": choice, "plain": plain}, opened)

    def tokenise(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids of rendered texts. Lone surrogates, which tokenizers refuse, become U+FFFD."""
        if not texts:
            return []
        clean = [encodable(text) for text in texts]
        rows = self.tokenizer(clean, add_special_tokens=not self.template.exists, return_attention_mask=False)[
            "input_ids"
        ]
        return [self._trimmed(row, text) for row, text in zip(rows, clean, strict=True)]

    def _trimmed(self, row: list[int], text: str) -> tuple[int, ...]:
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        while bos is not None and row[:2] == [bos, bos]:
            row = row[1:]
        if eos is not None and eos != bos and row[-1:] == [eos] and not text.endswith(self.tokenizer.eos_token):
            row = row[:-1]  # the tokenizer added it, and an answer cannot follow the end of the text
        return tuple(row)


def _encoded(request: Request, ids: Sequence[tuple[int, ...]]) -> Encoded:
    prompt, *wholes = ids
    if not prompt:
        return Encoded((), error=f"{request.id}: the prompt is empty: it has no tokens.")
    if not wholes:
        return Encoded(prompt, (), len(prompt))
    assert isinstance(request, Choose)
    if "" in request.choices:
        return Encoded((), error=f"{request.id}: choice {request.choices.index('') + 1} is empty: it has no tokens.")
    shared = min(common_beginning([prompt, *wholes]), min(map(len, wholes)) - 1)
    if shared < 1:
        return Encoded((), error=f"{request.id}: prompt and choices have no first token in common.")
    return Encoded(wholes[0][:shared], tuple(whole[shared:] for whole in wholes), len(prompt))


def refusal(request: Request, encoded: Encoded, context: int | None) -> str | None:
    """Why a model with a context of so many tokens cannot answer a request, or None.

    A prompt must leave room for at least one token. Prompts are never cut.
    """
    if encoded.error is not None:
        return encoded.error
    if context is not None:
        if encoded.prompt_tokens >= context:
            return str(PromptTooLong(request.id, encoded.prompt_tokens, context))
        if encoded.longest > context:
            return str(PromptTooLong(request.id, encoded.longest, context))
    return None
