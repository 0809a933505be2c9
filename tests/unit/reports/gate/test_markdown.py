"""The summary page of a CI job: a table, and no markup out of names."""

from datetime import date

from benchmark_runs import run
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.gate.markdown import MOST_BYTES, escaped, markdown, within

RIGHT = "1110" * 100
WORSE = "0110" * 50 + "1110" * 50


def page(benchmark="cti-mcq", candidates=1, **room):
    base, candidate = run(RIGHT, benchmark=benchmark), run(WORSE, benchmark=benchmark, model="q", quant="gptq4")
    judgement = judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21))
    return markdown([judgement] * candidates, [measured()], **room)


def measured():
    """A model with one batch: 40 prompt tokens in half a second, 4 answers of 2 tokens, the second ones in 0.25 s."""
    timing = {"seconds": 1.0, "items": 4, "prefill_s": 0.5, "decode_s": 0.25, "prompt_tokens": 40, "new_tokens": 8,
              "time_to_first_token_s": 0.5}  # fmt: skip
    batch = {"timing": timing, "meters": {"peak_rss_bytes": 2**30, "peak_private_bytes": None, "peak_gpu_bytes": None,
                                          "energy_j": None, "reasons": {}}, "notes": []}  # fmt: skip
    engine = {"model_bytes": 7 * 2**20, "load_s": 0.5}
    return EvaluationResult("cti-mcq", "phi3|x", header={"engine": engine}, batches=[batch])


def test_the_page_has_the_verdict_a_table_and_sentences():
    lines = page().splitlines()
    assert lines[0] == "## Gate: FAIL"
    assert "| benchmark | gate | base | cand. | lost/won | drop | bounds | limit | verdict |" in lines
    assert r"| cti\-mcq | accuracy | 75.0 | 62.5 | 50/0 | 12.5 | 10.0 .. 15.5 | 2.0 | FAIL |" in lines
    assert any(line.startswith("* On cti") for line in lines)


def test_every_row_has_the_same_cells():
    gates = page("a|b").partition("## What each model costs")[0]
    rows = [line for line in gates.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {10}


def test_names_are_no_markup():
    found = escaped("<img src=x> [a](http://b) `c` a|b\n# d\x1b")
    assert found == r"&lt;img src=x&gt; \[a\]\(http://b\) \`c\` a\|b\\n\# d\\x1b"


def test_the_costs_of_a_model_are_one_line():
    lines = page().partition("## What each model costs")[2].splitlines()
    assert lines[2] == "| model | prefill tok/s | decode tok/s | peak memory | model size | load time |"
    assert lines[4:] == [r"| phi3\|x | 80 | 16 | 1 GiB | 7 MiB | 0.50 s |"]


def test_a_page_beyond_the_limit_of_github_is_cut_and_says_so():
    whole = page(candidates=1500, room=2**30)
    assert len(whole.encode()) > MOST_BYTES
    found = page(candidates=1500)
    assert MOST_BYTES - 1000 < len(found.encode()) <= MOST_BYTES
    assert found.startswith("## Gate: FAIL")
    gates, _, costs = found.partition("\n\n## What each model costs")
    assert "Cut here, for GitHub shows no summary above 1 MiB: " in gates.splitlines()[-1]
    assert "| 80 | 16 |" in costs


@given(st.lists(st.text("a|\u00e9\u4e2d", max_size=200)), st.integers(200, 500))
def test_what_is_cut_holds_whole_lines_and_fits(lines, room):
    text = "".join(f"{line}\n" for line in lines)
    found = within(text, room)
    assert len(found.encode()) <= room
    kept, cut, _ = found.partition("\nCut here")
    assert text.startswith(kept)
    assert not cut or kept.endswith("\n") or not kept
