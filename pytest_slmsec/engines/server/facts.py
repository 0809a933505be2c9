"""What is known about a server before the first item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.engines.server.dialect import ListedModel, Parameters
from pytest_slmsec.engines.server.model_names import is_expected, same_model
from pytest_slmsec.engines.server.thinking import ServerThinking

WILDCARDS = frozenset("*?[")
"""An expected name with one of these stands for several builds; the record then has the pattern."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server can do.

    Attributes:
        chat, raw: it answers conversations, and raw texts. system_turns: it takes system turns in conversations.
        chat_top, raw_top: how many of the likeliest first tokens it returns for either; 0 for none.
        chat_streaming, raw_streaming: parameters with which it streams either, nothing lost; None: it does not.
        echo: it returns log-probabilities of prompt tokens, and they agree with those of generated tokens.
        counts: it counts prompt tokens. timed: it reports prefill and decode time.
        names_endings: it says how an answer ended (`finish_reason`).
        load_s: seconds it took to load the model, if it says so.
        model, fingerprint: the names of the model and of its build that it reports.
        expected: the name that the registry entry expects it to report, wildcards allowed; None without any.
        listed: the model's entry in the server's list. thinking: whether the model thinks, and how that is switched.
        why: pairs of an attribute that is missing and the server's message about it.
    """

    chat: bool = False
    system_turns: bool = True
    raw: bool = False
    chat_top: int = 0
    raw_top: int = 0
    chat_streaming: Parameters | None = None
    raw_streaming: Parameters | None = None
    echo: bool = False
    counts: bool = False
    timed: bool = False
    names_endings: bool = True
    load_s: float | None = None
    model: str | None = None
    fingerprint: str | None = None
    expected: str | None = None
    listed: ListedModel | None = None
    thinking: ServerThinking = field(default_factory=ServerThinking)
    why: tuple[tuple[str, str], ...] = ()

    @property
    def choice_mode(self) -> str:
        """How the options of a conversation are scored."""
        return "top_logprobs" if self.chat_top else "none"

    @property
    def raw_choice_mode(self) -> str:
        """How the continuations of a raw text are scored."""
        if self.echo:
            return "echo"
        return "top_logprobs" if self.raw_top else "none"

    @property
    def says(self) -> dict[str, Any]:
        """What the server says the model is, as plain data: its weights cannot be hashed from here."""
        wildcards = self.expected is not None and bool(WILDCARDS & set(self.expected))
        listed = dict(self.listed.identity) if self.listed else {}
        reported = self.expected if wildcards else self.model
        return {"reported_model": reported, "fingerprint": self.fingerprint, "listed": listed}

    def answers_as(self, asked: str, answered: str | None) -> bool:
        """Whether an answer is from the model that was probed. `asked`: the name in requests."""
        if self.expected is not None:
            return is_expected(self.expected, answered)
        return same_model(self.model or asked, answered)

    def reason(self, name: str) -> str:
        """The server's message about an attribute that is missing, in brackets; empty if there is none."""
        found = dict(self.why).get(name, "")
        return f" ({found})" if found else ""
