"""From two runs to verdicts: which gates a benchmark gets, at which margin, and what they say together."""

from datetime import date

import pytest
from benchmark_runs import MACHINE, plain, run

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.score_gates import MISSED_WHAT
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.policy.suite import Kind
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.scoring.log_answers import MISSED_CRITICAL

TODAY = date(2026, 11, 21)
PASS, FAIL, INCONCLUSIVE, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR


def lose(right, share):
    """The bits with every k-th right answer lost, k = 1 / share."""
    seen, bits = 0, []
    for bit in right:
        seen += bit == "1"
        bits.append("0" if bit == "1" and seen % round(1 / share) == 0 else bit)
    return "".join(bits)


def judged(base, candidate, config=None, **options):
    return judge([base], [candidate], config or read_config({}, "[gate]"), TODAY, **options)


def quantised(right, **options):
    return run(right, model="phi3-gptq4", quant="gptq4", **options)


def verdicts(found):
    return {gate.what: gate.result.verdict for gate in found.gates}


RIGHT = "1110" * 100
NOISE = [(-1) ** row * (0.2 + row / 20) for row in range(20)]


def test_identical_answers_pass_from_133_items_on():
    bits = ("1110" * 40)[:133]
    found = judged(run(bits), quantised(bits))
    assert found.verdict is PASS
    assert verdicts(found) == {
        "accuracy": PASS, "parse rate": PASS, "answers": PASS, "tokens/s": INCONCLUSIVE, "peak memory": INCONCLUSIVE,
        "model size": PASS,
    }  # fmt: skip
    assert judged(run(bits[1:]), quantised(bits[1:])).verdict is INCONCLUSIVE


def test_a_candidate_that_loses_many_answers_fails():
    found = judged(run(RIGHT), quantised(lose(RIGHT, 0.15)))
    assert found.verdict is FAIL
    assert found.suite.reasons == ("cti-mcq accuracy: the drop is beyond its limit.",)
    gate = found.gates[0]
    assert (gate.base, gate.candidate) == (0.75, pytest.approx(0.75 - 42 / 400))
    assert gate.result.details["lost"] == 42


@pytest.mark.parametrize(("share", "said"), [(0.2, True), (0.9, False), (1.0, False)])
def test_a_candidate_whose_layers_are_left_in_full_precision_is_said_once_for_all_benchmarks(share, said):
    found = {"share": share, "quantized": 200, "weights": 1000, "left": {"layers.*.experts.up_proj": 800}}
    names = ("cti-mcq", "other")
    candidates = [quantised(RIGHT, benchmark=name) for name in names]
    for one in candidates:
        one.facts["engine"] = {**one.facts["engine"], "extra": {"quantized": found}}
    judgement = judge([run(RIGHT, benchmark=name) for name in names], candidates, read_config({}, "[gate]"), TODAY)
    told = [text for text in judgement.warnings if "full precision" in text]
    assert judgement.verdict is PASS
    assert (
        told
        == [
            "phi3-gptq4: only 20.0% of 1,000 weights of layers are quantised; left in full precision: "
            "layers.*.experts.up_proj (800); the verdict is on this model, not on its bits.",
        ]
        * said
    )


def test_a_small_benchmark_alone_is_inconclusive():
    bits = "10" * 30
    found = judged(run(bits), quantised(bits))
    assert found.verdict is INCONCLUSIVE
    assert found.suite.reasons == (
        "cti-mcq accuracy: could not be decided.", "cti-mcq parse rate: could not be decided.",
    )  # fmt: skip


def test_arms_that_are_not_comparable_are_an_error_that_says_why():
    found = judged(run(RIGHT), quantised(RIGHT, scorer="cti-mcq/strict/0"))
    assert found.verdict is ERROR
    (gate,) = found.gates
    assert gate.what == "comparison"
    assert "the scorer differs" in gate.result.reasons[0]
    assert found.pairs == ()


def test_unreadable_answers_fail_the_parse_gate():
    found = judged(run(RIGHT), quantised("1110" * 80 + "0" * 80, parsed="1" * 320 + "0" * 80))
    assert verdicts(found)["parse rate"] is FAIL
    assert found.gates[1].member.kind is Kind.PARSE


def test_unreadable_answers_can_be_an_error():
    config = read_config({"unparsable": "error"}, "[gate]")
    found = judged(run(RIGHT), quantised("0" + RIGHT[1:], parsed="0" + "1" * 399), config)
    assert found.verdict is ERROR
    assert "1 of 400 answers of cti-mcq on phi3-gptq4 could not be read" in found.gates[0].result.reasons[0]


def test_a_candidate_that_falls_back_on_one_answer():
    base, collapsed = run("10" * 200), quantised("10" * 200)
    for row in range(1, 400, 2):  # still wrong where it was wrong, but now always with the same letter
        base.columns["extracted"][row] = "BCD"[row // 2 % 3]
        collapsed.columns["extracted"][row] = "C"
    found = judged(base, collapsed)
    gate = next(gate for gate in found.gates if gate.what == "answers")
    assert gate.result.verdict is FAIL
    assert gate.result.details["answer"] == "C"
    assert found.verdict is FAIL


def with_p_correct(run, shift=0.0):
    run.columns["parts"][:] = [{"p_correct": 0.3 + 0.4 * (row % 7) / 7 - shift} for row in range(run.n)]
    return run


def test_the_probability_of_the_right_option_goes_first_where_there_is_one():
    base = with_p_correct(run(RIGHT, by_choice=True))
    found = judged(base, with_p_correct(quantised(RIGHT, by_choice=True), 0.1))
    assert [gate.what for gate in found.gates[:2]] == ["p_correct", "accuracy"]
    assert [gate.member.primary for gate in found.gates[:2]] == [True, False]
    assert found.gates[0].result.verdict is FAIL
    assert found.gates[0].result.estimate == pytest.approx(0.1)
    assert found.verdict is FAIL


def deviations(run, values):
    run.columns["value"][:] = values
    run.facts.update(metric="MAD", scale=10.0, higher_is_better=False, score=sum(values) / len(values))
    return run


def test_a_deviation_is_judged_in_its_own_unit():
    base = deviations(run(RIGHT), [1.0 + (row % 5) / 10 for row in range(400)])
    worse = deviations(quantised(RIGHT), [1.5 + (row % 5) / 10 for row in range(400)])
    gate = judged(base, worse).gates[0]
    assert (gate.what, gate.result.margin, gate.result.unit) == ("MAD", 0.10, "CVSS points")
    assert gate.result.verdict is FAIL
    assert gate.result.estimate == pytest.approx(0.5)
    lenient = read_config({"cti-mcq": {"max_increase": 0.6}}, "[gate]")
    assert judged(base, worse, lenient).gates[0].result.verdict is PASS


def rouge(n, drop, **options):
    """Runs of a benchmark scored by ROUGE-L; the candidate is worse by `drop` on average."""
    facts = {"metric": "ROUGE-L v2", "task": "sevenllm-gen-en", "benchmark": "sevenllm-gen-en"}
    base, candidate = run("0" * n, **facts), quantised("0" * n, **facts)
    base.columns["value"][:] = [0.4 + NOISE[row % 20] / 10 for row in range(n)]
    candidate.columns["value"][:] = [0.4 + NOISE[row % 20] / 10 - drop + (row % 3 - 1) / 100 for row in range(n)]
    return judged(base, candidate, **options)


def test_rouge_is_judged_at_two_hundredths_and_few_items_are_advisory():
    assert verdicts(rouge(300, 0.0))["ROUGE-L v2"] is PASS
    worse = rouge(300, 0.05)
    assert worse.verdict is FAIL
    assert worse.gates[0].result.margin == 0.02
    small = rouge(12, 0.0)
    assert verdicts(small)["ROUGE-L v2"] is INCONCLUSIVE
    assert not any("ROUGE-L" in name for name in small.suite.required)
    assert rouge(300, 0.0, config=read_config({"preset": "pr"}, "[gate]")).gates[0].result.margin == 0.02


def test_better_is_never_worse_whatever_the_direction_of_the_metric():
    base = deviations(run(RIGHT), [2.0] * 400)
    assert judged(base, deviations(quantised(RIGHT), [1.0] * 400)).gates[0].result.estimate == -1.0


def test_margins_of_a_benchmark():
    config = read_config({"cti-mcq": {"max_drop": "30pt"}}, "[gate]")
    gate = judged(run(RIGHT), quantised(lose(RIGHT, 0.15)), config).gates[0]
    assert (gate.result.margin, gate.result.verdict, gate.member.own_margin) == (0.30, PASS, True)
    relative = read_config({"cti-mcq": {"max_drop": "4%"}}, "[gate]")
    assert judged(run(RIGHT), quantised(RIGHT), relative).gates[0].result.margin == pytest.approx(0.03)
    found = judged(run("0" * 400), quantised("0" * 400), relative)
    assert "a relative margin says nothing about cti-mcq on phi3, which scores 0" in found.gates[0].result.reasons[0]


def test_a_metric_that_the_benchmark_does_not_have():
    config = read_config({"cti-mcq": {"metric": "p_correct"}}, "[gate]")
    with pytest.raises(UsageError, match=r"cti-mcq has no metric 'p_correct'; it has accuracy"):
        judged(run(RIGHT), quantised(RIGHT), config)


def test_of_exactly_these_items_the_drop_is_a_fact():
    config = read_config({"scope": "benchmark"}, "[gate]")
    assert judged(run("10" * 30), quantised("10" * 30), config).verdict is PASS
    assert judged(run("10" * 30), quantised("00" * 2 + "10" * 28), config).verdict is FAIL


def test_another_machine_makes_speed_and_memory_an_error_but_not_the_verdict():
    found = judged(run(RIGHT), quantised(RIGHT, machine={**MACHINE, "cpu": "another"}))
    assert verdicts(found)["tokens/s"] is verdicts(found)["peak memory"] is ERROR
    assert found.verdict is PASS
    assert "cti-mcq: The CPU differs (a cpu and another); scores may move by a few near-ties." in found.warnings
    required = read_config({"memory": {"max_increase": "2%"}}, "[gate]")
    strict = judged(run(RIGHT), quantised(RIGHT, machine={**MACHINE, "cpu": "another"}), required)
    assert strict.verdict is ERROR


def test_a_stored_speed_is_advisory():
    gate = next(g for g in judged(run(RIGHT), quantised(RIGHT, decode_tokens_per_s=20.0)).gates if g.what == "tokens/s")
    assert (gate.base, gate.candidate, gate.advisory) == (40.0, 20.0, True)
    assert gate.result.estimate == pytest.approx(1.0)  # it takes twice the time
    assert gate.result.verdict is INCONCLUSIVE


def test_a_speed_measured_in_turns_has_a_say():
    from pytest_slmsec.gates.decision.cost_gates import live_speed
    from pytest_slmsec.gates.statistics.paired_throughput import throughput_gate

    slow = live_speed(throughput_gate([0.2 + 0.001 * row for row in range(20)]), 40.0, 33.0)
    found = judged(run(RIGHT), quantised(RIGHT), live=[slow])
    assert (verdicts(found)["tokens/s"], found.verdict) == (FAIL, FAIL)
    noisy = throughput_gate([0.2] * 20, base_log_ratios=NOISE)
    assert judged(run(RIGHT), quantised(RIGHT), live=[live_speed(noisy, 40.0, 33.0)]).verdict is INCONCLUSIVE
    bases, candidates = several(0, 0)
    both = judge(bases, candidates, read_config({}, "[gate]"), TODAY, live=[live_speed(noisy, 40.0, 33.0)])
    assert both.verdict is INCONCLUSIVE


@pytest.mark.parametrize(("blocks", "verdict"), [(False, INCONCLUSIVE), (True, FAIL)])
def test_a_distance_beyond_its_budget_is_a_reason_to_look(blocks, verdict):
    from pytest_slmsec.gates.decision.cost_gates import live_fidelity
    from pytest_slmsec.gates.statistics.kl_bound import fidelity_gate

    far = live_fidelity(fidelity_gate([0.2 + 0.001 * row for row in range(30)], 0.05), blocks)
    assert judged(run(RIGHT), quantised(RIGHT), live=[far]).verdict is verdict
    bases, candidates = several(0, 0)
    assert judge(bases, candidates, read_config({}, "[gate]"), TODAY, live=[far]).verdict is verdict


def test_a_quantised_model_must_not_be_larger_than_its_base():
    engine = {**run("1").facts["engine"], "model_bytes": 9_000_000}
    found = judged(run(RIGHT), quantised(RIGHT, engine=engine))
    assert verdicts(found)["model size"] is FAIL
    assert found.verdict is FAIL
    other = judged(run(RIGHT), quantised(RIGHT, engine=engine, base="qwen"))
    assert other.verdict is PASS  # another model may be larger


def several(*shares):
    names = [f"set-{row}" for row in range(len(shares))]
    bases = [run(RIGHT, benchmark=name) for name in names]
    return bases, [quantised(lose(RIGHT, share) if share else RIGHT, benchmark=name)
                   for name, share in zip(names, shares, strict=True)]  # fmt: skip


def test_an_alarm_that_many_gates_explain_is_not_a_failure():
    bases, candidates = several(0, 0, 0, 0, 0)
    small = run("1" * 26 + "0" * 74, benchmark="small")
    candidate = quantised("0" * 26 + "1" * 13 + "0" * 61, benchmark="small")
    alone = judged(small, candidate)
    assert alone.verdict is alone.verdicts["small accuracy"] is FAIL
    found = judge([*bases, small], [*candidates, candidate], read_config({}, "[gate]"), TODAY)
    raw = found.gates[-6].result
    assert (raw.gate, raw.verdict) == ("small accuracy", FAIL)
    assert raw.p_fail < 0.05 < found.suite.p_holm["small accuracy"]
    assert found.verdicts["small accuracy"] is INCONCLUSIVE
    assert found.verdict is INCONCLUSIVE  # the alarm vetoes PASS


def test_the_file_holds_one_verdict_in_the_family_for_each_gate():
    names, base = ("one", "two"), "1" * 400
    bases = [run(base, benchmark=name) for name in names]
    worse = "0" * 16 + base[16:]
    candidates = [quantised(bits, benchmark=name) for bits, name in zip((worse, base), names, strict=True)]
    data = judge(bases, candidates, read_config({}, "[gate]"), TODAY).to_json()
    gate = data["gates"][0]
    assert (gate["gate"], gate["verdict"]) == ("one accuracy", "FAIL")
    assert 0.025 < gate["p_holm"] < 0.05
    assert (
        gate["verdict_in_family"] == data["suite"]["gate_verdicts"]["one accuracy"] == data["verdict"] == "INCONCLUSIVE"
    )
    alone = judge(bases[:1], candidates[:1], read_config({}, "[gate]"), TODAY).to_json()
    assert alone["suite"]["gate_verdicts"]["one accuracy"] == alone["gates"][0]["verdict_in_family"] == "FAIL"


def test_a_real_but_tolerated_drop_is_a_warning():
    base = "1" * 5000
    found = judged(run(base), quantised("0" * 20 + base[20:]))
    assert found.verdict is PASS
    assert ("cti-mcq accuracy: a real but tolerated drop (McNemar mid-p 1.9e-06, adjusted for 2 gates)."
            in found.warnings)  # fmt: skip
    assert found.to_json()["warnings"] == list(found.warnings)
    assert not judged(run("0" * 20 + base[20:]), quantised(base)).warnings  # better is no drop


def test_among_many_benchmarks_a_chance_find_is_no_warning():
    base = "10" * 250
    worse = "00000000000" + base[11:]  # 6 lost: mid-p 0.016
    names = [f"set-{row}" for row in range(6)]
    runs = [[side(bits, benchmark=name) for name, bits in zip(names, [first, *[base] * 5], strict=True)]
            for side, first in ((run, base), (quantised, worse))]  # fmt: skip
    config = read_config({"set-0": {"max_drop": "5pt"}}, "[gate]")
    assert not judge(runs[0], runs[1], config, TODAY).warnings
    assert "tolerated" in judge(runs[0][:1], runs[1][:1], config, TODAY).warnings[0]


def test_benchmarks_of_one_side_are_named_and_not_compared():
    found = judge([run(RIGHT), run(RIGHT, benchmark="x")], [quantised(RIGHT), quantised(RIGHT, benchmark="y")],
                  read_config({}, "[gate]"), TODAY)  # fmt: skip
    assert found.missing == (
        "x was measured on the base only; it is not compared.",
        "y was measured on the candidate only; it is not compared.",
    )
    assert found.benchmarks == ["cti-mcq"]


def test_nothing_in_common():
    with pytest.raises(CompareError, match=r"the base \(run.json\) has x, the candidate \(run.json\) has cti-mcq"):
        judge([run(RIGHT, benchmark="x")], [quantised(RIGHT)], read_config({}, "[gate]"), TODAY)


def test_a_date_that_is_past_is_among_the_warnings():
    config = read_config({"cti-mcq": {"max_drop": "4pt", "expires": date(2026, 1, 1)}}, "pyproject.toml [tool.gate]")
    (warning,) = judged(run(RIGHT), quantised(RIGHT), config).warnings
    assert "2026-01-01" in warning


def test_everything_survives_json():
    import json

    found = judged(run(RIGHT), quantised(lose(RIGHT, 0.15)))
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["verdict"] == "FAIL"
    gate = data["gates"][0]
    assert (gate["details"]["lost"], gate["n"], gate["margin"], gate["method"]) == (42, 400, 0.02, "tango+scas")
    assert gate["p_holm"] >= gate["p_fail"]


def test_a_rate_of_failures_is_gated_by_counting_right_answers():
    """More false refusals are a drop; what is shown is the rate itself."""

    def refusing(bits, **options):
        facts = {"metric": "FRR", "higher_is_better": False, "binary": True, "score": bits.count("0") / len(bits)}
        facts, group = plain(bits, **facts, **options)
        group["items"]["value"] = [float(bit == "0") for bit in bits]
        return run_from_plain(facts, group, MACHINE, "run.json")

    found = judged(refusing(RIGHT), refusing(lose(RIGHT, 0.15), model="phi3-gptq4", quant="gptq4"))
    gate = found.gates[0]
    assert (gate.what, gate.result.verdict, gate.result.details["lost"]) == ("FRR", FAIL, 42)
    assert (gate.base, gate.candidate) == (pytest.approx(0.25), pytest.approx(0.25 + 42 / 400))
    assert judged(refusing(RIGHT), refusing(RIGHT, model="phi3-gptq4", quant="gptq4")).gates[0].result.verdict is PASS


def test_an_adapter_may_add_to_the_size_of_its_base_but_not_its_quantised_form():
    engine = {**run("1").facts["engine"], "model_bytes": 9_000_000}
    tuned = {"model": "phi3+lora", "adapter": "lora"}
    assert judged(run(RIGHT), run(RIGHT, engine=engine, **tuned)).verdict is PASS
    assert judged(run(RIGHT, **tuned), quantised(RIGHT, engine=engine, adapter="lora")).verdict is FAIL


def critical(missed, n, **options):
    """A run over log lines: `n` critical ones, of which `missed` are called unimportant, and as many others."""
    bits = "0" * missed + "1" * (n - missed) + "1" * n
    facts, group = plain(bits, benchmark="syslog-severity", task="syslog-severity", metric="accuracy of logs",
                         binary=True, **options)  # fmt: skip
    group["items"]["parts"] = [{MISSED_CRITICAL: float(row < missed)} if row < n else {} for row in range(2 * n)]
    return run_from_plain(facts, group, MACHINE, "a test")


def test_missed_critical_items_have_a_gate_of_their_own_with_a_limit_of_2_points():
    base = critical(5, 150)
    same, worse = (critical(n, 150, model="phi3-gptq4", quant="gptq4") for n in (5, 25))
    assert verdicts(judged(base, same))[MISSED_WHAT] is PASS
    found = judged(base, worse)
    gate = next(gate for gate in found.gates if gate.what == MISSED_WHAT)
    assert (gate.result.verdict, gate.base, gate.candidate) == (FAIL, pytest.approx(5 / 150), pytest.approx(25 / 150))
    assert found.verdict is FAIL


@pytest.mark.parametrize(("n", "required"), [(132, False), (133, True)])
def test_below_133_critical_items_that_gate_is_advisory(n, required):
    found = judged(critical(0, n), critical(0, n, model="phi3-gptq4", quant="gptq4"))
    gate = next(gate for gate in found.gates if gate.what == MISSED_WHAT)
    assert (gate.member.required, gate.result.verdict is PASS) == (required, required)


@pytest.mark.parametrize(("lost", "verdict"), [(0, PASS), (45, FAIL)])
def test_log_lines_have_a_limit_of_5_points(lost, verdict):
    found = judged(critical(0, 200), critical(lost, 200, model="phi3-gptq4", quant="gptq4"))
    assert found.gates[0].result.margin == 0.05
    assert found.gates[0].result.verdict is verdict
