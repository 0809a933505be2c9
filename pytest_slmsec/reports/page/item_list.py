"""Which items, and why? The list that the page's script fills, and the first lost items for readers without scripts."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.reports.page.blocks import Blocks, text_row
from pytest_slmsec.reports.page.items import ItemView
from pytest_slmsec.reports.page.markup import Markup, fold, paragraph, section, table, tag
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.texts import Prompts

FIRST = 3
"""Lost items of each candidate that are there without a script."""
LONGEST = 2000
"""Characters of a text that is there without a script."""
CHANGES = (("", "all items"), ("c", "changed"), ("lost", "lost"), ("gained", "won"), ("worse", "only worse"),
           ("better", "only better"), ("x", "wrong before and after"), ("r", "right before and after"),
           ("wrong", "wrong in some model"))  # fmt: skip
SORTS = (("", "most lost first"), ("gain", "most won first"), ("id", "by name"), ("data", "as in the data"))
OUTCOMES, PLAIN_SORTS = (CHANGES[0], CHANGES[-1]), (("", "as in the data"), ("id", "by name"))
"""Where no model is judged, so that nothing was lost or won."""
HEADINGS = ("model", "answer", "read as", "outcome", "score", "p(correct)")
KEYS = "Keys: / search, j next, k previous, Enter opens, Esc closes."


def items_section(report: Report, found: Sequence[ItemView], held: Blocks, prompts: Prompts, policy: str) -> Markup:
    """Filters and list (both hidden until the script runs), the static list, and the data."""
    listed = tag("div", _filters(report), tag("p", id="count", role="status"), tag("ol", id="list"),
                 tag("nav", tag("button", "Previous page", id="back", type="button"), " ",
                     tag("button", "Next page", id="on", type="button"), aria_label="pages of items"),
                 tag("p", KEYS, id="keys"), tag("template", table(HEADINGS, [], "Answers"), id="answers"),
                 id="live", hidden=True)  # fmt: skip
    return section("items", "Which items, and why?", paragraph(_held(held, policy)), listed,
                   tag("div", *_static(report, found, prompts, policy), id="static"), held.markup)  # fmt: skip


def _held(held: Blocks, policy: str) -> str:
    """What the page holds of the items."""
    said = f"Prompts and answers of {held.texts:,} of {counted(held.n, 'item')} (texts: {policy})."
    if not held.texts and policy == "auto" and held.n:
        said += " Items that others published are left out unless --texts asks for them."
    if held.packed < held.n:
        said += f" Scores of {held.packed:,} have room here; --size gives more."
    return said


def _filters(report: Report) -> Markup:
    judged = report.judgements
    candidates = [("", "any candidate"), *((j.candidate, j.candidate) for j in report.judgements)]
    benchmarks = [("", "all benchmarks"), *((name, name) for name in report.benchmarks)]
    return tag(
        "form",
        _choice("m", "Candidate", candidates) if judged else None,
        _choice("k", "Change", CHANGES) if judged else _choice("k", "Outcome", OUTCOMES),
        _choice("b", "Benchmark", benchmarks), _choice("c", "Category", [("", "all categories")]),
        _choice("s", "Order", SORTS if judged else PLAIN_SORTS),
        tag("label", "Search ", tag("input", type="search", id="q", name="q", autocomplete="off")),
        tag("button", "Clear", type="button", id="clear"),
        id="filters", role="search", aria_label="items",
    )  # fmt: skip


def _choice(key: str, label: str, options: Sequence[tuple[str, str]]) -> Markup:
    chosen = (tag("option", text, value=value or True) for value, text in options)
    return tag("label", f"{label} ", tag("select", *chosen, id=key, name=key))


def _static(report: Report, found: Sequence[ItemView], prompts: Prompts, policy: str) -> list[Markup]:
    """The first lost items of each candidate."""
    told = []
    for number, judgement in enumerate(report.judgements):
        lost = [view for view in found if view.changes.get(number) == "l"]
        if lost:
            told.append(paragraph(f"{judgement.candidate} lost {counted(len(lost), 'item')}; the first of them:"))
            told += [_one(report, view, prompts, policy) for view in lost[:FIRST]]
    none = "No item was lost." if report.judgements else "The list of items needs the script of this page."
    return told or [paragraph(none)]


def _one(report: Report, view: ItemView, prompts: Prompts, policy: str) -> Markup:
    prompt, gold, answers = text_row(report, view, prompts, policy)
    rows = [
        (model, _short(answer[0]), _short(answer[1]), *answer[3:])
        for model, answer in zip(report.models, answers, strict=True)
        if answer is not None
    ]  # fmt: skip
    right = None if gold is None else paragraph(f"Right: {gold}")
    asked = tag("pre", _short(prompt)) if prompt else None
    return fold(f"{view.item} ({view.benchmark})", asked, right, table(HEADINGS, rows, f"Answers to {view.item}"))


def _short(text: object) -> str:
    written = "-" if text is None else str(text)
    return written if len(written) <= LONGEST else f"{written[:LONGEST]}\N{HORIZONTAL ELLIPSIS}"
