"""HTML and SVG out of plain text. The only place where text becomes markup, so the only place where it is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Control, format, direction, zero-width and filler characters and lone surrogates: whatever is there and not seen.
Categories Cc (but for line feed and tab), Cf, Cs, Zl, Zp of Unicode, and the fillers and variation selectors."""
MOST_ROWS = 60
"""Of a table that is made of elements: a page of many thousand elements is slow."""
UNCLOSED = frozenset({"meta", "input", "br"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def visible(text: object) -> str:
    """Text in which each character that is not seen stands as ``[U+202E]``."""
    return INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", str(text))


def escaped(text: object) -> Markup:
    """Text in which nothing is markup, and everything is seen; what is `Markup` already stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text)))


def join(*parts: object) -> Markup:
    """Parts one behind the other; those that are None are left out."""
    return Markup("".join(escaped(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element.

    Args:
        children: markup, or text, which is escaped; None is left out.
        attributes: ``class_`` is ``class``, ``font_size`` is ``font-size``. True is an attribute without a value; None
            and False are left out; floats are written with at most one decimal.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value != "")
    close = "" if name in UNCLOSED else f"</{name}>"
    return Markup(f"<{name}{given}>{join(*children)}{close}")


def _attribute(key: str, value: object) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is False:
        return ""
    if value is True:
        return f' {key}=""'
    return f' {key}="{html.escape(visible(decimal(value)))}"'


def decimal(value: object) -> str:
    """A coordinate with at most one decimal; anything else as text."""
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> Markup:
    """A table; the first cell of each row is its heading. One of very many rows is aligned text, one element in all."""
    if len(rows) > MOST_ROWS:
        lines = [caption, "", *aligned([headings, *rows])]
        return tag("pre", "\n".join(lines), class_="table", tabindex="0", role="region", aria_label=caption)
    head = tag("tr", *(tag("th", text, scope="col") for text in headings))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Rows as lines whose columns stand below each other."""
    texts = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(texts[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


def fold(summary: object, *content: object, is_open: bool = False, id_: str | None = None) -> Markup:
    """Content that can be folded away."""
    return tag("details", tag("summary", summary), *content, open=is_open, id=id_)


def section(key: str, heading: str, *content: object) -> Markup:
    """A section of the page, under its heading."""
    return tag("section", tag("h2", heading, id=f"{key}-heading"), *content, id=key, aria_labelledby=f"{key}-heading")


def paragraph(text: object) -> Markup:
    """A paragraph."""
    return tag("p", text)
