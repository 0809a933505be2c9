"""Every number of the page is one of the record or of `slmsec compare --json`, over random runs."""

import re
from collections import Counter
from statistics import fmean

import numpy as np
import pytest
from benchmark_runs import content, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from reportpages import parsed, report_of, tables, unpacked

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.result import TIME
from pytest_slmsec.reports.page.document import Wanted, page

METRICS = {
    "accuracy": ({}, [0.0, 1.0], 1.0),
    "F1": ({"metric": "F1", "binary": False}, [0.0, 0.25, 0.6, 1.0], 1.0),
    "MAD": ({"metric": "MAD", "binary": False, "higher_is_better": False, "scale": 10.0}, [0.0, 0.3, 2.5, 9.0], 0.0),
}
"""By name: facts, values that an item may have, and the value that is right."""
maybe = st.none() | st.floats(0.5, 500)
GIB = 2**30


@st.composite
def benchmark_of(draw, name, models):
    """Facts and columns of each model on one benchmark: generated, chosen by an encoder, whole or stopped early."""
    metric, n, stopped = draw(st.sampled_from(list(METRICS))), draw(st.integers(1, 15)), draw(st.booleans())
    facts_of_metric, values, best = METRICS[metric]
    encoder = metric == "accuracy" and draw(st.booleans())
    categories = [draw(st.sampled_from(["a", "b", None])) for _ in range(n)]
    found = []
    for number in range(models):
        scores = [draw(st.sampled_from(values)) for _ in range(n)]
        right = "".join("01"[score == best] for score in scores)
        quant = f"q{number}" if number else None
        facts, group = plain(right, benchmark=name, model=f"m-{quant}" if quant else "m", base="m", quant=quant,
                             by_choice=encoder, **facts_of_metric)  # fmt: skip
        items = group["items"]
        items |= {"value": scores, "category": categories}
        low = draw(st.none() | st.just(min(scores)))
        facts |= {"score": fmean(scores), "score_low": low, "score_high": max(scores),
                  "decode_tokens_per_s": None if encoder else draw(maybe), "prefill_tokens_per_s": draw(maybe),
                  "energy_j": draw(maybe), "peak_gpu_bytes": draw(st.none() | st.just(GIB // 2))}  # fmt: skip
        if encoder:
            items |= {"choice_scores": [[0.0, -1.0]] * n, "text": [None] * n, "new_tokens": [None] * n}
            facts["new_tokens"] = None
        if stopped:
            order = list(range(n + 5))
            facts["early_stop"] = {"method": "anytime", "seed": 0, "order": order, "looks": [n, n + 5]}
        group["batches"] = {"items": [n], "peak_rss_bytes": draw(st.lists(st.integers(GIB, 2 * GIB), max_size=4))}
        found.append((facts, group, stopped, draw(st.lists(st.floats(1e-4, 100), max_size=6))))
    return found


@st.composite
def records(draw):
    """The content of a file with one to three models on one or two benchmarks, and every run in it."""
    models = draw(st.integers(1, 3))
    names = ["cti-mcq", "cti-rcm"][: draw(st.integers(1, 2))]
    runs = [run for name in names for run in draw(benchmark_of(name, models))]
    made = content(*((facts, group) for facts, group, stopped, _ in runs if not stopped))
    whole = [seconds for _, _, stopped, seconds in runs if not stopped]
    for entry, seconds in zip(made["benchmarks"], whole, strict=True):
        entry["stats"] = {"data": seconds}
    made["slmsec"]["stopped"] = [{**group, "facts": facts} for facts, group, stopped, _ in runs if stopped]
    return made, {(group["benchmark"], group["model"]): (facts, group, [] if stopped else seconds)
                  for facts, group, stopped, seconds in runs}  # fmt: skip


@settings(max_examples=25)
@given(records())
def test_every_number_is_that_of_the_record_or_of_the_comparison(made):
    found, runs = made
    report = report_of(found)
    root = parsed(page(report, Wanted()))
    shown, index = tables(root), unpacked(root, "index")
    check_scores(shown["Scores of all models"][1:], runs)
    check_costs(shown["What each benchmark costs"][1:], runs)
    check_categories(shown, runs)
    check_quartiles(shown.get("Seconds of an item", [None])[1:], {key: run[2] for key, run in runs.items()}, seconds)
    memory = {key: group["batches"]["peak_rss_bytes"] for key, (_, group, _) in runs.items()}
    check_quartiles(shown.get("Peak of memory of a batch", [None])[1:], memory, size)
    for (benchmark, model), (facts, _, _) in runs.items():
        at = [n for n, b in enumerate(index["benchmark"]) if index["benchmarks"][b] == benchmark]
        assert "".join(index["right"][index["models"].index(model)][n] for n in at) == facts["correct_bits"]
    assert len(report.judgements) == len({model for _, model in runs}) - 1
    for judgement in report.judgements:
        check_gates(shown[f"Gates of {judgement.candidate}"][1:], judgement.to_json())
        check_changes(shown["Items that score otherwise"][1:], index, judgement, runs)
        assert f"{judgement.to_json()['verdict']} {judgement.candidate}" in root.text


def number(value, scale=1.0):
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if scale == 1 else f"{value:.2f}"


def seconds(value):
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def size(value):
    return f"{value / GIB:.3g} GiB" if value >= 999.5 * 2**20 else f"{value / 2**20:.3g} MiB"


def check_scores(rows, runs):
    assert len(rows) == len(runs)
    for benchmark, model, metric, score, interval, n, _ in rows:
        facts = runs[benchmark, model][0]
        ends = [facts["score_low"], facts["score_high"]]
        assert (metric, score, n) == (facts["metric"], number(facts["score"], facts["scale"]), str(facts["n_expected"]))
        assert interval == ("-" if None in ends else " .. ".join(number(end, facts["scale"]) for end in ends))


def check_costs(rows, runs):
    assert len(rows) == len(runs)
    for benchmark, model, prefill, decode, _, peak, energy in rows:
        facts = runs[benchmark, model][0]
        speeds = [facts["prefill_tokens_per_s"], facts["decode_tokens_per_s"]]
        assert [prefill, decode] == ["-" if speed is None else f"{speed:,.1f}" for speed in speeds]
        assert energy == ("-" if facts["energy_j"] is None else f"{facts['energy_j']:,.0f} J")
        assert peak == ("1 GiB" if facts["peak_gpu_bytes"] is None else "512 MiB")


def check_categories(shown, runs):
    for (benchmark, model), (facts, group, _) in runs.items():
        names, values = group["items"]["category"], group["items"]["value"]
        for name in {name for name in names if name is not None}:
            of_it = [value for its, value in zip(names, values, strict=True) if its == name]
            headings, *rows = shown[f"{benchmark} by category"]
            cell = next(row for row in rows if row[0] == name)[headings.index(model)]
            assert cell == f"{number(fmean(of_it), facts['scale'])} ({len(of_it)})"


def check_quartiles(rows, values, written):
    assert len(rows) == sum(bool(those) for those in values.values())
    for benchmark, model, *quartiles in rows:
        wanted = np.percentile(values[benchmark, model], [0, 25, 50, 75, 100])
        assert list(map(read, quartiles)) == pytest.approx([read(written(value)) for value in wanted], rel=2e-2)


def read(text):
    """A number with its unit."""
    value, unit = text.split()
    return float(value) * {"s": 1, "ms": 1e-3, "GiB": 2**10, "MiB": 1}[unit]


def check_gates(rows, judgement):
    """The table of gates holds the numbers of the JSON, each to the digits that are shown."""
    assert len(rows) == len(judgement["gates"])
    for (benchmark, _, *_, changes, drop, bounds, limit, _), gate in zip(rows, judgement["gates"], strict=True):
        assert benchmark == (gate["benchmark"] or "the whole model")
        if gate["unit"] == TIME or gate["estimate"] is None:
            continue
        factor = 100 if gate["unit"] in ("points", "%") else 1
        for text, key in ((drop, "estimate"), (limit, "margin")):
            (said,) = map(float, re.findall(r"-?\d+\.?\d*", text)) if re.search(r"\d", text) else (None,)
            if said is not None:
                assert said == pytest.approx(factor * gate[key], abs=0.051)
        known = [factor * gate[key] for key in ("lower", "upper") if gate[key] is not None]
        if bounds and len(known) == 2:
            assert list(map(float, re.findall(r"-?\d+\.\d+", bounds))) == pytest.approx(known, abs=0.051)
        if "lost" in gate["details"]:
            assert changes == f"{gate['details']['lost']}/{gate['details']['gained']}"


def check_changes(rows, index, judgement, runs):
    """The counts of what changed are those of the answers, in the table and in the list of items."""
    letters = Counter(index["changes"][[index["models"][c] for _, c in index["candidates"]].index(judgement.candidate)])
    total = Counter()
    for candidate, benchmark, n, lost, won, _, _ in rows:
        if candidate == judgement.candidate:
            before, after = (runs[benchmark, model][0]["correct_bits"] for model in (judgement.base, candidate))
            pairs = Counter(zip(before, after, strict=True))
            assert (int(n), int(lost), int(won)) == (len(before), pairs["1", "0"], pairs["0", "1"])
            total += Counter(l=int(lost), g=int(won))
    assert (letters["l"], letters["g"]) == (total["l"], total["g"])


def test_a_run_without_items_is_refused_in_a_sentence():
    with pytest.raises(CompareError, match="cti-mcq on phi3 has no items: there is nothing to compare"):
        report_of(content(plain("")))
