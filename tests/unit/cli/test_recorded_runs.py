"""Answers that another harness recorded: damage is named, and a padded token count is no speed."""

import json
import os
from pathlib import Path

import pytest

from pytest_slmsec.cli.compare import compare
from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.core.errors import CompareError, ReplayError, UsageError
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import Verdict

DATA = os.environ.get("SLMSEC_DATA")
OPTIONS = "\t".join(f"Option {letter}" for letter in "ABCD")
PASS, FAIL, INCONCLUSIVE, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR


def question(row):
    return f"Question {row}: what opens port {row}?"


def rows(answers, tokens=3):
    counts = [tokens] * len(answers) if isinstance(tokens, int) else tokens
    return [
        {"item_id": f"index_{row}", "prompt": question(row), "response": text, "inference_time_sec": 0.1,
         "tokens_generated": count}
        for row, (text, count) in enumerate(zip(answers, counts, strict=True))
    ]  # fmt: skip


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    table = [f"Prompt\tGT\t{OPTIONS}"] + [f"{question(row)}\tA\tw\tx\ty\tz" for row in range(8)]
    (folder / "cti-mcq.tsv").write_text("\n".join(table) + "\n")
    return str(folder)


def write(tmp_path, records, batch_size=None, **measured):
    path = tmp_path / "phi3" / "gptq4" / "cti-mcq.outputs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records))
    metrics = {
        "run_args": {"model_path": "/models/Phi-3", "max_new_tokens": 512, "batch_size": batch_size},
        "inference_metrics": {"total_generate_time_sec": 2.0, "pytorch_vram_peak_inference_mb": 100.0, **measured},
    }
    path.with_name("cti-mcq.metrics.json").write_text(json.dumps(metrics))
    return path


def test_texts_are_scored_strictly_against_the_published_gold(tmp_path, published):
    path = write(tmp_path, rows(["A", "The answer is (B).", "no idea"], [3, 7, 2]))
    (run,) = read_recorded(path.parent, published)
    assert (run.name, run.n) == ("cti-mcq@8rows@3rows on Phi-3", 3)
    assert list(run.columns["extracted"]) == ["A", "B", None]
    assert list(run.flags("parsed")) == [True, True, False]
    assert run.facts["decode_tokens_per_s"] == 6.0
    assert run.facts["peak_gpu_bytes"] == 100 * 2**20
    assert run.facts["decoding"] == {"max_new_tokens": 512}


def test_the_order_of_the_records_does_not_matter(tmp_path, published):
    straight = read_recorded(write(tmp_path, rows(["A", "B", "C"])), published)
    turned = read_recorded(write(tmp_path, rows(["A", "B", "C"])[::-1]), published)
    assert straight[0].columns == turned[0].columns


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "holds no answers"),
        ({"a": 1}, "holds no answers"),
        (rows(["Generation Error: no attribute"] * 3), "all 3 answers are errors and no answers (record 1 (index_0)"),
        (rows(["A", "Generation Error: x"]), "1 of 2 answers are errors and no answers (cti-mcq-00002; "),
        (rows(["A", "B"]) + rows(["A"]), "1 items occur twice (cti-mcq-00001)"),
        (rows(["A", "B", "C", "D"])[::3], "2 items are missing (cti-mcq-00002, cti-mcq-00003)"),
        ([{**rows(["A"])[0], "item_id": "zero", "prompt": ""}], "record 1: the item id 'zero' is not of the form"),
        ([{**rows(["A"])[0], "response": None}], "record 1: 'response' is None, not str"),
        ([{"item_id": "index_0"}], "record 1: 'response' is missing"),
        ([{**rows(["A"])[0], "tokens_generated": True}], "record 1: 'tokens_generated' is True, not int"),
        ([7], "record 1: 7 is no JSON object"),
        ([{**rows(["A"])[0], "prompt": "Another?"}], "1 prompts are not those of the items (record 1 (index_0))"),
        (rows(["A"] * 9), "record 9 (index_8): cti-mcq has 8 items and no row 9 here"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path, published, records, message):
    with pytest.raises((CompareError, ReplayError)) as caught:
        read_recorded(write(tmp_path, records), published)
    assert message in str(caught.value)
    assert "cti-mcq.outputs.json" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"item_id": "index_0"', "no valid JSON, or cut off"),
        (b'[{"item_id": NaN}]', "NaN is not a number that JSON knows"),
        (b"\xff\xfe", "line 1: not UTF-8"),
        (b"[" * 100_000, "no valid JSON, or cut off"),
    ],
)
def test_what_is_no_json_is_named(tmp_path, published, content, message):
    path = write(tmp_path, rows(["A"]))
    path.write_bytes(content)
    with pytest.raises(ReplayError, match=message):
        read_recorded(path, published)


def test_a_run_that_was_to_ask_more_lacks_items(tmp_path, published):
    path = write(tmp_path, rows(["A", "B"]))
    path.with_name("cti-mcq.metrics.json").write_text('{"run_args": {"num_samples": 4}, "inference_metrics": {}}')
    with pytest.raises(CompareError, match=r"2 items are missing \(cti-mcq-00003, cti-mcq-00004\)"):
        read_recorded(path, published)


def test_an_unknown_benchmark_is_named_with_a_near_match(tmp_path, published):
    path = write(tmp_path, rows(["A"]))
    path = path.rename(path.with_name("cti-mqc.outputs.json"))
    with pytest.raises(UsageError, match="no benchmark 'cti-mqc'; did you mean cti-mcq"):
        read_recorded(path, published)


def test_without_the_published_file_nothing_can_be_scored(tmp_path):
    with pytest.raises(CompareError, match="scored with the published items: name the folder of the"):
        read_recorded(write(tmp_path, rows(["A"])), None)


def test_counts_of_the_padded_batch_are_no_speed_and_its_peak_no_memory(tmp_path, published):
    (padded,) = read_recorded(write(tmp_path, rows(["A"] * 4, [7, 7, 9, 9]), batch_size=2), published)
    assert padded.facts["decode_tokens_per_s"] is None
    assert padded.facts["peak_gpu_bytes"] is None
    for key in ("decode_tokens_per_s", "peak_gpu_bytes"):
        assert "padding was counted as tokens" in padded.facts["reasons"][key]
    (counted,) = read_recorded(write(tmp_path, rows(["A"] * 4, [7, 6, 9, 9]), batch_size=2), published)
    assert counted.facts["decode_tokens_per_s"] == 15.5
    assert counted.facts["peak_gpu_bytes"] == 100 * 2**20


@pytest.fixture
def two_forms(tmp_path):
    """The same answers to our own items: as a transcript, and as one of another wording with a wrong answer."""
    from pytest_slmsec.core.identity import item_key
    from pytest_slmsec.tasks.registry import find_task
    from pytest_slmsec.tasks.sources import find

    items = find(find_task("cti-mcq"), "fixture", True).items
    common = {"group": "cti-mcq@fixture", "model": "phi3", "error": None, "score": None, "hit_limit": False}
    for name, text in (("a", "{}"), ("b", "The answer is {}.")):
        lines = [{**common, "item": i.id, "gold": i.gold, "text": text.format(i.gold), "prompt": i.prompt,
                  "item_sha256": item_key(i)} for i in items]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "cti-mcq-responses.tsv").write_text("GT\tphi3\n" + "".join(f"{i.gold}\t{i.gold}\n" for i in items))
    return tmp_path


def test_any_two_forms_can_be_named_and_a_difference_is_an_error(two_forms, capsys, monkeypatch):
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    assert compare("a.jsonl", "b.jsonl", two_forms) in (0, 2)
    assert "SUITE: " in capsys.readouterr().out
    data = str(fixtures_dir() / "data")
    assert compare("a.jsonl", "cti-mcq-responses.tsv", two_forms, data=data) == 3
    assert compare("cti-mcq-responses.tsv", "cti-mcq-responses.tsv", two_forms, data=data) in (0, 2)


needs_data = pytest.mark.skipif(not DATA, reason="SLMSEC_DATA does not name the published files")


def real(model, run, task):
    return read_recorded(Path(DATA, "recorded-runs", model, run, f"{task}.outputs.json"), DATA)


@needs_data
@pytest.mark.parametrize(
    ("model", "task", "verdict", "gates"),
    [
        ("phi3", "cti-mcq", INCONCLUSIVE, {"accuracy": INCONCLUSIVE}),
        ("phi3", "cti-rcm", FAIL, {"accuracy": FAIL, "parse rate": INCONCLUSIVE}),
        ("phi3", "cti-vsp", FAIL, {"MAD": FAIL, "parse rate": FAIL}),
        ("tinyllama", "cti-mcq", FAIL, {"accuracy": FAIL, "answers": FAIL}),
        ("tinyllama", "cti-rcm", INCONCLUSIVE, {"accuracy": INCONCLUSIVE, "parse rate": INCONCLUSIVE}),
        ("tinyllama", "cti-vsp", FAIL, {"MAD": FAIL, "parse rate": FAIL}),
    ],
)
def test_verdicts_on_recorded_quantisations(model, task, verdict, gates):
    from datetime import date

    found = judge(real(model, "bare", task), real(model, "gptq4", task), read_config({}, "[gate]"), date.today())
    assert found.verdict is verdict
    measured = {gate.what: gate.result.verdict for gate in found.gates}
    assert gates.items() <= measured.items()
    if model == "phi3":  # batch 1 against 32
        assert measured["tokens/s"] is measured["peak memory"] is ERROR


@needs_data
@pytest.mark.parametrize(
    ("model", "task", "lower", "upper"), [("phi3", "cti-rcm", 13.7, 30.5), ("tinyllama", "cti-mcq", 2.75, 23.0)]
)
def test_bounds_on_recorded_quantisations(model, task, lower, upper):
    from datetime import date

    found = judge(real(model, "bare", task), real(model, "gptq4", task), read_config({}, "[gate]"), date.today())
    result = found.gates[0].result
    assert (100 * result.lower, 100 * result.upper) == (pytest.approx(lower, abs=0.05), pytest.approx(upper, abs=0.05))


@needs_data
@pytest.mark.parametrize("run", ["phi3/gptq4-allerrors", "electra/bare-empty"])
def test_a_run_without_answers_is_an_error(run, tmp_path, capsys):
    folder = Path(DATA, "recorded-runs")
    assert compare(str(folder / "phi3/bare/cti-mcq.outputs.json"), str(folder / run), tmp_path, data=DATA) == 3
    assert "slmsec: error:" in capsys.readouterr().err
