"""Whether a prompt, or a text while it is generated, is inside a thought."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache

from pytest_slmsec.core.thought_tags import (
    APRIEL,
    HARMONY,
    KNOWN_TAGS,
    QUOTES,
    Tag,
    between_quotes,
    tag_key,
    tag_vocabulary,
)
from pytest_slmsec.core.untagged_thoughts import GRANITE_ANSWER

OF_PROMPTS = (HARMONY, APRIEL)
"""What a prompt may end with, besides a tag, and what ends the thought that it opens."""
TAG_CHARS = 200
"""How far from the end of a prompt the tag that opens a thought is looked for."""


def open_tag(tail: str, tags: Sequence[Tag] = ()) -> Tag | None:
    """The tag of the thought that the end of a prompt leaves open, or None.

    Args:
        tail: what the chat template writes behind the last turn of the user.
    """
    vocabulary = tag_vocabulary(tuple(tags))
    pairs = list(dict.fromkeys([*KNOWN_TAGS, *tags]))
    found = next((pair for pair in OF_PROMPTS if tail.rstrip().endswith(pair.open)), None)
    for mark in vocabulary.pattern.finditer(tail):
        key = tag_key(mark[0])
        found = pairs[vocabulary.opens[key]] if key in vocabulary.opens else None
    return found


def ends_in_thought(prompt: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether a prompt ends with a tag that opens a thought."""
    prompt = prompt.rstrip()
    if any(prompt.endswith(pair.open) for pair in OF_PROMPTS):
        return True
    vocabulary = tag_vocabulary(tuple(tags))
    marks = vocabulary.pattern.finditer(prompt, max(0, len(prompt) - TAG_CHARS))
    return any(mark.end() == len(prompt) and tag_key(mark[0]) in vocabulary.opens for mark in marks)


def closes_unopened(text: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether a text closes a thought that it did not open, which its prompt therefore did."""
    vocabulary = tag_vocabulary(tuple(tags))
    marks = vocabulary.pattern.finditer(text)
    first = next((mark for mark in marks if not between_quotes(text, *mark.span())), None)
    return first is not None and tag_key(first[0]) in vocabulary.closes


class Start(Enum):
    """What the first words of a text are: of a thought, of an answer, or too few to tell."""

    THOUGHT = auto()
    ANSWER = auto()
    UNKNOWN = auto()


def start_of(text: str, tags: Sequence[Tag] = ()) -> Start:
    """What a text begins with, while it is generated; tokens that are special are in it."""
    key = tag_key(text)
    for opening in _openings(tuple(tags)):
        if key.startswith(opening):
            return Start.THOUGHT
        if opening.startswith(key):
            return Start.UNKNOWN
    return Start.ANSWER


@lru_cache(maxsize=64)
def _openings(tags: tuple[Tag, ...]) -> tuple[str, ...]:
    harmony = ("<|channel|>analysis", "<|channel|>commentary")
    words = ("hereismythoughtprocess:", "here'smythoughtprocess:", tag_key(APRIEL.open))
    return (*tag_vocabulary(tags).opens, *harmony, *words)


def closes_thought(tail: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether the last words of a thought close it. A tag behind a quotation mark is quoted."""
    if any(tail.rstrip().endswith(pair.close) for pair in OF_PROMPTS) or GRANITE_ANSWER.search(tail):
        return True
    vocabulary = tag_vocabulary(tuple(tags))
    return any(tag_key(mark[0]) in vocabulary.closes and tail[mark.start() - 1 : mark.start()] not in QUOTES
               for mark in vocabulary.pattern.finditer(tail))  # fmt: skip
