"""Text for a terminal: escaped, and in lines."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

WIDTH = 80
NARROWEST = 40


def shown(text: object) -> str:
    """Text for a terminal: what cannot be printed, control and direction characters included, is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


def shortened(text: str, most: int) -> str:
    """The beginning of a text, to be quoted in a sentence: at most `most` characters, dots included."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def folded(names: Sequence[str], most: int, gap: str = ", ") -> str:
    """The first few of many: ``a, b, c and 28 more``. One more is named rather than counted."""
    if len(names) <= most + 1:
        return gap.join(names)
    return f"{gap.join(names[:most])} and {len(names) - most:,} more"


def counted(n: int, noun: str, verb: str = "") -> str:
    """``1 item``, ``2,000 items``; with the verb ``are``: ``1 item is``, ``2,000 items are``."""
    agrees = {"are": "is", "have": "has"}.get(verb, verb) if n == 1 else verb
    return f"{n:,} {noun}{'' if n == 1 else 's'} {agrees}".rstrip()


def columns() -> int:
    """Columns of the terminal, by the variable COLUMNS or as the system says; 80 where there is none."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def wrapped(text: str, width: int = WIDTH, indent: str = "  ") -> list[str]:
    """`text` as lines of at most `width` columns, the second and further ones indented; no word is cut."""
    return textwrap.wrap(
        text, max(width, NARROWEST), subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def for_stderr(text: str) -> str:
    """A sentence in lines where standard error is a terminal, and on one line in a file, where it is searched.

    It may quote a file or a model: what cannot be printed is escaped.
    """
    if sys.stderr.isatty():
        return "\n".join(shown(line) for line in wrapped(text, columns()))
    return "\n".join(shown(line) for line in text.split("\n"))
