"""A picture of the loss over the steps of a training, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_slmsec.reports.page.axes import Scale, around, bottom_axis, colour, frame, picture, words
from pytest_slmsec.reports.page.markup import Markup, tag

LEFT, RIGHT, TOP, BOTTOM = 60.0, 620.0, 14.0, 214.0
KINDS = {"loss": "training", "eval_loss": "evaluation"}


def loss_picture(log: Sequence[Mapping[str, Any]], title: str) -> Markup:
    """The loss of training and evaluation rows at each logged step.

    Args:
        log: rows with ``step`` and ``loss`` or ``eval_loss``.
    """
    courses = {name: [(float(row["step"]), float(row[key])) for row in log if key in row and "step" in row]
               for key, name in KINDS.items()}  # fmt: skip
    known = [point for course in courses.values() for point in course]
    if not known:
        return picture("loss", title, "no step was logged", BOTTOM)
    across = Scale(0, max(step for step, _ in known), LEFT, RIGHT)
    up = around([loss for _, loss in known], BOTTOM, TOP, least=0.01)
    ticks = [words(LEFT - 6, up.at(value) + 4, f"{value:.3g}", "end") for value in up.ticks(5)]
    lines = [_course(course, number, across, up) for number, course in enumerate(courses.values(), 1) if course]
    named = [tag("text", name, x=RIGHT, y=TOP + 16 * number, text_anchor="end", fill=colour(number))
             for number, (name, course) in enumerate(courses.items(), 1) if course]  # fmt: skip
    told = "; ".join(f"{name}: {course[0][1]:.4g} at step {course[0][0]:g}, {course[-1][1]:.4g} at step "
                     f"{course[-1][0]:g}" for name, course in courses.items() if course)  # fmt: skip
    box = frame(LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP)
    return picture("loss", title, told, BOTTOM + 34, box, bottom_axis(across, TOP, BOTTOM, "step", lambda n: f"{n:g}"),
                   *ticks, *lines, *named)  # fmt: skip


def _course(course: Sequence[tuple[float, float]], number: int, across: Scale, up: Scale) -> Markup:
    points = "L".join(f"{across.at(step):.1f} {up.at(loss):.1f}" for step, loss in course)
    return tag("path", d=f"M{points}", fill="none", stroke=colour(number), stroke_width="1.5")
