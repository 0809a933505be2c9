"""Every sentinel. One is added by a module and a line here, and a section in docs/sentinels.md."""

from __future__ import annotations

from pytest_slmsec.sentinels import (
    begin_of_text,
    collapsed,
    echoed_input,
    empty_answers,
    extractors,
    flat_options,
    form_without_facts,
    garbled,
    identical_answers,
    judge_habits,
    lost_prompt,
    low_parse_rate,
    no_chat_template,
    non_finite,
    padded_counts,
    partly_quantised,
    position_bias,
    refuses_all,
    repeated_steps,
    slow_quantised,
    thought_in_answer,
    token_limit,
    trained_on,
    unfinished_thoughts,
)
from pytest_slmsec.sentinels.base import Evidence, Finding, Sentinel

SENTINELS: tuple[Sentinel, ...] = (
    non_finite.SENTINEL,
    flat_options.SENTINEL,
    begin_of_text.SENTINEL,
    no_chat_template.SENTINEL,
    lost_prompt.SENTINEL,
    empty_answers.SENTINEL,
    identical_answers.SENTINEL,
    garbled.SENTINEL,
    token_limit.SENTINEL,
    unfinished_thoughts.SENTINEL,
    thought_in_answer.SENTINEL,
    low_parse_rate.SENTINEL,
    collapsed.SENTINEL,
    position_bias.SENTINEL,
    extractors.SENTINEL,
    padded_counts.SENTINEL,
    partly_quantised.SENTINEL,
    slow_quantised.SENTINEL,
    refuses_all.SENTINEL,
    echoed_input.SENTINEL,
    repeated_steps.SENTINEL,
    form_without_facts.SENTINEL,
    trained_on.SENTINEL,
    judge_habits.PREFERS_FIRST,
    judge_habits.PREFERS_LONGER,
    judge_habits.CONSTANT,
)


def watch(evidence: Evidence) -> list[Finding]:
    """What all sentinels find in one benchmark on one model, in the order of the registry."""
    found = ((sentinel.id, sentinel.check(evidence)) for sentinel in SENTINELS)
    return [Finding(name, evidence.benchmark, evidence.model, fact) for name, fact in found if fact is not None]
