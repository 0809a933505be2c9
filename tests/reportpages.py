"""Records for tests of the page, and what a page holds for a reader: elements, tables, data."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser

from benchmark_runs import content, plain

from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.records.stored_models import pairs_among
from pytest_slmsec.reports.page.document import Wanted, page
from pytest_slmsec.reports.page.records import Report, in_time, record_from_json

VOID = {"meta", "input", "br"}
TODAY = date(2026, 11, 21)
CONFIG = read_config({}, "[gate]")


def report_of(*contents):
    """A report on files of pytest-benchmark, judged as `slmsec compare` does but without scoring again."""
    records = in_time(record_from_json(one, f"run{number}.json") for number, one in enumerate(contents))
    runs = Report(records, ()).runs
    sides = [([r for r in runs if r.model == base], [r for r in runs if r.model == candidate])
             for base, candidate in pairs_among(runs)]  # fmt: skip
    return Report(records, tuple(judge(base, candidate, CONFIG, TODAY) for base, candidate in sides))


def two_models(before="1110" * 30, after="0110" * 15 + "1110" * 15, **facts):
    """The content of a file: phi3 and its quantised form on one benchmark."""
    return content(plain(before, **facts), plain(after, model="phi3-gptq4", quant="gptq4", **facts))


def page_of(*contents, **wanted):
    return page(report_of(*contents), Wanted(**wanted))


@dataclass
class Element:
    name: str
    attributes: dict
    children: list = field(default_factory=list)

    @property
    def text(self):
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, name):
        """Every element of that name below, in order."""
        for child in self.children:
            if isinstance(child, Element):
                if child.name == name:
                    yield child
                yield from child.all(name)


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, name, attributes):
        made = Element(name, dict(attributes))
        self.open[-1].children.append(made)
        if name not in VOID:
            self.open.append(made)

    def handle_endtag(self, name):
        assert self.open[-1].name == name, f"</{name}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, text):
        self.open[-1].children.append(text)


def parsed(html):
    """The page as a tree; every element has to be closed in its place."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1
    return reader.root


def tables(root):
    """The rows of each table as texts, by caption."""
    found = {}
    for table in root.all("table"):
        rows = [[cell.text for cell in row.children] for row in table.all("tr")]
        found[next(table.all("caption")).text] = rows
    return found


def unpacked(root, key):
    """A data element of the page."""
    (element,) = (one for one in root.all("script") if one.attributes.get("id") == key)
    return json.loads(gzip.decompress(base64.b64decode(element.text)))
