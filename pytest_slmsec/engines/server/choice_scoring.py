"""Log-probabilities of answer options from a server: of the first generated token, or of the echoed prompt tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_slmsec.core.items import Choose, Output
from pytest_slmsec.engines.prompting.raw_texts import pairs
from pytest_slmsec.engines.server.dialect import (
    Dialect,
    Parameters,
    PromptLogprobs,
    TextRequest,
    TopLogprobs,
)
from pytest_slmsec.engines.server.errors import InvalidAnswer

BLANKS = " \t\r\n\u2581\u0120\u010a"
"""White space, and the characters that stand for it in tokens of SentencePiece (U+2581) and byte-level BPE."""


def is_lettered(request: Choose) -> bool:
    """Whether every option is one character of its own, so that the first token tells the options apart."""
    letters = [choice.strip() for choice in request.choices]
    return all(len(letter) == 1 for letter in letters) and len({*letters}) == len(letters) and not request.contexts


async def by_first_token(
    dialect: Dialect, request: Choose, top: int, parameters: Parameters | None = None
) -> tuple[Output, float]:
    """Score one-letter options by the likeliest first tokens.

    The probability of a letter is the sum over all tokens that spell it, with or without a leading blank. A letter that
    is not among the `top` likeliest tokens has no score: its probability is small, but not 0. If any letter has none,
    the output holds only a ranking (`Output.choice_scores`) and no log-probabilities.

    Args:
        top: how many likeliest tokens to ask for. parameters: of the request, such as those that switch thinking off.

    Returns:
        The output and the wall seconds of the request.

    Raises:
        ServerError: the server did not answer, or none of the letters is among its likeliest tokens.
    """
    text = "" if not request.raw else "".join(turn.content for turn in request.messages).rstrip()
    messages = () if request.raw else request.messages
    said = await dialect.generate(TextRequest(messages, text, 1, (), top, parameters=parameters or {}))
    letters = [choice.strip() for choice in request.choices]
    found = letter_logprobs(said.top or (), letters)
    if all(value is None for value in found):
        first = said.top[0][0] if said.top else said.text
        raise InvalidAnswer(f"none of {', '.join(letters)} is among the {len(said.top or ())} likeliest first tokens "
                       f"(the first is {first!r})")  # fmt: skip
    whole = tuple(value for value in found if value is not None)
    best = max(said.top or (), key=lambda pair: pair[1])[0].strip(BLANKS)
    return Output(
        choice_logprobs=whole if len(whole) == len(found) else None,
        choice_scores=None if len(whole) == len(found) else tuple(found),
        choice_greedy=tuple(letter == best for letter in letters),
        prompt_tokens=said.prompt_tokens,
    ), said.seconds


def letter_logprobs(top: TopLogprobs, letters: Sequence[str]) -> list[float | None]:
    """Natural-log probability of each letter from the likeliest tokens; None for a letter that is not among them."""
    return [_log_sum_exp([value for token, value in top if token.strip(BLANKS) == letter]) for letter in letters]


def _log_sum_exp(logprobs: Sequence[float]) -> float | None:
    """Log of the summed probabilities; None if there are none, or none that is finite."""
    highest = max(logprobs, default=-math.inf)
    if not math.isfinite(highest):
        return None
    return highest + math.log(math.fsum(math.exp(value - highest) for value in logprobs))


async def by_echo(dialect: Dialect, request: Choose) -> tuple[Output, float]:
    """Score continuations of any length of raw texts by echoed prompt tokens, as lm-evaluation-harness does.

    If the context has n tokens, the tokens of the continuation are those of the whole text after the first n.

    Returns:
        The output and the summed wall seconds of all requests.

    Raises:
        ServerError: the server did not answer, or its answer lacks the log-probabilities.
    """
    both = pairs(request)
    if any(not context.strip() for context, _ in both):
        raise InvalidAnswer("a continuation without a text before it cannot be scored by a server")
    contexts = {text: await _echoed(dialect, text) for text in dict.fromkeys(context.rstrip() for context, _ in both)}
    wholes = [await _echoed(dialect, context + continuation) for context, continuation in both]
    sums = [_continuation(contexts[context.rstrip()], whole) for (context, _), whole in zip(both, wholes, strict=True)]
    counts = [echoed.prompt_tokens for echoed in contexts.values() if echoed.prompt_tokens is not None]
    return Output(
        choice_logprobs=tuple(value for value, _ in sums),
        choice_greedy=tuple(greedy for _, greedy in sums),
        prompt_tokens=max(counts, default=None),
    ), math.fsum(echoed.seconds for echoed in (*contexts.values(), *wholes))


async def _echoed(dialect: Dialect, text: str) -> PromptLogprobs:
    found = await dialect.prompt_logprobs(text)
    if found is None:
        raise InvalidAnswer("the server returned no log-probabilities of the prompt, although it did at first")
    return found


def _continuation(context: PromptLogprobs, whole: PromptLogprobs) -> tuple[float, bool]:
    """Summed log-probability of the tokens after the context, and whether each of them was the likeliest."""
    start = len(context.tokens)
    values = whole.logprobs[start:]
    if not values or any(value is None or not math.isfinite(value) for value in values):
        raise InvalidAnswer(f"the server echoed {len(whole.tokens)} tokens of a text that begins with {start}")
    return math.fsum(value for value in values if value is not None), all(whole.greedy[start:])
