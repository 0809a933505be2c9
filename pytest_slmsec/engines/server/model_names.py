"""The names of models: what the user asks for, what the server lists, and what it answers as."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.server.dialect import ListedModel, TextAnswer

NAMED = 5


def entry_of(model: str, listed: list[ListedModel] | None) -> ListedModel | None:
    """The model's entry in the list of the server, if it has one."""
    return next((entry for entry in listed or () if same_model(model, entry.name)), None)


def same_model(asked: str, answered: str | None) -> bool:
    """Whether two names mean one model: equal, or one with a date, tag, revision or path added.

    Examples: ``gpt-4o`` answers as ``gpt-4o-2024-08-06``, ``llama3.2`` is listed as ``llama3.2:latest``, and
    ``/srv/models/model.gguf`` answers as ``model``. True if `answered` is empty.
    """
    if not answered:
        return True
    ours, theirs = (name.casefold().removesuffix(".gguf") for name in (asked, answered))
    if ours == theirs or any(theirs.startswith(ours + mark) for mark in ("-20", "@", ":latest")):
        return True
    return theirs.endswith("/" + ours) or ours.endswith("/" + theirs)


def _names(listed: list[ListedModel] | None) -> str:
    names = [entry.name for entry in listed or ()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; it serves {', '.join(names[:NAMED])}{more}" if names else ""


def no_such_model(model: str, place: str, listed: list[ListedModel] | None, why: Mapping[str, str]) -> str:
    """The sentence on a server that answered no question. `why`: its refusals by kind of question."""
    if listed and entry_of(model, listed) is None:
        near = difflib.get_close_matches(model, [entry.name for entry in listed], 1, 0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{place} has no model {model}{hint}{_names(listed)}."
    return f"{place} answers neither conversations nor raw texts: {'; '.join(why.values())}."


def is_expected(expected: str, answered: str | None) -> bool:
    """Whether a reported name is the expected one, in which ``*``, ``?`` and ``[...]`` are wildcards.

    Case does not matter. True if the server reports none.
    """
    return not answered or fnmatchcase(answered.casefold(), expected.casefold())


def check_names(
    answers: Sequence[TextAnswer], model: str, place: str, expected: str | None, listed: list[ListedModel] | None
) -> None:
    """Refuse a server that answers as another model, or as several in turn.

    Raises:
        ModelError: naming the model it answers as, and the registry key that allows it.
    """
    names = list(dict.fromkeys(answer.model for answer in answers if answer.model))
    if expected is not None:
        wrong = [name for name in names if not is_expected(expected, name)]
        if wrong:
            raise ModelError(f"{place} answered as {wrong[0]}, and expected_model of its entry is {expected}.")
        return
    if not names:
        return
    entry = 'its entry in [tool.slmsec.models] may say so: expected_model = "{}"'
    if entry_of(model, listed) is None and not same_model(model, names[0]):
        raise ModelError(f"{place} was asked for the model {model} and answered as {names[0]}{_names(listed)}; if that "
                         f"is right, {entry.format(names[0])}.")  # fmt: skip
    other = [name for name in names[1:] if not same_model(names[0], name)]
    if other:
        raise ModelError(f"{place} answered as {names[0]} and then as {other[0]}, so answers come from several builds: "
                         f"ask for one of them, or, if either is right, {entry.format('*')}, where * is any "
                         "text.")  # fmt: skip
