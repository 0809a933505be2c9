"""Confidence, categories, times and history on the page."""

from benchmark_runs import content, plain
from reportpages import page_of, parsed, report_of, tables, two_models

from pytest_slmsec.reports.page.boxes import Box
from pytest_slmsec.reports.page.categories import Cell, shade
from pytest_slmsec.reports.page.cost import PANELS, front
from pytest_slmsec.reports.page.history import courses
from pytest_slmsec.reports.page.latency import seconds


def with_categories():
    facts, group = plain("1" * 12 + "0" * 3)
    group["items"]["category"] = ["DNS"] * 12 + ["<b>"] * 2 + [None]
    return content((facts, group))


def test_a_category_has_its_mean_and_number_of_items():
    root = parsed(page_of(with_categories()))
    assert tables(root)["cti-mcq by category"] == [["category", "phi3"], ["DNS", "100.0 % (12)"], ["<b>", "0.0 % (2)"]]
    links = {one.text: one.attributes for one in root.all("a")}
    assert links["0.0 % (2)"] == {"href": "#b=cti-mcq&c=%3Cb%3E", "class": "few"}
    assert links["100.0 % (12)"]["class"] == "heat4"


def test_shades():
    assert [shade(Cell(10, 0), share) for share in (0, 0.19, 0.5, 0.99, 1, -0.1)] == [
        "heat0", "heat0", "heat2", "heat4", "heat4", "heat0"]  # fmt: skip


def test_times_have_quartiles_from_all_seconds_or_from_stored_ones():
    found = two_models()
    found["benchmarks"][0]["stats"] = {"data": [1.0, 2.0, 3.0, 4.0, 5.0]}
    found["benchmarks"][1]["stats"] = {"min": 1, "q1": 2, "median": 3, "q3": 4, "max": 9}
    assert seconds(report_of(found)) == [
        Box("cti-mcq", "phi3", 1, 2, 3, 4, 5), Box("cti-mcq", "phi3-gptq4", 1, 2, 3, 4, 9)]  # fmt: skip
    assert tables(parsed(page_of(found)))["Seconds of an item"][1] == [
        "cti-mcq",
        "phi3",
        "1 s",
        "2 s",
        "3 s",
        "4 s",
        "5 s",
    ]


def test_the_memory_of_each_batch_is_that_of_the_gpu_where_there_is_one():
    found = two_models()
    resident, graphics = [2**30, 2**31, 2**30], [2**20, None, 3 * 2**20]
    for group, on_gpu in zip(found["slmsec"]["groups"], ([None] * 3, graphics), strict=True):
        group["batches"] = {"items": [40] * 3, "peak_rss_bytes": resident, "peak_gpu_bytes": on_gpu}
    rows = tables(parsed(page_of(found)))["Peak of memory of a batch"]
    assert rows[1:] == [
        ["cti-mcq", "phi3", "1 GiB", "1 GiB", "1 GiB", "1.5 GiB", "2 GiB"],
        ["cti-mcq", "phi3-gptq4", "1 MiB", "1.5 MiB", "2 MiB", "2.5 MiB", "3 MiB"],
    ]


def test_damaged_batches_are_left_out():
    for damaged in (3, [], {"peak_rss_bytes": 3}, {"peak_rss_bytes": ["x", None]}):
        found = two_models()
        found["slmsec"]["groups"][0]["batches"] = damaged
        assert "The memory of each batch is not recorded" in parsed(page_of(found)).text


def test_the_history_has_every_run_and_the_limit_of_the_gate():
    old, new = two_models(after="1110" * 30), two_models()
    old["datetime"], new["datetime"] = "2026-01-01T10:00:00", "2026-02-01T10:00:00"
    new["commit_info"] = {"id": "abcdef0123456789", "dirty": True}
    base, candidate = courses(report_of(new, old))
    assert (base.limit, candidate.limit) == (None, 0.75 - 0.02)
    rows = tables(parsed(page_of(new, old)))["Scores over runs"]
    assert rows[3][:5] == ["cti-mcq", "phi3-gptq4", "2026-01-01 10:00", "-", "75.0 %"]
    assert rows[4][:5] == ["cti-mcq", "phi3-gptq4", "2026-02-01 10:00", "abcdef012345 (changed)", "62.5 %"]


def test_what_was_not_recorded_is_said():
    said = parsed(page_of(two_models())).text
    for sentence in ("No times are recorded.", "The memory of each batch is not recorded", "how sure it was",
                     "The KL divergence of each item is not recorded:", "Each model has one run here."):  # fmt: skip
        assert sentence in said


def test_the_front_holds_what_no_other_model_beats():
    size, _, speed = PANELS
    rows = [{"model": name, "mean": mean, "model_bytes": cost, "decode_tokens_per_s": cost}
            for name, mean, cost in (("a", 0.5, 1), ("b", 0.4, 2), ("c", 0.9, 3), ("d", 0.9, 4))]  # fmt: skip
    assert [row["model"] for row in front(rows, size)] == ["a", "c"]
    assert [row["model"] for row in front(rows, speed)] == ["d"]
