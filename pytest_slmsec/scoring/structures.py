"""Objects and lists that a text spells, in JSON or as Python literals."""

from __future__ import annotations

import ast
import json
import re
import warnings
from itertools import islice
from typing import Any

from pytest_slmsec.scoring.spans import spans

LONGEST_LITERAL = 100_000
PLACES_TRIED = 20

# "```json\n{...}\n```": the text between the fences.
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.S)
# "{" or "[": where a structure may begin.
_OPENING = re.compile(r"[{\[]")

Structure = dict[str, Any] | list[Any]


def structure_of(text: str) -> Structure | None:
    """The object or list that a whole text spells in JSON or as a Python literal, or None."""
    if len(text) > LONGEST_LITERAL:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes that Python does not know
                found = read(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, (dict, list)):
            return found
    return None


def structure_within(text: str) -> Structure | None:
    """The structure of a text with words or a code fence around it, or None; of several the longest in the text."""
    for candidate in (text, *_FENCED.findall(text)):
        whole = structure_of(candidate)
        if whole is not None:
            return whole
    found = list(spans(islice(_OPENING.finditer(text), PLACES_TRIED), _embedded))
    return max(found, key=lambda span: span.end - span.start).value if found else None


def _embedded(place: re.Match[str]) -> tuple[int, Structure] | None:
    """Where the structure ends that begins at a place, and the structure."""
    text, start = place.string, place.start()
    try:
        found, end = json.JSONDecoder().raw_decode(text, start)
        return end, found
    except (ValueError, RecursionError):
        end = max(text.rfind("}"), text.rfind("]")) + 1
        literal = structure_of(text[start:end])
        return None if literal is None else (end, literal)
