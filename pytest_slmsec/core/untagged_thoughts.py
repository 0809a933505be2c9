"""Thoughts in channels (Harmony, gpt-oss) or behind words (Granite 3.2, Apriel, `ollama run`) instead of tags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pytest_slmsec.core.thought_tags import APRIEL, Tag


class Separated(NamedTuple):
    """A text in its parts.

    Attributes:
        thought: all thoughts, without their tags, with a blank line between two; "" where there is none.
        answer: the rest; "" where the last thought was not closed. finished: it was, or there is none.
        found: there was a thought, perhaps an empty one. answer_at: where in the text the answer's last part begins.
    """

    thought: str
    answer: str
    finished: bool
    found: bool
    answer_at: int


WRAPPERS = (
    Tag("<response>", "</response>"),  # Granite 3.3
    Tag("<answer>", "</answer>"),  # Hunyuan
    Tag("<|begin_of_solution|>", "<|end_of_solution|>"),
    Tag(APRIEL.close, "[END FINAL RESPONSE]"),
    Tag("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
# "<|channel|>final".
CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary|final)\b")
# "<|start|>assistant<|channel|>final<|message|>B<|return|>": its marks.
MARKER = re.compile(r"<\|(start|channel|message|end|return|call|constrain)\|>")
# "analysisWe need ..." and "commentaryLet me ...": what is left of a channel's name, with no blank behind it.
BARE_THOUGHT = re.compile(r"(?:analysis|commentary)(?=[A-Z\"'(\[{<])")
BARE_FINAL = "assistantfinal"
# "finalB".
BARE_ANSWER = re.compile(r"final(?=[A-Z][^a-z]|[A-Z]$)")
# Granite 3.2: "Here is my thought process: ... Here is my response: B".
GRANITE_THOUGHT = re.compile(r"\s*(?:\*\*|#{1,4} )?Here(?: is|'s) my thought process:(?:\*\*)?")
GRANITE_ANSWER = re.compile(r"(?:\*\*|#{1,4} )?Here(?: is|'s) my response:(?:\*\*)?")
# What `ollama run` writes around a thought: "Thinking...\nA?\n...done thinking.\n\nB".
OLLAMA_THOUGHT = re.compile(r"\s*Thinking\.\.\.[ \t]*\r?\n")
OLLAMA_ANSWER = re.compile(r"^\.\.\.done thinking\.", re.MULTILINE)
WORDS = ((GRANITE_THOUGHT, GRANITE_ANSWER), (OLLAMA_THOUGHT, OLLAMA_ANSWER))
"""What a thought begins with at the beginning of a text, and what its answer stands behind."""


def separate_untagged(text: str, opened: bool) -> Separated | None:
    """A text in thought and answer by channels or words; None where it has neither.

    Args:
        opened: the prompt ends inside a thought.
    """
    found = _harmony(text) or _apriel(text)
    if found is not None or opened:
        return found
    for thought, answer in WORDS:
        begun = thought.match(text)
        if begun is not None:
            return _behind_words(text, begun, answer)
    return None


def _apriel(text: str) -> Separated | None:
    """The thought before Apriel's final response; None where the text has neither."""
    at = text.find(APRIEL.close)
    begun = text.lstrip().startswith(APRIEL.open)
    if at < 0 and not begun:
        return None
    thought = text[: at if at >= 0 else None].strip().removeprefix(APRIEL.open).strip()
    if at < 0:
        return Separated(thought, "", False, True, len(text))
    return Separated(thought, without_wrapper(text[at:]), True, True, at + len(APRIEL.close))


def _behind_words(text: str, begun: re.Match[str], answer: re.Pattern[str]) -> Separated:
    """A thought and an answer behind words. `begun`: those of the thought, `answer`: finds those of the answer."""
    ended = answer.search(text, begun.end())
    if ended is None:
        return Separated(text[begun.end() :].strip(), "", False, True, len(text))
    thought = text[begun.end() : ended.start()].strip()
    return Separated(thought, without_wrapper(text[ended.end() :]), True, True, ended.end())


def _harmony(text: str) -> Separated | None:
    """The channels of gpt-oss; None where the text has none."""
    if CHANNEL.search(text) is None:
        return _bare_harmony(text)
    thoughts: list[str] = []
    answers: list[tuple[str, int]] = []
    channel, marks = "", list(MARKER.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        content = text[mark.end() : following.start() if following else len(text)]
        if mark[1] == "channel":
            channel = (content.split(maxsplit=1) or [""])[0]
        elif mark[1] == "message" and channel == "final":
            answers.append((content, mark.end()))
        elif mark[1] == "message":
            thoughts.append(content)
    thought = joined(thoughts)
    if not answers:
        return Separated(thought, "", False, True, len(text))
    return Separated(thought, "\n".join(content for content, _ in answers).strip(), True, True, answers[-1][1])


def _bare_harmony(text: str) -> Separated | None:
    """Channels whose special tokens were dropped; None where the text does not look like that."""
    begun = BARE_THOUGHT.match(text)
    at = text.find(BARE_FINAL) if text.startswith(("analysis", "commentary")) else -1
    if at >= 0:
        start = at + len(BARE_FINAL)
        return Separated(text[:at].removeprefix("analysis").strip(), text[start:].strip(), True, True, start)
    if begun is not None:
        return Separated(text[begun.end() :].strip(), "", False, True, len(text))
    only = BARE_ANSWER.match(text)
    if only is not None:
        return Separated("", text[only.end() :].strip(), True, True, only.end())
    return None


def joined(thoughts: Iterable[str]) -> str:
    """Thoughts with a blank line between two; those that hold nothing are left out."""
    return "\n\n".join(filter(None, (thought.strip() for thought in thoughts)))


def without_wrapper(answer: str) -> str:
    """An answer behind a thought, without blanks around it and without the tags that wrap it."""
    answer = answer.strip()
    for pair in WRAPPERS:
        if answer[: len(pair.open)].lower() == pair.open.lower():
            answer = answer[len(pair.open) :].strip()
            answer = answer.removesuffix("<|end|>").rstrip()
            if answer[-len(pair.close) :].lower() == pair.close.lower():
                answer = answer[: -len(pair.close)].strip()
    return answer
