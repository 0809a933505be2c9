"""Whether the model behind a server thinks before it answers, and how that is switched on and off.

Servers take the switch in different forms (`Dialect.thinking_forms`), and many ignore what they do not know. So a form
counts only if its effect is seen: a thought appears or disappears, or the prompt has another number of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.core.open_thoughts import closes_unopened
from pytest_slmsec.core.thoughts import separate
from pytest_slmsec.engines.common.settings import ThinkingSettings
from pytest_slmsec.engines.server.dialect import Dialect, Parameters, TextAnswer, TextRequest
from pytest_slmsec.engines.server.errors import ServerError

QUESTION = "Which port does HTTPS use? Answer with a number."
PROBE_TOKENS = 64
"""Enough for a thought to be seen, and few for a slow server."""
ATTEMPTS = 3
NO_CHOICE = (
    "the model thinks before it answers, and the server offers no way to switch that off, so the letters would be "
    "compared as the first token of a thought"
)
SWITCHED_OFF = "choices are compared with thinking switched off"


@dataclass(frozen=True, slots=True)
class ServerThinking:
    """What was found out.

    Attributes:
        thinks: answers come behind a thought. opened: thoughts are closed that no text opened, because the prompt did.
        parameters: of every request for a text. choice_parameters: of requests that compare letters, without a thought;
            None if thinking cannot be switched off.
        thought_tokens: most tokens of a thought; None where nothing thinks.
        facts: for the record; empty where nothing thinks and nothing was asked for.
    """

    thinks: bool = False
    opened: bool = False
    parameters: Parameters = field(default_factory=dict)
    choice_parameters: Parameters | None = field(default_factory=dict)
    thought_tokens: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one question showed: a thought, whose opening tag may stand in the prompt; and tokens of the prompt."""

    thinks: bool
    opened: bool
    prompt_tokens: int | None

    def differs(self, other: _Seen) -> bool:
        known = None not in (self.prompt_tokens, other.prompt_tokens)
        return self.thinks != other.thinks or (known and self.prompt_tokens != other.prompt_tokens)


async def probe_thinking(
    dialect: Dialect, settings: ThinkingSettings, place: str, scores_letters: bool, context_tokens: int | None
) -> ServerThinking:
    """Find out whether the model thinks, and switch that as the user chose.

    Args:
        place: address of the server, for messages. scores_letters: it returns likeliest first tokens.
        context_tokens: of the model, where the server says; a thought may take half of them.

    Raises:
        ModelError: the server takes no such switch or variable.
        ServerError: it does not answer.
    """
    chosen = await _variables(dialect, settings, place)
    plain = await _look(dialect, chosen)
    assert plain is not None
    parameters, now = chosen, plain
    if settings.asked != "auto":
        parameters, now = await _switched(dialect, settings.asked, chosen, plain, place)
    choice: Parameters | None = parameters
    if scores_letters and settings.asked != "off":
        off = await _form(dialect, "off", chosen, plain)
        if off is not None:
            choice = off[0]
        elif now.thinks:
            choice = None
    budget = min(settings.thought_tokens, (context_tokens or 2 * settings.thought_tokens) // 2) if now.thinks else None
    found = ServerThinking(now.thinks, now.opened, parameters, choice, budget)
    if not (now.thinks or settings.asked != "auto" or settings.template or choice != parameters):
        return found
    return replace(found, facts={
        "asked": settings.asked, "template": dict(settings.template), "opened_by_prompt": now.opened,
        "thought_tokens": budget, "parameters": dict(parameters),
        "closed_for_choices": choice is not None and choice != parameters, "no_effect": False,
    })  # fmt: skip


async def _variables(dialect: Dialect, settings: ThinkingSettings, place: str) -> Parameters:
    """The parameters for the variables that the user set, each in the form that the server takes."""
    found: Parameters = {}
    for name, value in settings.template:
        forms = dialect.variable_forms(name, value)
        if not forms:
            raise ModelError(
                f"{place} takes no variable {name} of a chat template: leave out --slmsec-template={name}."
            )
        before = await _look(dialect, found)
        taken: list[Parameters] = []
        for form in forms:
            tried = merged(found, form)
            seen = await _look(dialect, tried)
            if seen is not None and before is not None and seen.differs(before):
                taken.insert(0, tried)
                break
            if seen is not None:
                taken.append(tried)  # not refused, though its effect is not seen
        if not taken:
            raise ModelError(f"{place} refuses {' and '.join(map(_named, forms))}: leave out --slmsec-template={name}.")
        found = taken[0]
    return found


async def _switched(
    dialect: Dialect, asked: str, chosen: Parameters, plain: _Seen, place: str
) -> tuple[Parameters, _Seen]:
    """The parameters that switch thinking on or off, and what is then seen."""
    found = await _form(dialect, asked, chosen, plain)
    if found is not None:
        return found
    if plain.thinks is (asked == "on"):
        return chosen, plain
    forms = ", ".join(_named(form) for form in dialect.thinking_forms(asked))
    does = "goes on thinking" if asked == "off" else "shows no thought"
    raise ModelError(
        f"--slmsec-thinking={asked}: the model at {place} {does}, whatever it is sent ({forms}): start the server so "
        "that it does, or leave the option out."
    )


async def _form(dialect: Dialect, asked: str, chosen: Parameters, plain: _Seen) -> tuple[Parameters, _Seen] | None:
    """The first form of a switch whose effect is seen; None if none has any."""
    forms, tokens = dialect.thinking_forms(asked), PROBE_TOKENS
    if asked == "off" and not plain.thinks:  # nothing to be seen but the length of the prompt, which a template changes
        forms, tokens = forms[:1], 1
    for form in forms:
        tried = merged(chosen, form)
        seen = await _look(dialect, tried, tokens)
        if seen is None or not seen.differs(plain) or (asked == "off" and seen.thinks):
            continue
        # A prompt that changed shows that the template has the switch, even if the thought has no tags to be seen by.
        return tried, replace(seen, thinks=asked == "on")
    return None


async def _look(dialect: Dialect, parameters: Parameters, tokens: int = PROBE_TOKENS) -> _Seen | None:
    """Ask the question; None if the server refuses the parameters, or fails because of them."""
    ask = TextRequest((Message("user", QUESTION),), max_new_tokens=tokens, parameters=parameters)
    try:
        said = await dialect.generate(ask, ATTEMPTS)
    except ServerError:
        if not parameters:
            raise
        return None
    return _seen(said)


def _seen(said: TextAnswer) -> _Seen:
    thinks = said.thought is not None or bool(said.thought_tokens)
    found = separate(said.text)
    empty = found.found and not found.thought  # a thought that was closed at once
    return _Seen(thinks or (found.found and not empty), closes_unopened(said.text), said.prompt_tokens)


def merged(one: Parameters, other: Parameters) -> Parameters:
    """Both, with tables inside joined."""
    found = dict(one)
    for name, value in other.items():
        both = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = {**found[name], **value} if both else value
    return found


def _named(form: Parameters) -> str:
    return ", ".join(f"{name}={value}" for name, value in form.items())
