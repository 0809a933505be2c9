"""Sample files of lm-evaluation-harness (``--log_samples``): ``samples_TASK_DATE.jsonl``, one JSON object a line.

Format: `lm_eval/evaluator.py` and `EvaluationTracker.save_results_samples` of lm_eval 0.4. ``arguments`` holds a
``gen_args_N`` for each request of the document, with the context as ``arg_0`` and the continuation (log-likelihood) or
the generation arguments as ``arg_1``; ``resps`` holds what the model gave to each: a list of texts, or of
``[log-likelihood, is greedy]``, everything as text. A task with several filters writes each document once a filter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.core.items import Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import field, json_lines, shown

FORM = "samples_TASK_DATE.jsonl of lm-eval"
# "samples_gsm8k_2026-01-31T10-20-30.123456.jsonl".
NAME = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl")
LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens")


def reads(path: Path) -> bool:
    """By its name."""
    return NAME.fullmatch(path.name) is not None


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    found = NAME.fullmatch(path.name)
    assert found is not None
    answers: dict[tuple[int, str], Recorded] = {}
    decoding: dict[str, Any] = {"raw": True}
    first: str | None = None
    for number, line in json_lines(path):
        where = f"{path}, {number}"
        key = field(line, "doc_id", int, where), str(line.get("filter", "none"))
        first = first or key[1]
        if key in answers:
            raise ReplayError(f"{path}: {number} repeats the document {key[0]} of {answers[key].where}; "
                              "every document must occur once a filter.")  # fmt: skip
        answers[key] = _answer(number, key[0], line, where)
        decoding |= _decoding(line)
    return [
        Recording(
            path,
            found[1],
            tuple(answer for (_, name), answer in answers.items() if name == first),
            decoding=decoding,
        )
    ]


def _answer(number: str, doc: int, line: Mapping[str, Any], where: str) -> Recorded:
    requests = _requests(field(line, "arguments", (dict, list), where), where)
    replies = field(line, "resps", list, where)
    if len(requests) != len(replies) or not requests:
        raise ReplayError(f"{where}: {len(requests)} requests in 'arguments', but {len(replies)} answers in 'resps'.")
    contexts, continuations = [request[0] for request in requests], [request[1] for request in requests]
    if not all(isinstance(context, str) for context in contexts):
        raise ReplayError(f"{where}: 'arguments' holds a context that is no text.")
    answers = [_only(reply, where) for reply in replies]
    choices = None
    if all(isinstance(answer, str) for answer in answers) and len(answers) == 1:
        output = Output(answers[0], prompt_tokens=None, new_tokens=None)
    else:
        pairs = [_pair(answer, where) for answer in answers]
        choices = tuple(str(text) for text in continuations)
        output = Output(
            choice_logprobs=tuple(logprob for logprob, _ in pairs),
            choice_greedy=tuple(greedy for _, greedy in pairs),
            prompt_tokens=None,
            new_tokens=0,
        )
    return Recorded(f"{number} (document {doc})", output, row=doc + 1, prompt=contexts[0], raw=True, choices=choices)


def _requests(arguments: Any, where: str) -> list[tuple[Any, Any]]:
    """Context and second argument of each request; as a table in files, as lists in older ones."""
    rows: Sequence[Any] = list(arguments.values()) if isinstance(arguments, dict) else arguments
    plain = [[row.get("arg_0"), row.get("arg_1")] if isinstance(row, dict) else row for row in rows]
    for row in plain:
        if not isinstance(row, list) or len(row) < 2:
            raise ReplayError(f"{where}: 'arguments' holds {shown(row)}, not a context and a continuation.")
    return [(row[0], row[1]) for row in plain]


def _only(reply: Any, where: str) -> Any:
    """The answer to one request; several for one are repeated samples, which have no single answer."""
    if not isinstance(reply, list) or len(reply) != 1:
        n = len(reply) if isinstance(reply, list) else 0
        raise ReplayError(f"{where}: 'resps' has {n} answers to one request; record the run with repeats: 1.")
    return reply[0]


def _pair(answer: Any, where: str) -> tuple[float, bool]:
    """Log-likelihood and whether it is what greedy decoding writes."""
    try:
        logprob, greedy = answer
        number = float(logprob)
    except (TypeError, ValueError):
        raise ReplayError(f"{where}: 'resps' holds {shown(answer)}, not a log-likelihood and a flag.") from None
    if not math.isfinite(number):
        raise ReplayError(f"{where}: 'resps' holds the log-likelihood {number}, not a finite number.")
    return number, str(greedy) == "True"


def _decoding(line: Mapping[str, Any]) -> dict[str, Any]:
    """Token limit and stop strings of a generation, where they were given."""
    arguments = line.get("arguments")
    first: Any = next(iter(arguments.values()), {}) if isinstance(arguments, dict) else {}
    given: Any = first.get("arg_1") if isinstance(first, dict) else None
    if not isinstance(given, dict):
        return {}
    limits = [given[key] for key in LIMITS if isinstance(given.get(key), int)]
    until = given.get("until")
    stop = [until] if isinstance(until, str) else until
    found: dict[str, Any] = {}
    if limits:
        found["max_new_tokens"] = limits[0]
    if isinstance(stop, list):
        found["stop"] = stop
    return found
