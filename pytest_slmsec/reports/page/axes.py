"""What all pictures are drawn with: a frame with title and description, an axis, and the marks of models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_slmsec.reports.page.markup import Markup, join, tag

WIDTH = 640
LINE = 16
"""Height of a row of text, in units of the picture."""
TOP = 8.0
"""Where the rows of a picture begin, in the same units."""
TEXT = 11
PALETTE = ("#5f7480", "#2f7fd1", "#c8641b", "#2b8a5f", "#8f63c9", "#b8457a", "#7a7f2a")
"""Each has a contrast of 3 or more to white and to the dark ground (WCAG 1.4.11)."""
SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0", "M-4 -4H4V4H-4Z", "M0 -5L5 0L0 5L-5 0Z", "M0 -5L5 4H-5Z", "M0 5L5 -4H-5Z",
    "M-5 -2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z", "M-5 0L-2 -4H2L5 0L2 4H-2Z",
)  # fmt: skip
"""Circle, square, diamond, triangles, cross, hexagon: models differ in shape as well as in colour."""
Drawn = TypeVar("Drawn")


@dataclass(frozen=True, slots=True)
class Scale:
    """Places values on a stretch of a picture.

    Attributes:
        low, high: the values at its ends. start, end: the ends, in units of the picture. log: equal ratios are equally
            long; then `low` is positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; one beyond the ends stands at the end."""
        value = min(max(value, self.low), self.high)
        low, high = self._bent(self.low), self._bent(self.high)
        share = 0.5 if high == low else (self._bent(value) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, most: int = 6) -> list[float]:
        """Round values between the ends: of a log axis powers of ten, with 2 and 5 where there are few."""
        if self.log:
            return self._powers(most)
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        return [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _powers(self, most: int) -> list[float]:
        span = range(math.floor(self._bent(self.low)), math.ceil(self._bent(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [f * 10.0**power for power in span for f in factors if self.low <= f * 10.0**power <= self.high]
            if len(found) <= most + 1:
                return found
        return found


def around(values: Sequence[float], start: float, end: float, log: bool = False, least: float = 1e-9) -> Scale:
    """A scale on which all values have some room at both sides."""
    if log:
        return Scale(min(values) / 1.3, max(values) * 1.3, start, end, True)
    room = max((max(values) - min(values)) * 0.08, least)
    return Scale(min(values) - room, max(values) + room, start, end)


def _round_step(least: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((power * factor for factor in (1, 2, 5) if power * factor >= least), power * 10)


def picture(key: str, title: str, description: str, height: float, *content: object, links: bool = False) -> Markup:
    """A picture `WIDTH` wide with its title, and a description that holds its numbers.

    Args:
        links: parts of it can be followed, so that it is a group and not one image.
    """
    drawn = tag(
        "svg", tag("title", title, id=f"{key}-title"), tag("desc", description, id=f"{key}-desc"), *content,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {math.ceil(height)}", width=WIDTH,
        height=math.ceil(height), role="group" if links else "img", aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-desc", font_family="system-ui, sans-serif", font_size=TEXT, fill="currentColor",
    )  # fmt: skip
    return drawn


def framed(*drawn: Markup) -> Markup:
    """Pictures in the page: a narrow screen scrolls them."""
    boxes = (tag("div", one, class_="wide", tabindex="0", role="group", aria_label="picture") for one in drawn)
    return tag("figure", *boxes)


def frame(x: float, y: float, width: float, height: float) -> Markup:
    """The pale edge of a panel."""
    return tag("rect", x=x, y=y, width=width, height=height, fill="none", stroke="currentColor", stroke_opacity="0.3")


def words(x: float, y: float, text: object, anchor: str | None = None, bold: bool = False) -> Markup:
    """Text in a picture. `anchor`: ``middle`` or ``end``, where it does not begin at `x`."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, font_weight="600" if bold else None)


def line(x1: float, y1: float, x2: float, y2: float, colour: str = "currentColor", width: float = 1.0,
         dashed: bool = False) -> Markup:  # fmt: skip
    """A straight line."""
    return tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", stroke=colour, stroke_width=width,
               stroke_dasharray="3 3" if dashed else None)  # fmt: skip


def mark(number: int, x: float, y: float, *tooltip: object) -> Markup:
    """The mark of a model, by its number in the report."""
    told = tag("title", *tooltip) if tooltip else None
    return tag(
        "path", told, d=SHAPES[number % len(SHAPES)], fill=colour(number), transform=f"translate({x:.1f} {y:.1f})"
    )


def colour(number: int) -> str:
    """The colour of a model."""
    return PALETTE[number % len(PALETTE)]


def bottom_axis(scale: Scale, top: float, bottom: float, label: str, written: Callable[[float], str]) -> Markup:
    """Grid lines with their values below them, and what the axis shows."""
    drawn = []
    for value in scale.ticks():
        x = scale.at(value)
        drawn += [tag("path", d=f"M{x:.1f} {top:.1f}V{bottom:.1f}", stroke="currentColor", stroke_opacity="0.2"),
                  words(x, bottom + 12, written(value), "middle")]  # fmt: skip
    return join(*drawn, words((scale.start + scale.end) / 2, bottom + 26, label, "middle"))


def under_headings(
    rows: Sequence[Drawn], heading: Callable[[Drawn], str], draw: Callable[[Drawn, float], Markup]
) -> tuple[list[Markup], float]:
    """Rows of a picture from top to bottom, each run of rows with one heading under it.

    Args:
        draw: draws a row whose top is at the given y.

    Returns:
        What is drawn, and the y where it ends.
    """
    drawn, y, above = list[Markup](), TOP, ""
    for row in rows:
        if heading(row) != above:
            above = heading(row)
            drawn.append(words(4, y + 12, cut(above, 60), bold=True))
            y += LINE
        drawn.append(draw(row, y))
        y += LINE
    return drawn, y


def cut(text: str, most: int) -> str:
    """A name that has to fit: its beginning and its end, with dots between them."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}\N{HORIZONTAL ELLIPSIS}{text[-(most - most // 2) :]}"
