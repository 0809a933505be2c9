"""What a chat template makes of thinking: its switches, the thought that it opens, and how that is closed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.open_thoughts import open_tag
from pytest_slmsec.core.thought_tags import HARMONY, Tag, named_tags
from pytest_slmsec.engines.common.settings import ThinkingSettings

SWITCHES = ("enable_thinking", "thinking")
"""Variables that are true or false: Qwen3, SmolLM3, GLM, Apertus; Granite, DeepSeek V3.1."""
EFFORT = "reasoning_effort"
END_OF_ANALYSIS = "<|end|><|start|>assistant"
ASSISTANT = "<|start|>assistant"
TAIL_CHARS = 400
NO_SWITCH = "--slmsec-thinking={asked} changes nothing: the chat template has no such switch"
CLOSED = "choices are compared behind a thought that is closed at once"


class TemplateThinking:
    """The thinking of one tokenizer's chat template.

    Args:
        source: text of the template, empty without one. settings: what the user chose.

    Attributes:
        tags: of thoughts, as the added tokens or the template name them. harmony: the template writes channels.

    Raises:
        ModelError: a variable was set that the template does not have.
    """

    def __init__(self, tokenizer: Any, source: str, settings: ThinkingSettings) -> None:
        self.settings = settings
        self._template = source
        self.tags: tuple[Tag, ...] = named_tags(tokenizer.get_added_vocab(), self._template)
        self.harmony = "<|channel|>" in self._template and "<|message|>" in self._template
        for name, _ in settings.template:
            if not self._has(name):
                place = getattr(tokenizer, "name_or_path", "") or "the model"
                raise ModelError(
                    f"{place}: its chat template has no variable {name!r}: leave out --slmsec-template={name}=..., or "
                    "name one that it has."
                )

    @property
    def chosen(self) -> bool:
        """Whether the user chose anything."""
        return self.settings.asked != "auto" or bool(self.settings.template)

    @property
    def may_think(self) -> bool:
        """Whether answers may begin with a thought, which then has a token budget of its own."""
        return self.settings.asked != "off" and (bool(self.tags) or self.harmony or self.settings.asked == "on")

    def variables(self, closed: bool) -> dict[str, Any]:
        """What the template is given. `closed`: no thought is wanted in this prompt."""
        chosen = dict(self.settings.template)
        wanted = "off" if closed else self.settings.asked
        if wanted == "auto":
            return chosen
        switches: dict[str, Any] = {name: wanted == "on" for name in SWITCHES if self._has(name)}
        if wanted == "off" and self._has(EFFORT) and re.search(r"""["']none["']""", self._template):
            switches[EFFORT] = "none"
        return {**switches, **chosen} if not closed else {**chosen, **switches}

    def closes(self, closed: bool) -> bool:
        """Whether a thought that the template leaves open is closed behind it."""
        return closed or self.settings.asked == "off"

    def opened(self, rendered: str, content: str) -> Tag | None:
        """The tag of the thought that a prompt leaves open, or None.

        Args:
            content: of the last turn, whose own text does not count.
        """
        return open_tag(_tail(rendered, content), self.tags)

    def close(self, rendered: str, content: str) -> str:
        """A prompt behind which the answer itself follows, as the template writes it where thinking is off."""
        tag = self.opened(rendered, content)
        if tag == HARMONY:
            return rendered + END_OF_ANALYSIS + HARMONY.close
        if tag is None:
            return rendered + HARMONY.close if self.harmony and rendered.rstrip().endswith(ASSISTANT) else rendered
        if tag.open.startswith("["):
            return rendered + tag.close
        return rendered + ("\n" if rendered.endswith("\n") else "\n\n") + tag.close + "\n\n"

    def facts(self, prompts: Mapping[str, str], opened: bool) -> dict[str, Any]:
        """For the record.

        Args:
            prompts: one and the same question, as it is asked for an answer (``answer``), for a choice (``choice``),
                and without any of the settings (``plain``). opened: the first of them opens a thought.
        """
        asked, named = self.settings.asked, bool(self.tags) or self.harmony
        return {
            "asked": asked,
            "template": dict(self.settings.template),
            "tags": [pair.open for pair in self.tags] + [HARMONY.open] * self.harmony,
            "opened_by_prompt": opened,
            "thought_tokens": self.settings.thought_tokens if self.may_think else None,
            "closed_for_choices": prompts["choice"] != prompts["answer"],
            "no_effect": asked != "auto" and prompts["answer"] == prompts["plain"] and (named or asked == "on")
            and not (asked == "on" and opened),
        }  # fmt: skip

    def _has(self, variable: str) -> bool:
        return re.search(rf"(?<![\w.'\"]){re.escape(variable)}\b", self._template) is not None


def _tail(rendered: str, content: str) -> str:
    """What stands behind the last turn of a rendered conversation."""
    content = content.strip()
    at = rendered.rfind(content) if content else -1
    return rendered[at + len(content) :] if at >= 0 else rendered[-TAIL_CHARS:]
