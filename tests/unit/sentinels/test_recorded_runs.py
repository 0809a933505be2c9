"""Sentinels on recorded runs of real models: they need the published files (variable SLMSEC_DATA)."""

import os
from pathlib import Path

import pytest

from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.cli.sentinels import look_at_stored
from pytest_slmsec.reports.sentinels import evidence_of_run, look

DATA = os.environ.get("SLMSEC_DATA", "")
RUNS = Path(DATA, "recorded-runs")
pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="SLMSEC_DATA names no published files")

EXPECTED = {
    "phi3/bare": set(),
    "phi3/gptq4": {
        ("cti-vsp", "garbled-text"), ("cti-vsp", "low-parse-rate"), ("cti-vsp", "padded-token-counts"),
        ("cti-rcm", "padded-token-counts"),
    },
    "tinyllama/bare": {
        ("cti-mcq", "extractors-disagree"), ("cti-rcm", "low-parse-rate"), ("cti-vsp", "collapsed-answers"),
    },
    "tinyllama/gptq4": {
        ("cti-mcq", "collapsed-answers"), ("cti-mcq", "extractors-disagree"), ("cti-rcm", "garbled-text"),
        ("cti-rcm", "low-parse-rate"), ("cti-vsp", "garbled-text"), ("cti-vsp", "low-parse-rate"),
    },
}  # fmt: skip


@pytest.mark.parametrize("run", EXPECTED)
def test_what_is_found_in_each_run(run):
    findings = look([evidence_of_run(run) for run in read_recorded(RUNS / run, DATA)], {})
    assert {(finding.benchmark.partition("@")[0], finding.id) for finding in findings} == EXPECTED[run]


def test_tinyllama_in_4_bit_answers_a_to_everything():
    findings = look([evidence_of_run(run) for run in read_recorded(RUNS / "tinyllama" / "gptq4", DATA)], {})
    (fact,) = (f.fact for f in findings if (f.id, f.benchmark) == ("collapsed-answers", "cti-mcq@100rows"))
    assert fact == "95 of 97 answers are 'A', which is right on 13 of them"


def test_the_command_tells_and_counts(capsys):
    assert look_at_stored(str(RUNS / "phi3" / "bare"), Path.cwd(), DATA) == 0
    assert look_at_stored(str(RUNS / "phi3" / "gptq4"), Path.cwd(), DATA) == 1
    assert look_at_stored(str(RUNS / "phi3" / "gptq4-allerrors"), Path.cwd(), DATA) == 3
    said = capsys.readouterr()
    assert "No sentinel fires on the 3 groups" in said.out
    assert "23 of 100 answers are garbled" in said.out
    assert said.err.startswith("slmsec: error: ")
    assert max(map(len, said.out.splitlines()[1:])) <= 80
