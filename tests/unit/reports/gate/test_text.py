"""The table and the sentences of a comparison."""

import re
from datetime import date

from benchmark_runs import MACHINE, run

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.records.flips import flips, lost_items
from pytest_slmsec.reports.gate.text import report

RIGHT = "1110" * 100
NOISE = [(-1) ** row * (0.2 + row / 20) for row in range(20)]
WORSE = "0110" * 50 + "1110" * 50


def text(base, candidate, **options):
    return report(judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21)), **options)


def unwrapped(text):
    return " ".join(text.split())


def quantised(right, **options):
    return run(right, model="phi3-gptq4", quant="gptq4", **options)


def test_a_failure_reads_like_this():
    assert text(run(RIGHT), quantised(WORSE)) == (
        "candidate: phi3-gptq4 (run.json)\n"
        "base:      phi3 (run.json)\n"
        "preset:    nightly\n"
        "\n"
        "gate              base    cand. lost/won  drop       bounds   limit verdict\n"
        "cti-mcq, 400 items\n"
        "  accuracy        75.0     62.5     50/0  12.5 10.0 .. 15.5     2.0 FAIL\n"
        "  parse rate     100.0    100.0      0/0   0.0  -0.7 .. 0.7     2.0 PASS\n"
        "  answers         25.0     37.5     50/0  12.5  9.5 .. 16.1    20.0 PASS\n"
        "the whole model\n"
        "  tokens/s        40.0     40.0          0.0 %               -4.8 % (?)\n"
        "  peak memory    1 GiB    1 GiB          0.0 %              +11.3 % (?)\n"
        "  model size  6.68 MiB 6.68 MiB          0.0 %               +2.0 % PASS\n"
        "(in brackets): shown, but no part of the verdict\n"
        "\n"
        "* On cti-mcq (accuracy) the candidate lost 50 answers and won back 0 of 400. We\n"
        "  are 95 % sure that on cti-mcq (accuracy) the candidate is worse by at least\n"
        "  10.0 points; you allowed 2 points. If it were really at most 2 points worse, a\n"
        "  gap this big would turn up in fewer than 1 of 1,000,000 runs. Look at\n"
        "  cti-mcq-00001, cti-mcq-00005, cti-mcq-00009, cti-mcq-00013, cti-mcq-00017.\n"
        "\n"
        "SUITE: FAIL (phi3-gptq4 against phi3)"
    )


def test_costs_show_the_change_of_the_figure_beside_them():
    base = run(RIGHT, decode_tokens_per_s=40.0, peak_gpu_bytes=2**30)
    slow = quantised(RIGHT, decode_tokens_per_s=8.0, peak_gpu_bytes=3 * 2**30)
    lines = [line.split() for line in text(base, slow).splitlines()]
    assert ["tokens/s", "40.0", "8.0", "-80.0", "%", "-4.8", "%", "(?)"] in lines
    assert ["peak", "memory", "1", "GiB", "3", "GiB", "+200.0", "%", "+3.6", "%", "(?)"] in lines
    fast = text(base, quantised(RIGHT, decode_tokens_per_s=100.0, peak_gpu_bytes=2**29))
    assert "+150.0 %" in fast
    assert "-50.0 %" in fast


def test_the_bounds_of_a_speed_are_a_range_of_its_change():
    from pytest_slmsec.gates.decision.cost_gates import live_speed
    from pytest_slmsec.gates.statistics.paired_throughput import throughput_gate

    halved = live_speed(throughput_gate([0.69 + row / 1000 for row in range(20)]), 40.0, 20.0)
    judgement = judge([run(RIGHT)], [quantised(RIGHT)], read_config({}, "[gate]"), date(2026, 11, 21), live=[halved])
    row = next(line for line in report(judgement).splitlines() if line.startswith("  tokens/s"))
    assert row.split() == ["tokens/s", "40.0", "20.0", "-50.3", "%", "-50.4", "..", "-50.2", "-4.8", "%", "FAIL"]


def test_every_line_fits_eighty_columns():
    assert max(map(len, text(run(RIGHT), quantised(WORSE)).splitlines())) <= 80


def test_a_pass_says_up_to_and_never_no_difference():
    found = unwrapped(text(run(RIGHT), quantised(RIGHT)))
    assert "the candidate is worse by up to 0.7 points, not more; you allowed 2 points." in found


def test_an_undecided_benchmark_says_that_this_is_no_pass():
    found = text(run("10" * 30), quantised("10" * 30))
    assert "SUITE: INCONCLUSIVE" in found
    assert '2 gates could not be decided ("?"). That is not a pass' in found


def test_an_error_says_what_differs():
    found = unwrapped(text(run(RIGHT), quantised(RIGHT, judge="another")))
    assert "cti-mcq on phi3-gptq4 cannot be compared with phi3: the judge differs (None and another)." in found
    assert "SUITE: ERROR" in found


def test_advice_comes_after_what_counts():
    lines = text(run(RIGHT), quantised(WORSE, machine={**MACHINE, "cpu": "another"})).splitlines()
    bullets = [line for line in lines if line.startswith("* ")]
    assert bullets[0].startswith("* On cti-mcq (accuracy)")
    assert bullets[1].startswith("* tokens/s cannot be compared. The CPU differs (a cpu and another)")


def test_a_collapse_names_the_answer():
    base, candidate = run("10" * 200), quantised("10" * 200)
    base.columns["extracted"][1::2] = ["C", "D"] * 100
    candidate.columns["extracted"][:] = ["\x1b[31mB"] * 400
    assert "answers \\x1b[31mB in 400 of 400 items, the base in 0: it falls back" in unwrapped(text(base, candidate))


def test_a_collapse_of_a_small_run_is_told_in_its_own_items():
    base, candidate = run("10" * 5), quantised("10" * 5)
    base.columns["extracted"][:] = list("AACDACDAAB")
    candidate.columns["extracted"][:] = ["B"] * 10
    assert "the candidate answers B in 10 of 10 items, the base in 1" in unwrapped(text(base, candidate))


def test_hostile_text_is_escaped():
    assert shown("a\x1b[31m\u202e\ud800b\n") == "a\\x1b[31m\\u202e\\ud800b\\n"
    found = text(run(RIGHT, benchmark="x\x1b]y"), quantised(WORSE, benchmark="x\x1b]y"))
    assert "\x1b" not in found


def pair_of(base, candidate):
    return judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21)).pairs[0]


def test_flips_hold_both_answers_and_texts():
    found = list(flips(pair_of(run("1101"), quantised("0111"))))
    assert [(flip["item"], flip["change"]) for flip in found] == [
        ("cti-mcq-00001", "lost"), ("cti-mcq-00003", "gained"),
    ]  # fmt: skip
    assert {key: found[0][key] for key in ("gold", "base_answer", "candidate_answer", "base_text")} == {
        "gold": "A", "base_answer": "A", "candidate_answer": "B", "base_text": "A",
    }  # fmt: skip


def test_where_nothing_is_right_or_wrong_the_worse_items_are_named():
    runs = [run("0000"), quantised("0000")]
    for one, values in zip(runs, ([1.0, 2.0, 3.0, 4.0], [1.0, 5.0, 2.0, 4.0]), strict=True):
        one.columns["value"][:] = values
        one.facts.update(metric="MAD", scale=10.0, higher_is_better=False)
    pair = pair_of(*runs)
    assert [flip["change"] for flip in flips(pair)] == ["worse", "better"]
    assert lost_items(pair, 5) == ["cti-mcq-00002"]


def many(n, items, candidate=None, verbose=False):
    bases = [run(items, benchmark=f"set-{row}") for row in range(n)]
    others = [quantised(candidate or items, benchmark=f"set-{row}") for row in range(n)]
    return report(judge(bases, others, read_config({}, "[gate]"), date(2026, 11, 21)), verbose=verbose)


def test_many_undecided_gates_share_a_sentence_for_each_reason():
    assert ("* Not decided, too few items to prove their limit: 6 gates of 3 benchmarks: set-0 (60 items; needs about "
            "133), set-1 (60 items; needs about 133), set-2 (60 items; needs about 133). *"
            ) in unwrapped(many(3, "10" * 30))  # fmt: skip
    assert "set-0 accuracy (120 items; needs about 258), set-0 parse rate (120 items; needs about 133)" in unwrapped(
        many(3, "10" * 60, "01" + "10" * 59)
    )
    found = unwrapped(many(5, "10" * 80, "01" * 3 + "10" * 77))
    assert "* Not decided, more items are needed: 5 gates: set-0 accuracy (160 items; needs about 580), set-1" in found


def test_a_long_list_is_cut_and_says_where_the_rest_stands():
    found = many(31, "10" * 30, verbose=True)
    assert "62 gates of 31 benchmarks: set-0 (60 items; needs about 133)," in unwrapped(found)
    assert "set-3 (60 items; needs about 133) and 27 more." in unwrapped(found)
    assert "--slmsec-json (`slmsec compare --json`) writes those of every gate." in unwrapped(found)
    assert len(found[found.index("* Not decided") :].splitlines()) <= 14
    passed = "Shown to be within its limit: set-0 accuracy, set-1 accuracy, set-2 accuracy, set-3 accuracy and 27 more."
    assert passed in unwrapped(many(31, RIGHT, verbose=True))


def test_of_many_gates_those_that_pass_and_the_undecided_are_counted():
    found = unwrapped(many(31, "10" * 30))
    assert (
        "Not shown: 32 gates that PASS, and 64 that could not be decided, which is no pass, of 31 benchmarks." in found
    )
    assert "-v shows all." in found
    assert "62 gates could not be decided" not in found  # counted without those that are only shown
    assert "Not decided," not in found
    assert len(many(31, "10" * 30).splitlines()) <= 16


def test_gates_that_leave_the_suite_open_for_the_same_reason_are_told_together():
    assert ("The suite is undecided: The mean drop may be up to 2.2 points; 2 are allowed; set-0 accuracy, set-1 "
            "accuracy, set-2 accuracy, set-3 accuracy and 3 more: not shown to be within 5 points."
            ) in unwrapped(many(7, "10" * 200, "01" * 100 + "10" * 100))  # fmt: skip


def test_the_table_the_list_and_the_count_name_the_same_gates():
    for n, items, candidate in ((1, "10" * 30, None), (2, "10" * 30, None), (5, "10" * 60, "01" + "10" * 59)):
        found = many(n, items, candidate)
        shown_open = sum(line.endswith(" ?") for line in found.splitlines())
        assert f'{shown_open} gates could not be decided ("?")' in unwrapped(found)
        if shown_open > 4:
            listed = re.findall(r"Not decided, [^:]*: ([\d,]+) gates?\b", unwrapped(found))
            assert sum(map(int, listed)) == shown_open


def test_numbers_needed_say_what_they_assume():
    assert ("The numbers needed hold if drop and changed answers stay as measured here; `slmsec plan` assumes no drop, "
            "and that 6 % change.") in unwrapped(many(3, "10" * 30))  # fmt: skip


def deviations(n):
    base, candidate = (side("1" * n, metric="MAD", scale=10.0, higher_is_better=False) for side in (run, quantised))
    for one, step in ((base, 0.0), (candidate, 0.3)):
        one.columns["value"][:] = [1.0 + step * (row % 2) for row in range(n)]
        one.facts["score"] = None
    return base, candidate


def test_a_note_says_how_bounds_of_real_valued_scores_were_found_and_why():
    assert ("bounds of cti-mcq MAD: betting, which holds for any number of items; from 299 items on BCa bootstrap, "
            "which is narrower") in unwrapped(text(*deviations(298)))  # fmt: skip
    assert "bounds of cti-mcq MAD: BCa bootstrap, for there are 299 items or more" in unwrapped(text(*deviations(299)))
    assert "bounds of" not in text(run(RIGHT), quantised(RIGHT))


def test_everything_but_the_table_is_wrapped_to_the_width():
    base, candidate = deviations(298)
    for width in (80, 160):
        found = report(judge([base], [candidate], read_config({}, "[gate]"), date(2026, 11, 21)), width)
        assert max(map(len, found.splitlines())) <= width
    long = quantised(RIGHT, where="folder with blanks " * 10)
    assert max(map(len, text(run(RIGHT), long).splitlines())) <= 80


def test_the_mean_drop_of_several_benchmarks():
    found = unwrapped(many(2, RIGHT))
    assert ("Over all benchmarks of 300 items or more the mean drop is 0.0 points and at most 0.5 points (95 % sure); "
            "2 points are allowed." in found)  # fmt: skip
    assert "the mean drop is 12.5 points and at least 10" in unwrapped(many(2, RIGHT, WORSE))


def test_a_machine_that_is_too_noisy_is_named():
    from pytest_slmsec.gates.decision.cost_gates import live_speed
    from pytest_slmsec.gates.statistics.paired_throughput import throughput_gate

    noisy = live_speed(throughput_gate([0.2] * 20, base_log_ratios=NOISE), 40.0, 33.0)
    judgement = judge([run(RIGHT)], [quantised(RIGHT)], read_config({}, "[gate]"), date(2026, 11, 21), live=[noisy])
    assert "This machine is too noisy: the base against itself varies" in unwrapped(report(judgement))


def suite_of(right_of_each, model):
    quant = {} if model == "phi3" else {"quant": "gptq4"}
    return [run(right, benchmark=name, model=model, **quant) for name, right in right_of_each.items()]


def test_of_many_gates_the_table_shows_what_decides_and_verbose_shows_all():
    base = {**{f"set-{i}": RIGHT for i in range(8)}, **{f"small-{i}": "10" * 30 for i in range(8)}}
    candidate = {**base, "set-3": WORSE}
    judgement = judge(
        suite_of(base, "phi3"), suite_of(candidate, "phi3-gptq4"), read_config({}, "[gate]"), date(2026, 11, 21)
    )
    short, whole = report(judgement), report(judgement, verbose=True)
    table = short.split("Not shown")[0]
    assert "FAIL" in table
    assert [line for line in table.splitlines() if "small-" in line or "parse rate" in line] == []
    assert table.count("accuracy") == 8
    assert "that could not be decided, which is no pass, of 8 benchmarks. -v shows all." in unwrapped(short)
    ends = [line.split()[-1] for line in whole.split("\n\n*")[0].splitlines() if line.startswith("  ")]
    assert sum(end in ("PASS", "FAIL", "alarm", "?", "(?)") for end in ends) == len(judgement.gates)
    assert "Not shown" not in whole


def test_where_no_gate_decides_there_is_no_empty_table():
    small = {f"small-{i}": "10" * 6 for i in range(8)}
    judgement = judge(
        suite_of(small, "phi3"), suite_of(small, "phi3-gptq4"), read_config({}, "[gate]"), date(2026, 11, 21)
    )
    short = report(judgement)
    assert "lost/won" not in short
    assert "Not shown: " in short
    assert "lost/won" in report(judgement, verbose=True)
