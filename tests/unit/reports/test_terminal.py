"""The tables, at both widths."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.reports.tables import Name, size, tables
from pytest_slmsec.reports.terminal import named, notes
from pytest_slmsec.scoring.metrics import ACCURACY, MAD


def header(**more):
    return {
        "n_expected": 4, "metric": "accuracy", "scale": 1.0, "mode": "strict", "source": "fixture",
        "items_sha256": "0123456789abcdef", "constant": {"answer": "C", "value": 0.25},
        "decoding": {"max_new_tokens": 8}, "engine": {"model_bytes": 7 * 2**20, "load_s": 0.5}, **more,
    }  # fmt: skip


def payload(label, model, row, correct=True, error=None, **more):
    score = {"value": float(correct), "parsed": True, "correct": correct, "extracted": "A", "parts": {}}
    return {
        "row": {
            "group": label, "model": model, "row": row, "item": f"{label}-{row}", "error": error, "hit_limit": False,
            "score": None if error else score, "prompt_tokens": 10, "new_tokens": 2, "seconds": 0.1,
        },
        **more,
    }  # fmt: skip


TIMING = {
    "seconds": 1.0, "items": 4, "prefill_s": 0.5, "decode_s": 0.25, "prompt_tokens": 40, "new_tokens": 8,
    "time_to_first_token_s": 0.5,
}  # fmt: skip
BATCH = {
    "timing": TIMING,
    "meters": {"peak_rss_bytes": 2**30, "peak_private_bytes": 2**29, "peak_gpu_bytes": None, "energy_j": None,
               "reasons": {"energy_j": "no GPU"}},
    "notes": [],
}  # fmt: skip


@pytest.fixture
def groups():
    made = EvaluationResults()
    for model in ("tinysec", "tinysec-gptq4"):
        for row in range(4):
            first = {"header": header(), "batch": BATCH} if row == 0 else {}
            made.add(payload("cti-mcq-choice@fixture@40", model, row, correct=row > 0, **first), ACCURACY)
    return made


def test_at_80_columns_no_line_is_longer_and_no_name_is_broken(groups):
    text = tables(list(groups), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "cti-mcq-choice@fixture@40" in text
    assert text.count("tinysec-gptq4") == 2


def results(labels, models, unread=0, metric=ACCURACY, **more):
    made = EvaluationResults()
    for label in labels:
        for model in models:
            for row in range(4):
                first = {"header": header(metric=metric.name, **more), "batch": BATCH} if row == 0 else {}
                case = payload(label, model, row, correct=row > 0, **first)
                if row < unread:
                    case["row"]["score"].update(parsed=False, correct=False, value=0.0, extracted=None)
                made.add(case, metric)
    return list(made)


def test_models_stand_beside_each_other_where_they_fit():
    both = results(["cti-mcq@fixture", "cti-rcm@fixture"], ["tinysec", "tinysec-gptq4"])
    assert tables(both, 80).split("\n\n")[0] == (
        "                                            tinysec        tinysec-gptq4\n"
        "benchmark       items constant  score 95 % interval  score 95 % interval\n"
        "────────────────────────────────────────────────────────────────────────\n"
        "cti-mcq@fixture     4   25.0 %  75.0 % 30.1 .. 95.4  75.0 % 30.1 .. 95.4\n"
        "cti-rcm@fixture     4   25.0 %  75.0 % 30.1 .. 95.4  75.0 % 30.1 .. 95.4"
    )


@pytest.mark.parametrize(("width", "lines"), [(80, 11), (160, 5)])
def test_more_models_than_fit_stand_below_each_other(width, lines):
    many = results(["cti-mcq", "cti-rcm"], ["tinysec", "tinysec-gptq4", "tinysec-gptq8"])
    found = tables(many, width).split("\n\n")[0]
    assert len(found.splitlines()) == lines


def test_verbose_has_a_line_for_each_model_of_each_benchmark():
    text = tables(results(["cti-mcq"], ["tinysec", "tinysec-gptq4"]), 80, verbose=True)
    assert [line.split()[:6] for line in text.splitlines() if line.startswith("  tinysec")][:2] == [
        ["tinysec", "4", "4", "75.0", "%", "30.1"], ["tinysec-gptq4", "4", "4", "75.0", "%", "30.1"],
    ]  # fmt: skip


def test_a_benchmark_that_did_not_run_whole_has_a_line_for_each_model():
    made = results(["cti-mcq"], ["tinysec", "tinysec-gptq4"], n_expected=5)
    assert re.search(r"^  tinysec +4/5 +4 ", tables(made, 80), re.MULTILINE)


def test_another_metric_than_the_accuracy_stands_behind_the_name():
    found = tables(results(["cti-vsp"], ["m"], metric=MAD, scale=10.0), 80)
    assert re.search(r"^cti-vsp, MAD +4 ", found, re.MULTILINE)


def test_answers_that_could_not_be_read_are_counted_below_the_scores():
    found = tables(results(["cti-mcq", "cti-rcm"], ["a", "b"], unread=1), 160)
    assert "\nanswers that could not be read: 2 of 8 of cti-mcq, 2 of 8 of cti-rcm (-v: of each model)\n" in found
    assert "could not be read" not in tables(results(["cti-mcq"], ["a", "b"]), 160)


LONG = ("mmlu_elementary_mathematics@fixture@100:3", "foundation-sec-8b-instruct-onnx-int8+./our-adapters")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_long_name_goes_on_behind_a_mark_and_is_whole(width):
    made = EvaluationResults()
    made.add(payload(*LONG, 0, header=header(n_expected=1), batch=BATCH), ACCURACY)
    lines = tables(list(made), width).splitlines()
    assert max(map(len, lines)) <= width
    column = "".join(re.split(r"\s{2,}", line.strip())[0] for line in lines)
    for name in LONG:
        assert name in column


def test_at_80_columns_names_are_parted_where_they_are_made_of_parts():
    made = EvaluationResults()
    made.add(payload(*LONG, 0, header=header(n_expected=1), batch=BATCH), ACCURACY)
    begins = [line.split("  ")[0] for line in tables(list(made), 80).splitlines() if line.startswith("mmlu")]
    assert begins[0] == "mmlu_elementary_mathematics@"


@given(st.text("ab模-@:/+", min_size=1), st.sampled_from(["", "  "]), st.integers(8, 40))
def test_no_character_of_a_name_is_lost(text, indent, width):
    first, *others = Name(text, indent).lines(width)
    assert all(cell_len(line) <= width for line in (first, *others))
    assert all(line.startswith(f"{indent}  ") for line in others)
    assert first[len(indent) :] + "".join(line[len(indent) + 2 :] for line in others) == text


def test_a_wide_terminal_gets_one_table(groups):
    text = tables(list(groups), 160, verbose=True)
    (line,) = [line for line in text.splitlines() if "tinysec-gptq4" in line]
    assert line.split() == ["tinysec-gptq4", "4", "4", "75.0", "%", "30.1", "..", "95.4", "%", "80", "16",
                            "1", "GiB", "7", "MiB", "0.50", "s"]  # fmt: skip


def test_a_model_has_one_line_of_costs_over_all_benchmarks_and_verbose_one_for_each():
    made = EvaluationResults()
    for label, seconds in (("cti-mcq", 0.5), ("cti-rcm", 1.5)):
        batch = {**BATCH, "timing": {**TIMING, "prefill_s": seconds, "decode_s": seconds}}
        made.add(payload(label, "phi3", 0, header=header(n_expected=1), batch=batch), ACCURACY)
    costs = tables(list(made), 80).split("load")[1]
    (line,) = [line for line in costs.splitlines() if "phi3" in line]
    assert line.split()[:3] == ["phi3", "40", "4"]  # 80 prompt tokens and 8 decoded ones in 2 seconds each
    assert tables(list(made), 80, verbose=True).split("load")[1].count("phi3") == 2


def test_markup_in_names_is_text():
    made = EvaluationResults()
    made.add(payload("[red]x[/red]", "[bold]", 0, header=header(n_expected=1)), ACCURACY)
    assert "[red]x[/red]" in tables(list(made), 160)


def test_what_is_incomplete_is_said():
    made = EvaluationResults()
    made.add(payload("part", "m", 0, header=header()), ACCURACY)
    made.add(payload("broken", "m", 0, error="no", header=header(n_expected=1)), ACCURACY)
    assert notes(list(made)) == [
        "part on m: 1 of 4 items ran; no benchmark entry is written for a part.",
        "broken on m: 1 item could not be measured: in no score.",
    ]


def test_a_deviation_is_printed_in_points():
    made = EvaluationResults()
    made.add(payload("vsp", "m", 0, header=header(n_expected=1, metric="MAD", scale=10.0)), MAD)
    assert " 1.00 " in tables(list(made), 160)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(None, "-"), (999, "999 B"), (7_300_000, "6.96 MiB"), (1_048_200_000, "0.976 GiB"), (2**40, "1 TiB")],
)
def test_sizes(n_bytes, text):
    assert size(n_bytes) == text


def test_items_that_nobody_can_answer_right_are_counted_below_the_table():
    found = EvaluationResults()
    for row in range(4):
        given = payload("seceval", "phi3", row, row == 0, **({"header": header()} if row == 0 else {}))
        given["row"]["score"]["parts"] = {"unscored": 1.0} if row > 2 else {}
        found.add(given, ACCURACY)
    assert notes(list(found)) == ["seceval on phi3: 1 item has no published answer: in no score."]


@pytest.mark.parametrize(("names", "text"), [
    (["cti-mcq"], "cti-mcq"),
    (["cti-mcq", "cti-rcm", "cti-vsp"], "cti-mcq, cti-rcm, cti-vsp"),
    (["cti-mcq", "cti-rcm", "cti-vsp", "cti-taa"], "cti-mcq, cti-rcm and 2 more (-v: all)"),
])  # fmt: skip
def test_of_many_benchmarks_that_were_not_asked_two_are_named_unless_all_are_asked_for(names, text):
    assert named(names, verbose=False) == text
    assert named(names, verbose=True) == ", ".join(names)
