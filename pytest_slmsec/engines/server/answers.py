"""From what a server answered to an output: without its thought, within the limits, and only if it ended soundly."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_slmsec.core.items import Generate, Output
from pytest_slmsec.core.thoughts import without_thoughts
from pytest_slmsec.engines.server.dialect import TextAnswer
from pytest_slmsec.engines.server.errors import InvalidAnswer


def inferred_ending(limit: int, said: TextAnswer) -> str | None:
    """How an answer ended by its length, for servers that never say; None if it cannot be told.

    Without a count of tokens, a text of fewer bytes than the limit has fewer tokens, since each has a byte at least.
    """
    if said.new_tokens is not None:
        return "length" if said.new_tokens >= limit else "stop"
    written = said.text + (said.thought or "")
    return "stop" if len(written.encode("utf-8", "replace")) < limit else None


def answer_of(said: TextAnswer, opened: bool = False) -> Output:
    """An answer without its thought, which the server sent in a field of its own or in the text.

    Args:
        opened: the prompt opens the thought, and the text closes it.
    """
    cut = said.ending == "length"
    output = Output(said.text, prompt_tokens=said.prompt_tokens, new_tokens=said.new_tokens, seconds=said.seconds,
                    hit_limit=cut, thought=said.thought, first_token_s=said.first_s)  # fmt: skip
    opened = opened and said.thought is None
    found = without_thoughts(output, opened=opened, tokens_before=lambda at: said.thought_tokens)
    return found if found.thought is None else replace(found, thought_tokens=said.thought_tokens)


def within_limits(output: Output, answer_tokens: int, thought_tokens: int | None) -> Output:
    """An output cut as if thought and answer had been limited apart, which no server does.

    Where the server does not count the tokens of the thought, they are estimated by its share of all characters.

    Args:
        answer_tokens, thought_tokens: the limits; None: nothing was allowed for thoughts.
    """
    if thought_tokens is None or not output.new_tokens or not output.text:
        return output
    thought, text = output.thought or "", output.text
    thought_used = output.thought_tokens
    if thought_used is not None and thought_used > thought_tokens:
        return replace(output, text="", hit_limit=True)  # it would not have come to an end
    if thought_used is None:
        thought_used = round(output.new_tokens * len(thought) / (len(thought) + len(text)))
    used = output.new_tokens - thought_used
    if used <= answer_tokens:
        return output
    return replace(output, text=text[: len(text) * answer_tokens // used], hit_limit=True)


def check_ending(limit: int, said: TextAnswer) -> None:
    """Raise unless the model itself ended the answer, or the token limit that was asked for did."""
    if said.ending == "length" and said.new_tokens is not None and said.new_tokens < limit:
        raise InvalidAnswer(
            f"the server cut the answer off after {said.new_tokens} tokens, though {limit} were "
            "allowed: its own limit is lower, or its context is full"
        )
    if said.ending is None:
        raise InvalidAnswer("the server does not say how the answer ended, so it may be cut off")
    if said.ending not in ("stop", "length"):
        raise InvalidAnswer(f"the server ended the answer for a reason of its own ({said.ending!r})")


def cut_at_stops(request: Generate, text: str) -> str:
    """The text up to its first stop string, and up to the first match of `request.answered`."""
    places = [text.find(string) for string in request.stop if string]
    text = text[: min((place for place in places if place >= 0), default=len(text))]
    found = re.search(request.answered, text) if request.answered else None
    return text if found is None else text[: found.end()]
