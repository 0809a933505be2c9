"""Which part of a prompt is the question, beside examples and what the scorer needs."""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.spans import Span

RAW_QUESTIONS = (
    re.compile(r"### Input:\n(?P<zone>.+?)\s*\n\n### Response:\s*\Z", re.S),
    re.compile(
        r"(?:\A|\n\n)(?:(?:Question|Q): )?(?P<zone>(?!###)(?:(?!\n\n).)+?)"
        r"(?:\n[A-J][.)] [^\n]*)*(?:\n(?:Answer|A):)?\s*\Z",
        re.S,
    ),
)
"""Of prompts without a chat template: the input of an instruction, or the last question behind its examples."""


def zone(item: Item) -> Span | None:
    """The part of the prompt that a perturbation may touch; None: there is none.

    The question where the benchmark gives it by itself, which then stands in the prompt; of a prompt without a chat
    template the last question; else the whole prompt.
    """
    if item.contexts:
        return None  # each option has a text of its own
    question = item.question.strip()
    if question:
        at = item.prompt.rfind(question)
        return None if at < 0 else Span(at, at + len(question))
    if not item.raw:
        return Span(0, len(item.prompt))
    found = next((match for pattern in RAW_QUESTIONS if (match := pattern.search(item.prompt))), None)
    return None if found is None else Span(*found.span("zone"))
