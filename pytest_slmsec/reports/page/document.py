"""The whole page: one file that asks for no other, with a policy that lets only its own script and style run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pytest_slmsec.reports.page.blocks import Blocks, blocks
from pytest_slmsec.reports.page.categories import categories_section
from pytest_slmsec.reports.page.confidence import confidence_section
from pytest_slmsec.reports.page.cost import cost_section
from pytest_slmsec.reports.page.flips import flips_section
from pytest_slmsec.reports.page.head import head, title
from pytest_slmsec.reports.page.history import history_section
from pytest_slmsec.reports.page.item_list import items_section
from pytest_slmsec.reports.page.items import views
from pytest_slmsec.reports.page.latency import latency_section
from pytest_slmsec.reports.page.markup import Markup, join, tag
from pytest_slmsec.reports.page.origin import origin_section
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.scores import scores_section
from pytest_slmsec.reports.page.verdict import verdict_section

DEFAULT_SIZE = 2 << 20
SECTIONS: tuple[Callable[[Report], Markup | None], ...] = (
    verdict_section, scores_section, flips_section, cost_section, confidence_section, categories_section,
    latency_section, history_section,
)  # fmt: skip
"""Sections between the head and the items; one that has nothing to say gives None."""
LANGUAGE = "en"
NOTHING_ELSE = "base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Wanted:
    """What the page shall hold.

    Attributes:
        texts: one of `texts.POLICIES`. size: bytes of the whole page that items may fill up.
        prompts: the prompt of each item whose prompt is known, by its digest.
    """

    texts: str = "auto"
    size: int = DEFAULT_SIZE
    prompts: Mapping[str, str] = field(default_factory=dict)


def page(report: Report, wanted: Wanted) -> str:
    """The page as text; the same report gives the same bytes."""
    drawn = [section for build in SECTIONS if (section := build(report)) is not None]
    origin, found = origin_section(report), views(report)

    def with_items(held: Blocks) -> str:
        items = items_section(report, found, held, wanted.prompts, wanted.texts)
        return f"<!DOCTYPE html>\n{_document(report, join(*drawn, items, origin))}\n"

    rest = len(with_items(Blocks(Markup(), 0, 0, len(found))).encode())
    return with_items(blocks(report, found, wanted.prompts, wanted.texts, wanted.size - rest))


def _document(report: Report, content: Markup) -> Markup:
    script, style = Markup(_file("page.js")), Markup(_file("page.css"))
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; {NOTHING_ELSE}"
    return tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=Markup(policy)),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"slmsec: {title(report)}"),
            tag("style", style),
        ),
        tag("body", _navigation(content), head(report), tag("main", content), tag("script", script)),
        lang=LANGUAGE,
    )


def _navigation(content: Markup) -> Markup:
    links = [("verdict", "Verdict"), ("scores", "Scores"), ("flips", "Changes"), ("cost", "Cost"),
             ("confidence", "Confidence"), ("categories", "Categories"), ("latency", "Latency"), ("history", "History"),
             ("items", "Items"), ("origin", "Origin")]  # fmt: skip
    there = [tag("a", text, href=f"#{key}") for key, text in links if f'<section id="{key}"' in content]
    return tag("nav", *there, aria_label="sections")


def _hash(content: str) -> str:
    """The source of an inline script or style in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@cache
def _file(name: str) -> str:
    """The script or style of the page, which lies beside this module."""
    return (Path(__file__).parent / name).read_text("utf-8")
