"""The summary page of a CI job: a table, and no markup out of names."""

from datetime import date

from benchmark_runs import run

from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.reports.gate.markdown import escaped, markdown

RIGHT = "1110" * 100
WORSE = "0110" * 50 + "1110" * 50


def page(benchmark="cti-mcq"):
    base, candidate = run(RIGHT, benchmark=benchmark), run(WORSE, benchmark=benchmark, model="q", quant="gptq4")
    return markdown([judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21))])


def test_the_page_has_the_verdict_a_table_and_sentences():
    lines = page().splitlines()
    assert lines[0] == "## Gate: FAIL"
    assert "| benchmark | gate | base | cand. | lost/won | drop | bounds | limit | verdict |" in lines
    assert r"| cti\-mcq | accuracy | 75.0 | 62.5 | 50/0 | 12.5 | 10.0 .. 15.5 | 2.0 | FAIL |" in lines
    assert any(line.startswith("* On cti") for line in lines)


def test_every_row_has_the_same_cells():
    rows = [line for line in page("a|b").splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {10}


def test_names_are_no_markup():
    found = escaped("<img src=x> [a](http://b) `c` a|b\n# d\x1b")
    assert found == r"&lt;img src=x&gt; \[a\]\(http://b\) \`c\` a\|b\\n\# d\\x1b"
