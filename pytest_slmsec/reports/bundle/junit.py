"""Items and gates as JUnit XML, the form that CI systems read.

As in a run of pytest, a wrong answer is a passed test with the property ``wrong``: it is a fact about the model. A gate
fails where its verdict is FAIL, is an error where it is ERROR, and is skipped where it is INCONCLUSIVE; its properties
are those that it has in a run of pytest.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.properties import Properties, gate_properties, suite_properties

ELEMENTS = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "skipped"}


def junit(runs: Sequence[BenchmarkRun], judgements: Sequence[Judgement]) -> bytes:
    """A test suite for each benchmark on each model, and one for each verdict, as XML in UTF-8."""
    root = ElementTree.Element("testsuites", name="pytest-slmsec")
    for run in runs:
        _items(root, run)
    for judgement in judgements:
        _gates(root, judgement)
    ElementTree.indent(root, " ")
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _items(root: ElementTree.Element, run: BenchmarkRun) -> None:
    suite = ElementTree.SubElement(
        root, "testsuite", name=shown(run.name), tests=str(run.n), failures="0", errors="0", skipped="0"
    )
    for item, correct in zip(run.columns["item"], run.columns["correct"], strict=True):
        case = ElementTree.SubElement(suite, "testcase", classname=shown(run.name), name=shown(item))
        if not correct:
            _add_properties(case, {"wrong": "true"})


def _gates(root: ElementTree.Element, judgement: Judgement) -> None:
    name = shown(f"{judgement.candidate} against {judgement.base}")
    found = {judged.result.gate: gate_properties(judgement, judged) for judged in judgement.gates}
    found["SUITE"] = suite_properties(judgement)
    verdicts = {**judgement.verdicts, "SUITE": judgement.verdict}
    counts = {kind: str(sum(verdict is kind for verdict in verdicts.values())) for kind in ELEMENTS}
    suite = ElementTree.SubElement(
        root, "testsuite", name=name, tests=str(len(verdicts)), failures=counts[Verdict.FAIL],
        errors=counts[Verdict.ERROR], skipped=counts[Verdict.INCONCLUSIVE],
    )  # fmt: skip
    for gate, verdict in verdicts.items():
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=shown(gate))
        _add_properties(case, found[gate])
        if verdict in ELEMENTS:
            ElementTree.SubElement(case, ELEMENTS[verdict], message=verdict.value)


def _add_properties(case: ElementTree.Element, properties: Properties) -> None:
    element = ElementTree.SubElement(case, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(element, "property", name=name, value=str(value))
