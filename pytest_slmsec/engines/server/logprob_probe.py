"""Whether a server returns log-probabilities, and whether those of prompt tokens can be trusted."""

from __future__ import annotations

from dataclasses import replace

from pytest_slmsec.engines.server.dialect import Dialect, PromptLogprobs, TextRequest
from pytest_slmsec.engines.server.errors import ServerError

TEXTS = ("The port of HTTPS is", "A firewall is a device that", "Phishing mail often asks the reader to")
AGREES_WITHIN_NATS = 0.3
"""Largest difference between the log-probability of a token echoed and generated. Different kernels differ by noise; a
row that belongs to another token differs by several nats."""
OPTIONAL_ATTEMPTS = 3


async def most_top(dialect: Dialect, ask: TextRequest, why: dict[str, str], name: str) -> int:
    """How many of the likeliest first tokens the server returns; 0 for none."""
    for most in dialect.tops:
        try:
            said = await dialect.generate(replace(ask, max_new_tokens=1, top=most), OPTIONAL_ATTEMPTS)
        except ServerError as error:
            why[name] = str(error)
            continue
        if said.top is not None and len(said.top) > 1:
            why.pop(name, None)
            return most
        why[name] = "the server leaves out the log-probabilities that were asked for"
        return 0
    return 0


async def probe_echo(dialect: Dialect, why: dict[str, str], generates_logprobs: bool) -> bool:
    """Whether the server returns log-probabilities of prompt tokens that can be trusted."""
    try:
        if await dialect.prompt_logprobs(TEXTS[0], OPTIONAL_ATTEMPTS) is None:
            why["echo"] = "the server tells no tokens of the prompt"
            return False
        if not generates_logprobs:
            why["echo"] = "what the server tells of prompt tokens cannot be checked against generated ones"
            return False
        verdicts = [await _echo_agrees(dialect, text) for text in TEXTS]
    except ServerError as error:
        why["echo"] = str(error)
        return False
    if False in verdicts or True not in verdicts:
        why["echo"] = "log-probabilities of prompt tokens differ from those of the same tokens generated"
        return False
    return True


async def _echo_agrees(dialect: Dialect, text: str) -> bool | None:
    """Whether the next token has the same log-probability generated and echoed.

    None if the two cannot be compared, because the text followed by the token is tokenised differently.
    """
    said = await dialect.generate(TextRequest(text=text, max_new_tokens=1, top=min(dialect.tops)), OPTIONAL_ATTEMPTS)
    generated = dict(said.top or ()).get(said.text)
    before = await dialect.prompt_logprobs(text)
    after = await dialect.prompt_logprobs(text + said.text) if said.text else None
    if generated is None or before is None or after is None or not _continues(before, after):
        return None
    last = after.logprobs[-1]
    return last is not None and abs(last - generated) <= AGREES_WITHIN_NATS


def _continues(before: PromptLogprobs, after: PromptLogprobs) -> bool:
    return len(after.tokens) == len(before.tokens) + 1 and after.tokens[:-1] == before.tokens
