"""How sure? p(correct) of each candidate over its base, reliability, and the distance from the base."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pytest_slmsec.reports.page.axes import WIDTH, Scale, colour, cut, framed, line, picture, words
from pytest_slmsec.reports.page.boxes import Axis, as_table, boxes, ends, pictures
from pytest_slmsec.reports.page.calibration import P_BINS, Calibration, calibration
from pytest_slmsec.reports.page.distances import ItemDistance, distances
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table, tag, visible
from pytest_slmsec.reports.page.numbers import kl_text, percent
from pytest_slmsec.reports.page.records import Key, Report, real

COLUMNS, PANEL, GAP, ROW = 3, 170.0, 40.0, 215.0
PAGE = 9
NOTHING = "No model was asked for a choice between options here, so nothing says how sure it was."
NO_KL = "The KL divergence of each item is not recorded: no candidate chose between the options that its base had."
NAMES, VALUES = 190.0, 100.0
LEAST_KL = 1e-6
"""Nats at the left end of the axis: what is smaller is noise of rounding, or 0."""
FURTHEST = 5
"""Items of each candidate that are named."""


def calibrations(report: Report) -> list[Calibration]:
    """Of each model that chose between options."""
    found = [calibration(model, [run for run in report.runs if run.model == model]) for model in report.models]
    return [one for one in found if one is not None]


def confidence_section(report: Report) -> Markup:
    """Histograms and reliability diagrams as far as choices are recorded, and distances as far as they are."""
    known = calibrations(report)
    if not known:
        return section("confidence", "How sure?", paragraph(NOTHING), *_distances(report))
    pages = [known[start : start + PAGE] for start in range(0, len(known), PAGE)]
    drawn = []
    for n, page in enumerate(pages):
        drawn.append(histograms(report, page, known, f"p-{n}"))
        if judged := [one for one in page if one.bins]:
            drawn.append(reliability(report, judged, f"reliability-{n}"))
    pooled = ", ".join(dict.fromkeys(name for one in known for name in one.benchmarks))
    return section("confidence", "How sure?", framed(*drawn), paragraph(f"Items of {pooled} together."), _table(known),
                   *_distances(report))  # fmt: skip


def _table(known: Sequence[Calibration]) -> Markup:
    rows = [(one.model, percent(b.confidence), str(b.n), percent(b.right), f"{percent(b.low)} .. {percent(b.high)}")
            for one in known for b in one.bins]  # fmt: skip
    errors = [(one.model, f"{len(one.probabilities):,}", percent(one.error)) for one in known]
    return join(
        table(("model", "items", "expected calibration error"), errors, "Calibration of each model"),
        fold("Reliability as a table", table(("model", "mean confidence", "items", "right", "95 % interval"), rows,
                                             "Share of right answers by confidence")),
    )  # fmt: skip


def _distances(report: Report) -> list[Markup]:
    return [*_measured(report), *_by_item(report)]


def _measured(report: Report) -> list[Markup]:
    """What the gate measured of whole candidates."""
    rows = []
    for record in report.records:
        for model, facts in record.fidelity.items():
            numbers = [real(facts.get(key)) for key in ("kl", "tv", "same_top", "items")]
            rows.append((model, *("-" if number is None else f"{number:.4g}" for number in numbers)))
    headings = ("candidate", "KL, nats per token", "total variation", "same top token", "items")
    return [table(headings, rows, "Distance from the base, per token")] if rows else []


def _by_item(report: Report) -> list[Markup]:
    """Quartiles of the KL of each item, and the items that moved furthest."""
    found = distances(report)
    if not found:
        return [paragraph(NO_KL)]
    values: dict[Key, list[float]] = {}
    for one in found:
        values.setdefault((one.benchmark, one.candidate), []).append(one.kl)
    rows = boxes(report, values)
    highest = max(*ends(rows), 10 * LEAST_KL)
    axis = Axis("KL of an item from the base", "KL of an item in nats (log axis): least, quartiles, most",
                Scale(LEAST_KL, highest * 1.3, NAMES, WIDTH - VALUES, True), kl_text)  # fmt: skip
    over = ", ".join(dict.fromkeys(one.over for one in found))
    told = f"How far each item moved: KL(base || candidate) over {over}; 0 is no change."
    return [paragraph(told), framed(*pictures(report, rows, axis, "kl")), as_table(rows, axis, "KL"), _furthest(found)]


def _furthest(found: Sequence[ItemDistance]) -> Markup:
    """The items of each candidate that moved furthest, each a link to the list of items."""
    rows: list[tuple[object, ...]] = []
    for candidate in dict.fromkeys(one.candidate for one in found):
        mine = sorted((one for one in found if one.candidate == candidate), key=lambda one: -one.kl)
        rows += [(one.candidate, one.benchmark, _linked(one), kl_text(one.kl), one.over) for one in mine[:FURTHEST]]
    headings = ("candidate", "benchmark", "item", "KL, nats", "over")
    return fold("Items that moved furthest", table(headings, rows, "Items that moved furthest from the base"))


def _linked(one: ItemDistance) -> Markup:
    state = {"b": one.benchmark, "q": one.item, "i": f"{one.benchmark}/{one.item}"}
    link = "&".join(f"{key}={quote(visible(value), safe='')}" for key, value in state.items())
    return tag("a", one.item, href=f"#{link}")


def histograms(report: Report, page: Sequence[Calibration], known: Sequence[Calibration], key: str) -> Markup:
    """p(correct) of each model; of a candidate over the outline of its base."""
    by_model = {one.model: one for one in known}
    bases = {judgement.candidate: by_model.get(judgement.base) for judgement in report.judgements}
    panels = [_histogram(report, one, bases.get(one.model), *_corner(n)) for n, one in enumerate(page)]
    told = "; ".join(
        f"{one.model}: items by p(correct) in twentieths {' '.join(map(str, one.counts()))}" for one in page
    )
    title = "p(correct) of each item; line: the base"
    return picture(key, title, told, 20 + ROW * _rows(page), *panels)


def reliability(report: Report, page: Sequence[Calibration], key: str = "reliability") -> Markup:
    """The share of right answers at each confidence."""
    panels = [_reliability(report, one, *_corner(n)) for n, one in enumerate(page)]
    told = "; ".join(
        f"{one.model}, expected calibration error {percent(one.error)}: "
        + ", ".join(f"{b.n} items at {percent(b.confidence)} are {percent(b.right)} right" for b in one.bins)
        for one in page
    )
    title = "Share of right answers by confidence; dashed: as sure as right"
    return picture(key, title, told, 20 + ROW * _rows(page), *panels)


def _rows(page: Sequence[Calibration]) -> int:
    return -(-len(page) // COLUMNS)


def _corner(n: int) -> tuple[float, float]:
    return 36 + (n % COLUMNS) * (PANEL + GAP), 24 + (n // COLUMNS) * ROW


def _frame(one: Calibration, x: float, y: float, below: str) -> tuple[Scale, Scale, Markup]:
    across, up = Scale(0, 1, x, x + PANEL), Scale(0, 1, y + PANEL - 20, y)
    box = tag(
        "rect", x=x, y=y, width=PANEL, height=PANEL - 20, fill="none", stroke="currentColor", stroke_opacity="0.3"
    )
    ticks = [words(across.at(value), y + PANEL - 7, f"{value:.0%}", "middle") for value in (0.0, 0.5, 1.0)]
    return across, up, join(box, *ticks, words(x + PANEL / 2, y + PANEL + 7, below, "middle"),
                            words(x, y - 6, cut(one.model, 26), bold=True))  # fmt: skip


def _histogram(report: Report, one: Calibration, base: Calibration | None, x: float, y: float) -> Markup:
    across, up, box = _frame(one, x, y, f"p(correct), {len(one.probabilities):,} items")
    counts, before = one.counts(), base.counts() if base is not None else [0] * P_BINS
    most = max(*counts, *before, 1)
    bars = [tag("rect", x=across.at(n / P_BINS), y=up.at(count / most), width=PANEL / P_BINS,
                height=up.start - up.at(count / most), fill=colour(report.number(one.model)), fill_opacity="0.6")
            for n, count in enumerate(counts) if count]  # fmt: skip
    steps = "".join(f"V{up.at(count / most):.1f}H{across.at((n + 1) / P_BINS):.1f}" for n, count in enumerate(before))
    outline = tag("path", d=f"M{across.start:.1f} {up.start:.1f}{steps}V{up.start:.1f}", fill="none",
                  stroke="currentColor", stroke_width="1.5") if base is not None else None  # fmt: skip
    return join(*bars, outline, box)


def _reliability(report: Report, one: Calibration, x: float, y: float) -> Markup:
    across, up, box = _frame(one, x, y, f"confidence; calibration error {percent(one.error)}")
    ideal = line(across.start, up.start, across.end, up.end, dashed=True)
    hue = colour(report.number(one.model))
    drawn = [
        join(line(across.at(b.confidence), up.at(b.low), across.at(b.confidence), up.at(b.high), hue, 2.0),
             tag("circle", tag("title", f"{b.n} items at {percent(b.confidence)}: {percent(b.right)} right"),
                 cx=across.at(b.confidence), cy=up.at(b.right), r="4", fill=hue))
        for b in one.bins
    ]  # fmt: skip
    return join(box, ideal, *drawn)
