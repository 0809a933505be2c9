"""What holds for every pair of runs."""

from datetime import date

from benchmark_runs import run
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import Verdict

ITEMS = 150
BITS = st.text("01", min_size=ITEMS, max_size=ITEMS)
BETTER = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
CONFIG = read_config({}, "[gate]")


def gates(base, candidate):
    found = judge([base], [candidate], CONFIG, date(2026, 11, 21))
    return {gate.what: gate.result for gate in found.gates if gate.benchmark}


def quantised(right, **options):
    return run(right, model="phi3-gptq4", quant="gptq4", **options)


@settings(max_examples=30, deadline=None)
@given(BITS, BITS, st.permutations(range(ITEMS)))
def test_the_order_of_the_items_does_not_matter(before, after, order):
    base, candidate = run(before), quantised(after)
    assert gates(base, candidate) == gates(base, candidate.taken(order))


@settings(max_examples=30, deadline=None)
@given(BITS, st.sets(st.integers(0, ITEMS - 1), max_size=12), st.integers(0, ITEMS - 1))
def test_one_more_wrong_answer_never_improves_the_verdict(before, flipped, worse):
    after = "".join("10"[int(bit)] if row in flipped else bit for row, bit in enumerate(before))
    spoiled = after[:worse] + "0" + after[worse + 1 :]
    if "1" not in spoiled:
        return
    verdicts = [gates(run(before), quantised(bits))["accuracy"].verdict for bits in (after, spoiled)]
    assert BETTER.index(verdicts[1]) <= BETTER.index(verdicts[0])


@settings(max_examples=30, deadline=None)
@given(BITS.filter(lambda bits: "1" in bits))
def test_a_model_is_never_worse_than_itself(bits):
    for result in gates(run(bits), quantised(bits)).values():
        assert result.verdict is not Verdict.FAIL
        assert result.estimate == 0


@settings(max_examples=30, deadline=None)
@given(BITS, st.sets(st.integers(0, ITEMS - 1), min_size=1, max_size=60))
def test_an_answer_that_cannot_be_read_is_never_better_than_a_wrong_one(before, unread):
    wrong = "".join("0" if row in unread else bit for row, bit in enumerate(before))
    if "1" not in wrong:
        return
    parsed = "".join("0" if row in unread else "1" for row in range(ITEMS))
    said, silent = gates(run(before), quantised(wrong)), gates(run(before), quantised(wrong, parsed=parsed))
    assert silent["accuracy"].estimate == said["accuracy"].estimate
    assert BETTER.index(silent["parse rate"].verdict) <= BETTER.index(said["parse rate"].verdict)
