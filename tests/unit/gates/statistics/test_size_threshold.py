"""The memory gate: a threshold on the larger of two runs."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import GateResult, Verdict
from pytest_slmsec.gates.statistics.size_threshold import DEVICE, MIB, RESIDENT, Allowance, memory_gate, size_gate

BASE = [1000 * MIB, 1000 * MIB]


@pytest.mark.parametrize(
    ("candidate_mib", "expected"), [(400, Verdict.PASS), (1036, Verdict.PASS), (1037, Verdict.FAIL)]
)
def test_two_percent_and_16_mib_above_the_base(candidate_mib, expected):
    assert memory_gate(BASE, [candidate_mib * MIB] * 2).verdict is expected


def test_resident_memory_has_more_room():
    assert memory_gate(BASE, [1114 * MIB] * 2, RESIDENT).verdict is Verdict.PASS
    assert memory_gate(BASE, [1114 * MIB] * 2, DEVICE).verdict is Verdict.FAIL


def test_the_larger_run_counts():
    assert memory_gate(BASE, [1030 * MIB, 1037 * MIB]).verdict is Verdict.FAIL


def test_repeats_that_differ_are_an_error():
    result = memory_gate(BASE, [400 * MIB, 410 * MIB])
    assert result.verdict is Verdict.ERROR
    assert "Peaks of the candidate differ by more than 1 %" in result.reasons[0]


def test_one_run_decides_nothing():
    assert memory_gate(BASE, [400 * MIB]).verdict is Verdict.INCONCLUSIVE
    assert memory_gate(BASE[:1], [4000 * MIB] * 2).verdict is Verdict.INCONCLUSIVE


def test_file_size_is_exact():
    assert size_gate(500, 500).verdict is Verdict.PASS
    assert size_gate(501, 500).verdict is Verdict.FAIL


def test_impossible_sizes_are_refused():
    with pytest.raises(UsageError, match="at least one run"):
        memory_gate([], [1])
    with pytest.raises(UsageError, match="positive bytes"):
        memory_gate([0, 0], [1, 1])
    with pytest.raises(UsageError, match="positive bytes"):
        size_gate(0, 1)
    with pytest.raises(UsageError, match="cannot be negative"):
        Allowance(-0.1, 0)


def test_resident_memory_repeats_less_exactly_than_that_of_a_gpu():
    config = read_config({"memory": {"max_increase": "2% + 16MiB"}}, "[gate]")
    on_gpu, resident = config.memory_allowance(True), config.memory_allowance(False)
    assert (on_gpu.share, resident.share) == (0.02, 0.02)
    runs = [1000 * MIB, 1030 * MIB]
    assert memory_gate(runs, runs, on_gpu).verdict is Verdict.ERROR
    assert memory_gate(runs, runs, resident).verdict is Verdict.PASS


def test_what_a_memory_gate_records():
    base, candidate = [1000 * MIB, 999 * MIB], [500 * MIB, 498 * MIB, 499 * MIB]
    found = memory_gate(base, candidate, gate="VRAM")
    limit = 1020 * MIB + 16 * MIB
    details = {"base_bytes": 1000 * MIB, "candidate_bytes": 500 * MIB, "limit_bytes": limit,
               "base_runs": base, "candidate_runs": candidate}  # fmt: skip
    margin = limit / (1000 * MIB) - 1
    assert found == GateResult(
        "VRAM", Verdict.PASS, 2, -0.5, -0.5, -0.5, margin, None, "threshold", "%", details=details
    )
    assert margin == pytest.approx(0.036)
    assert memory_gate(base, candidate).gate == "memory"


def test_what_a_size_gate_records():
    details = {"candidate_bytes": 750, "limit_bytes": 500}
    found = GateResult("file size", Verdict.FAIL, 1, 0.5, 0.5, 0.5, 0.0, None, "exact", "%", details=details)
    assert size_gate(750, 500) == found
    assert size_gate(750, 500, gate="weights").gate == "weights"


def test_the_limits_themselves_are_allowed():
    nothing_more = Allowance(0.0, 0, 0.0)
    assert memory_gate([1, 1], [1, 1], nothing_more).verdict is Verdict.PASS
    assert memory_gate([1, 1], [2, 2], nothing_more).verdict is Verdict.FAIL
    assert size_gate(1, 1).verdict is Verdict.PASS
    # 10 of 1000 bytes are 1 %.
    assert memory_gate([1000, 990], [1000, 990]).verdict is Verdict.PASS
    assert memory_gate([1000, 990], [1000, 989]).verdict is Verdict.ERROR


def test_each_unsteady_model_is_named():
    reasons = memory_gate([1000, 900], [1000, 800]).reasons
    assert reasons == (
        "Peaks of the base differ by more than 1 % between runs: 900 and 1,000 bytes.",
        "Peaks of the candidate differ by more than 1 % between runs: 800 and 1,000 bytes.",
    )


def test_every_size_must_be_known():
    for base, candidate in (([1], []), ([1, 1], [1, 0]), ([1, -1], [1, 1])):
        with pytest.raises(UsageError, match="peak of at least one run of base and candidate, in positive bytes"):
            memory_gate(base, candidate)
    with pytest.raises(UsageError, match=r"1 and 0 \(declared\)"):
        size_gate(1, 0)
    for negative in ((0.0, -1), (0.0, 0, -0.1)):
        with pytest.raises(UsageError, match="cannot be negative"):
            Allowance(*negative)
