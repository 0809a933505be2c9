"""The head of the page: ship or not, of which models, measured when and where."""

from __future__ import annotations

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.page.markup import Markup, join, paragraph, tag
from pytest_slmsec.reports.page.records import Record, Report

SIGNS = {Verdict.PASS: "\N{CHECK MARK}", Verdict.FAIL: "\N{MULTIPLICATION X}", Verdict.INCONCLUSIVE: "?",
         Verdict.ERROR: "!"}  # fmt: skip
NOBODY_JUDGED = (
    "No verdict: a candidate is judged against its base, and the runs hold one model only, or they were not judged."
)


def title(report: Report) -> str:
    """What the page is about, in one line."""
    candidates = [judgement.candidate for judgement in report.judgements]
    if len(candidates) == 1:
        return f"{candidates[0]} against {report.judgements[0].base}"
    return ", ".join(report.models) if len(report.models) <= 3 else counted(len(report.models), "model")


def head(report: Report) -> Markup:
    """Title, a chip for each candidate, and a line for each record."""
    chips = [tag("li", chip(judgement, f"#verdict-{n}")) for n, judgement in enumerate(report.judgements)]
    items = max((sum(run.n for run in report.runs if run.model == model) for model in report.models), default=0)
    size = f"{counted(len(report.models), 'model')}, {counted(len(report.benchmarks), 'benchmark')}, "
    return tag(
        "header",
        tag("h1", title(report)),
        tag("ul", *chips, class_="chips") if chips else paragraph(NOBODY_JUDGED),
        *map(paragraph, report.remarks),
        paragraph(f"{size}{counted(items, 'item')} for each model at most."),
        tag("ul", *(tag("li", _told(record)) for record in report.records), class_="runs"),
    )


def chip(judgement: Judgement, link: str | None = None) -> Markup:
    """A verdict as sign and word, with the name of the candidate."""
    verdict = judgement.verdict
    content = join(tag("span", SIGNS[verdict], aria_hidden="true"), " ", tag("strong", verdict.value), " ",
                   judgement.candidate)  # fmt: skip
    kind = f"chip {verdict.value.lower()}"
    return tag("span", content, class_=kind) if link is None else tag("a", content, class_=kind, href=link)


def _told(record: Record) -> str:
    machine = record.machine
    graphics, processor = machine.get("gpu"), machine.get("cpu")
    usable = f" ({machine['cpus_usable']} usable)" if machine.get("cpus_usable") else ""
    parts = [
        record.where,
        record.date[:16].replace("T", " "),
        f"commit {record.commit}" if record.commit else "",
        f"pytest-slmsec {record.version}" if record.version else "",
        f"{processor}{usable}" if processor else "",
        f"GPU {graphics}" if graphics else "",
    ]
    return "; ".join(part for part in parts if part)
