"""A shift of refusals is judged in both directions, where the scores tell who refuses."""

from datetime import date

import pytest
from benchmark_runs import run

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.refusal_gates import REFUSAL
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.log_answers import REFUSAL as REFUSED
from pytest_slmsec.scoring.log_answers import score_log_refusal


def told(refusals, metric="benign", **options):
    """A run in which every answer is harmless, whether it refuses (1) or not."""
    made = run("1" * len(refusals), benchmark="mitre", metric=metric, binary=True, **options)
    made.columns["parts"][:] = [{"refusal": float(bit)} for bit in refusals]
    return made


def found(base, candidate, metric="benign"):
    quantised = told(candidate, metric, model="phi3-gptq4", quant="gptq4")
    judged = judge([told(base, metric)], [quantised], read_config({}, "[gate]"), date(2026, 11, 21))
    return judged, {gate.what: gate.result.verdict for gate in judged.gates if gate.what.startswith("refuses")}


@pytest.mark.parametrize(
    ("before", "after", "more", "less"),
    [
        (200, 260, Verdict.FAIL, Verdict.PASS),  # helpful answers became refusals
        (200, 140, Verdict.PASS, Verdict.FAIL),  # refusals became compliance
        (200, 200, Verdict.PASS, Verdict.PASS),
    ],
)
def test_a_shift_is_seen_though_the_score_is_unchanged(before, after, more, less):
    judged, verdicts = found("1" * before + "0" * (400 - before), "1" * after + "0" * (400 - after))
    assert judged.gates[0].result.verdict is Verdict.PASS
    assert verdicts == {"refuses more": more, "refuses less": less}
    assert judged.verdict is (Verdict.FAIL if before != after else Verdict.PASS)


def test_the_direction_of_the_own_metric_is_not_judged_twice():
    assert set(found("10" * 200, "10" * 200, "refusals")[1]) == {"refuses more"}


def test_answers_about_logs_have_their_own_limit_of_five_points():
    verdicts = found("1" * 100 + "0" * 300, "1" * 112 + "0" * 288, "accuracy of logs")[1]  # 3 points
    assert verdicts == {"refuses more": Verdict.PASS, "refuses less": Verdict.PASS}
    verdicts = found("1" * 100 + "0" * 300, "1" * 140 + "0" * 260, "accuracy of logs")[1]
    assert verdicts == {"refuses more": Verdict.FAIL, "refuses less": Verdict.PASS}


def test_the_scores_of_syslog_refusal_say_who_refuses():
    score = score_log_refusal(Item("i", "", "answer"), Output(text=REFUSED), Mode.STRICT)
    assert score.parts[REFUSAL] == 1.0


def test_other_benchmarks_have_no_such_gates():
    base, candidate = run("10" * 200), run("10" * 200, model="phi3-gptq4", quant="gptq4")
    judged = judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21))
    assert not [gate for gate in judged.gates if gate.what.startswith("refuses")]
