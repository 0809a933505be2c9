"""Lists that a model wrote: a JSON list, lines with numbers or bullets, or plain lines."""

from __future__ import annotations

import json
import re
from unicodedata import normalize

# "1. Phishing", "2) Phishing", "- Phishing", "* Phishing", "Question 3: What is phishing?"
_MARKED = re.compile(
    r"^\s*(?:(?:question|topic|subtopic|q)?\s*#?\d{1,3}\s*[.):\]]|[-*+\u2022\u2013\u25aa])\s+(?=\S)", re.I
)
_FENCE = re.compile(r"^\s*```.*$", re.M)
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_QUOTES = "\"'\u201c\u201d\u2018\u2019\u00ab\u00bb"


def read_list(text: str) -> list[str]:
    """The entries of a list in their order, cleaned (`clean`); [] where nothing is read.

    Where some lines have numbers or bullets, the others are an introduction or explanations and are left out. Of plain
    lines, those that end in a colon and headings are.
    """
    plain = _FENCE.sub("", text)
    found = _json_list(plain)
    if found is None:
        lines = [line for line in plain.splitlines() if line.strip()]
        marked = [_MARKED.sub("", line) for line in lines if _MARKED.match(line)]
        found = marked or [line for line in lines if not line.rstrip("*_ ").endswith(":") and not line.startswith("#")]
    return [entry for entry in map(clean, found) if entry]


def clean(entry: str) -> str:
    """One entry: compatibility characters and blanks made plain, without emphasis, and without quotes around it."""
    text = _EMPHASIS.sub(r"\2", " ".join(normalize("NFKC", entry).split()))
    text = "".join(char for char in text if char.isprintable())
    while len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def _json_list(text: str) -> list[str] | None:
    """The texts of the only JSON list in a text, or None."""
    start, end = text.find("["), text.rfind("]")
    try:
        value = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except (ValueError, RecursionError):
        return None
    whole = isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)
    return value if whole else None
