"""Whether a server streams its answers, so that the time to the first token is seen, and whether they stay the same.

What a server leaves out of a stream (counts, finish reason, its own times) would be missing from the record, so a
server that does is asked for whole answers.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from pytest_slmsec.engines.server.dialect import Dialect, Parameters, TextAnswer, TextRequest
from pytest_slmsec.engines.server.errors import ServerError

PROBE_TOKENS = 16
"""Enough for several pieces."""
ATTEMPTS = 2
ONE_PIECE_WORDS = 4
"""An answer of at least so many words is no stream if it comes in one piece."""
SWITCHED_OFF = "switched off by `stream = false` of the model's entry"
FACTS = {
    "ending": "how it ended", "prompt_tokens": "the count of prompt tokens", "new_tokens": "the count of new tokens",
    "model": "the name of the model", "fingerprint": "the fingerprint of the model", "spent": "the server's times",
}  # fmt: skip
"""Attributes of an answer that must not get lost, in words."""


async def probe_streaming(dialect: Dialect, ask: TextRequest, why: dict[str, str], name: str) -> Parameters | None:
    """The parameters with which the server streams the same answer that it gives whole; None if it does not.

    Args:
        ask: a question whose answer has several words. why: gets the reason under `name`.

    Raises:
        ServerError: the server does not answer the question as a whole.
    """
    ask = replace(ask, max_new_tokens=PROBE_TOKENS)
    whole = await dialect.generate(ask)
    for form in dialect.streaming_forms():
        found = await _tried(dialect.generate(replace(ask, streaming=form), ATTEMPTS))
        lost = found if isinstance(found, str) else lost_in_stream(whole, found)
        if lost is None:
            why.pop(name, None)
            return form
        why.setdefault(name, lost)
    return None


async def _tried(asking: Awaitable[TextAnswer]) -> TextAnswer | str:
    """The answer, or the server's message."""
    try:
        return await asking
    except ServerError as error:
        return str(error)


def lost_in_stream(whole: TextAnswer, streamed: TextAnswer) -> str | None:
    """What is wrong with a streamed answer beside the whole one, as a sentence; None: nothing."""
    if streamed.first_s is None:
        return "the server sends its answer whole, although it was asked to stream it"
    if streamed.pieces == 1 and len((streamed.text + (streamed.thought or "")).split()) >= ONE_PIECE_WORDS:
        return "the server streams a whole answer in one piece"
    if (whole.text, whole.thought) != (streamed.text, streamed.thought):
        return "the server streams another text than it gives whole"
    lost = [
        words for name, words in FACTS.items() if getattr(whole, name) is not None and getattr(streamed, name) is None
    ]
    return f"the server leaves {' and '.join(lost)} out of streams" if lost else None
