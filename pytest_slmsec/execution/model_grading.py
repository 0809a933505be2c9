"""Answers graded by other models: expansion, then judging.

A task names the questions (`tasks.base.FollowUps`). They are asked round by round, after the model under test has
answered all selected items of a benchmark. So each grading model is loaded once a benchmark, and never beside another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from pytest_slmsec.collection.cases import Evaluation
from pytest_slmsec.config.options import RULE
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Item, Output, Reply, Request
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.scoring.error_text import error_text
from pytest_slmsec.tasks.base import FollowUp, FollowUps

Ask = Callable[[Evaluation, str, Sequence[Request]], list[Output]]
"""Asks the model with a role (judge, expander) of an evaluation; returns outputs in the order of the requests."""


def follow_up(evaluation: Evaluation, items: Sequence[Item], outputs: Sequence[Output], ask: Ask) -> list[Output]:
    """Ask the grading models about each answer until no question is left.

    Returns:
        The outputs with the replies. An output whose question failed, or got an empty reply, has an error instead: it
        is no valid measurement. The others are not affected.
    """
    questions = evaluation.task.followups
    assert questions is not None
    found = list(outputs)
    waiting = [row for row, output in enumerate(found) if output.error is None]
    while due := _due(questions, evaluation, items, found, waiting):
        for role in dict.fromkeys(question.role for question in due.values()):
            rows = [row for row, question in due.items() if question.role == role]
            requests = [due[row].request for row in rows]
            for row, request, reply in zip(rows, requests, ask(evaluation, role, requests), strict=True):
                found[row] = _with_reply(evaluation, role, items[row], found[row], request, reply)
        waiting = [row for row in due if found[row].error is None]
    return found


def _due(
    questions: FollowUps, evaluation: Evaluation, items: Sequence[Item], outputs: Sequence[Output], rows: Sequence[int]
) -> dict[int, FollowUp]:
    asked = {row: questions.next(items[row], outputs[row], evaluation.mode) for row in rows}
    return {row: question for row, question in asked.items() if question is not None}


def _with_reply(
    evaluation: Evaluation, role: str, item: Item, output: Output, request: Request, reply: Output
) -> Output:
    model = evaluation.roles[role].name
    failed = reply.error or error_text(reply.text or "")
    if failed is not None:
        return replace(output, error=f"{item.id}: the {role} {model} failed: {failed.removeprefix(f'{item.id}: ')}")
    if reply.thought is not None and reply.hit_limit and not reply.text:
        return replace(output, error=f"{item.id}: the {role} {model} was still thinking when its tokens ran out, so "
                       "there is no verdict: raise --slmsec-thought-tokens.")  # fmt: skip
    if not (reply.text or "").strip():
        return replace(output, error=f"{item.id}: the {role} {model} wrote nothing, so there is no verdict; name "
                       "another model.")  # fmt: skip
    text = Reply(role, model, prompt_sha256(request), reply.text or "", reply.hit_limit, reply.thought)
    return replace(output, replies=(*output.replies, text))


def prompt_sha256(request: Request) -> str:
    """Digest of the messages of a request."""
    return sha256_json(asdict(request)["messages"])


def judge_identity(evaluation: Evaluation, info: Callable[..., EngineInfo | None]) -> str | None:
    """The models that graded the answers, with all that their verdicts depend on; None without such models.

    Two runs are comparable only if it is the same.

    Args:
        info: facts about a model that was loaded.
    """
    questions = evaluation.task.followups
    if questions is None:
        return None
    if not evaluation.roles:
        return RULE
    named = [_named(evaluation.roles[role].name, info(evaluation.roles[role])) for role in questions.roles]
    others = [f"{role} {name}" for role, name in zip(questions.roles[1:], named[1:], strict=True)]
    return ", ".join([named[0], *others, f"prompts {questions.prompt_sha256[:12]}"])


def _named(name: str, info: EngineInfo | None) -> str:
    if info is None:
        return f"{name} (not loaded)"
    facts: Any = info.extra.get("thinking") or {}
    variables = "".join(f" {key}={value}" for key, value in facts.get("template", {}).items())
    asked = facts.get("asked", "auto")
    chosen = f", thinking {asked}{variables}" if variables or asked != "auto" else ""
    return f"{name} ({info.engine}, weights {info.weights_sha256[:12]}{chosen})"
