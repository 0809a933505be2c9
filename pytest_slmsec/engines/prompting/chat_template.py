"""A tokenizer's chat template: what it accepts, found out once when the model is loaded, and how it is rendered.

Templates differ in what they take. Some refuse or drop system turns (Gemma 1 and 2, Mistral); some want the content of
a turn as a list of parts and write nothing for plain text (SmolVLM, Idefics, LLaVA); some write today's date into every
prompt (SmolLM3, gpt-oss, Granite, Mistral Small). Source of the rendering: ``apply_chat_template`` of transformers.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any, Self, TypedDict

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.common.loading import first_line

BLANK_LINE = "\n\n"
TEMPLATE_DAY = datetime(2024, 7, 26, 12)
"""The date given to templates that would write today's, so that prompts do not change from day to day. Llama 3's own
default."""
DATE_STRING = "26 Jul 2024"
DATE_NAMES = ("strftime_now", "date_string")
"""The function and the variable by which templates ask for the date."""
DEFAULT_NAME = "default"
SYSTEM_PROBE, USER_PROBE = "probe-of-the-system-turn", "probe-of-the-user-turn"
CHAT_TOKENS = (
    "<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<|start_of_role|>", "[INST]", "<|user|>",
    "<|assistant|>", "<|User|>", "<|START_OF_TURN_TOKEN|>", "<|turn|>", "<|turn>", "<|header_start|>", "[|assistant|]",
    "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<|im_sep|>", "<|channel|>", "<|im_user|>", "<|start|>",
)  # fmt: skip
"""Tokens that begin a turn: of ChatML (Qwen, SmolLM), Llama 3 and 4, Gemma, Granite, Mistral, Phi and Zephyr, DeepSeek,
Command R, EXAONE, gpt-oss, Kimi."""
QUOTED = 60
PRINTED_PART = re.compile(r"""["']text["']: """)
"""In a prompt into which a template printed the list of parts itself, instead of their texts."""
_CLOCK_LOCK = threading.Lock()


class TemplateFacts(TypedDict):
    """For the record and the sentinel `no-chat-template`.

    `found`: the model has a template. `content`: ``text`` or ``parts``. `system_turns`: it takes them. `date`: the ISO
    date that it writes, or None. `chat_tokens`: tokens of the vocabulary that begin a turn.
    """

    found: bool
    content: str
    system_turns: bool
    date: str | None
    chat_tokens: list[str]


class ChatTemplate:
    """Renders conversations for one tokenizer.

    Attributes:
        source: its text, empty without one. exists: the tokenizer has a template.
        takes_parts: it wants the content of a turn as a list of parts.
        takes_system: it writes system turns.

    Raises:
        ModelError: the template is damaged, refuses a conversation of one question or leaves the question out, or there
            are several and none is the default.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.source = self._default_source()
        self.exists = bool(self.source)
        self.takes_parts = self.exists and self._needs_parts()
        self.takes_system = self.exists and self._shows_system()

    def render(
        self, messages: Sequence[Message], generation_prompt: bool = True, variables: Mapping[str, Any] | None = None
    ) -> str:
        """The conversation as text; system turns that the template does not take are joined to the user turn.

        Args:
            variables: further variables of the template, by name.

        Raises:
            Exception: the template refuses the conversation; the type depends on the template.
        """
        turns = list(messages) if self.takes_system else join_system(messages)
        return self._apply(turns, self.takes_parts, generation_prompt, variables)

    def facts(self) -> TemplateFacts:
        """What was found out."""
        dated = any(name in self.source for name in DATE_NAMES)
        vocabulary = self._tokenizer.get_vocab()
        return {
            "found": self.exists,
            "content": "parts" if self.takes_parts else "text",
            "system_turns": self.takes_system,
            "date": TEMPLATE_DAY.date().isoformat() if dated else None,
            "chat_tokens": [token for token in CHAT_TOKENS if token in vocabulary],
        }

    @property
    def place(self) -> str:
        """Where the tokenizer was read, for messages."""
        return str(getattr(self._tokenizer, "name_or_path", "") or "the model")

    def _default_source(self) -> str:
        """The text of the template, of the default one where there are several; empty if there is none."""
        given = self._tokenizer.chat_template
        if not isinstance(given, dict):
            return str(given or "")
        if DEFAULT_NAME not in given:
            raise ModelError(
                f"{self.place} has several chat templates ({', '.join(sorted(given))}) and none is the default: put "
                "the text of the one to use into chat_template.jinja beside the weights, or, for a GGUF file, into its "
                "key tokenizer.chat_template."
            )
        return str(given[DEFAULT_NAME])

    def _needs_parts(self) -> bool:
        """Whether the question appears in the prompt only if the content is given as parts."""
        question = [Message("user", USER_PROBE)]
        as_text = self._tried(question, parts=False)
        if isinstance(as_text, str) and USER_PROBE in as_text:
            return False
        as_parts = self._tried(question, parts=True)
        if isinstance(as_parts, str) and USER_PROBE in as_parts and not PRINTED_PART.search(as_parts):
            return True
        if not isinstance(as_text, str):
            raise ModelError(
                f"{self.place}: its chat template refuses a conversation of one question ({first_line(as_text)}): "
                "fetch the model again, or put the right template into chat_template.jinja beside the weights."
            )
        raise ModelError(
            f"{self.place}: its chat template leaves the question out (a user turn is rendered as "
            f"{as_text[:QUOTED]!r}): fetch the model again, or put the right template into chat_template.jinja beside "
            "the weights."
        )

    def _shows_system(self) -> bool:
        turns = [Message("system", SYSTEM_PROBE), Message("user", USER_PROBE)]
        rendered = self._tried(turns, self.takes_parts)
        return isinstance(rendered, str) and SYSTEM_PROBE in rendered

    def _tried(self, turns: Sequence[Message], parts: bool) -> str | Exception:
        """The rendered text, or why the template refuses the conversation."""
        from jinja2 import TemplateSyntaxError

        try:
            return self._apply(turns, parts, generation_prompt=True)
        except TemplateSyntaxError as error:
            raise ModelError(
                f"{self.place}: its chat template is damaged (line {error.lineno}: {error.message}): fetch it again."
            ) from error
        except Exception as error:  # the type depends on the template
            return error

    def _apply(
        self, turns: Sequence[Message], parts: bool, generation_prompt: bool, variables: Mapping[str, Any] | None = None
    ) -> str:
        with _fixed_clock():
            text = self._tokenizer.apply_chat_template(
                [{"role": turn.role, "content": _content(turn.content, parts)} for turn in turns],
                tokenize=False,
                add_generation_prompt=generation_prompt,
                **{"date_string": DATE_STRING, **(variables or {})},
            )
        return str(text)


class _FixedDay(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(TEMPLATE_DAY.year, TEMPLATE_DAY.month, TEMPLATE_DAY.day, TEMPLATE_DAY.hour, tzinfo=tz)


@contextmanager
def _fixed_clock() -> Iterator[None]:
    """Inside, the function ``strftime_now`` of templates gives `TEMPLATE_DAY`.

    transformers defines that function itself and passes plain data only, so its clock is replaced while it renders.
    """
    chat_template_utils: Any = importlib.import_module("transformers.utils.chat_template_utils")
    with _CLOCK_LOCK:
        real = chat_template_utils.datetime
        chat_template_utils.datetime = _FixedDay
        try:
            yield
        finally:
            chat_template_utils.datetime = real


def _content(text: str, parts: bool) -> Any:
    return [{"type": "text", "text": text}] if parts else text


def join_system(messages: Sequence[Message]) -> list[Message]:
    """The conversation without system turns: their text precedes the first turn, with a blank line between."""
    system = [message.content for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    if system and turns:
        turns[0] = turns[0]._replace(content=BLANK_LINE.join([*system, turns[0].content]))
    return turns
