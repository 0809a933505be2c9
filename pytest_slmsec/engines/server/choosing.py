"""The options of a question by what a server tells: of the first generated token, or of the tokens of the prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_slmsec.core.items import Choose, Output
from pytest_slmsec.engines.prompting.raw_texts import pairs
from pytest_slmsec.engines.server.dialect import Ask, Dialect, Echoed, Nonsense, Top

BLANKS = " \t\r\n\u2581\u0120\u010a"
"""White space, and what SentencePiece and byte-level BPE write for it in the names of tokens."""


def is_lettered(request: Choose) -> bool:
    """Whether each option is one character, told apart by the first token alone."""
    letters = [choice.strip() for choice in request.choices]
    return all(len(letter) == 1 for letter in letters) and len({*letters}) == len(letters) and not request.contexts


async def by_first_token(dialect: Dialect, request: Choose, top: int) -> tuple[Output, float]:
    """Score letters by the likeliest first tokens.

    The log-probability of a letter is that of all tokens that are it, with a blank before it or not, together. A letter
    that is not among the likeliest is not scored: it is below the last of them, and not 0. Where one is missing, the
    others rank (`Output.choice_scores`) and there are no probabilities.

    Returns:
        The output and the seconds of the request.

    Raises:
        ServerError: no answer, or none of the letters is in it.
    """
    text = "" if not request.raw else "".join(turn.content for turn in request.messages).rstrip()
    said = await dialect.say(Ask(() if request.raw else request.messages, text, 1, (), top))
    letters = [choice.strip() for choice in request.choices]
    found = letter_logprobs(said.top or (), letters)
    if all(value is None for value in found):
        first = said.top[0][0] if said.top else said.text
        raise Nonsense(f"none of {', '.join(letters)} is among the {len(said.top or ())} likeliest first tokens "
                       f"(the first is {first!r})")  # fmt: skip
    whole = tuple(value for value in found if value is not None)
    best = max(said.top or (), key=lambda pair: pair[1])[0].strip(BLANKS)
    return Output(
        choice_logprobs=whole if len(whole) == len(found) else None,
        choice_scores=None if len(whole) == len(found) else tuple(found),
        choice_greedy=tuple(letter == best for letter in letters),
        prompt_tokens=said.prompt_tokens,
    ), said.seconds


def letter_logprobs(top: Top, letters: Sequence[str]) -> list[float | None]:
    """Natural-log probability of each letter from the likeliest tokens; None for one that is not among them."""
    found = []
    for letter in letters:
        values = [logprob for token, logprob in top if token.strip(BLANKS) == letter]
        highest = max(values, default=None)
        finite = highest is not None and math.isfinite(highest)
        found.append(highest + math.log(math.fsum(math.exp(v - highest) for v in values)) if finite else None)  # type: ignore[operator]
    return found


async def by_echo(dialect: Dialect, request: Choose) -> tuple[Output, float]:
    """Score any continuations of raw texts by the tokens that a server echoes, as lm-evaluation-harness does.

    The tokens of a continuation are those that the whole has behind as many as its context has.

    Returns:
        The output and the seconds of all requests together.

    Raises:
        ServerError: no answer, or not what was asked for.
    """
    both = pairs(request)
    if any(not context.strip() for context, _ in both):
        raise Nonsense("a continuation without a text before it cannot be scored by a server")
    contexts = {text: await _echoed(dialect, text) for text in dict.fromkeys(context.rstrip() for context, _ in both)}
    wholes = [await _echoed(dialect, context + continuation) for context, continuation in both]
    sums = [_continuation(contexts[context.rstrip()], whole) for (context, _), whole in zip(both, wholes, strict=True)]
    counts = [echoed.prompt_tokens for echoed in contexts.values() if echoed.prompt_tokens is not None]
    return Output(
        choice_logprobs=tuple(value for value, _ in sums),
        choice_greedy=tuple(greedy for _, greedy in sums),
        prompt_tokens=max(counts, default=None),
    ), math.fsum(echoed.seconds for echoed in (*contexts.values(), *wholes))


async def _echoed(dialect: Dialect, text: str) -> Echoed:
    found = await dialect.echo(text)
    if found is None:
        raise Nonsense("the server told no log-probabilities of the prompt, as it did before")
    return found


def _continuation(context: Echoed, whole: Echoed) -> tuple[float, bool]:
    """Summed log-probability of the tokens behind the context, and whether each of them was the likeliest."""
    start = len(context.tokens)
    values = whole.logprobs[start:]
    if not values or any(value is None or not math.isfinite(value) for value in values):
        raise Nonsense(f"the server echoed {len(whole.tokens)} tokens of a text that begins with {start}")
    return math.fsum(value for value in values if value is not None), all(whole.greedy[start:])
