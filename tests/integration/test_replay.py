"""--model=replay:PATH: recorded answers are scored in an ordinary run, and nothing that was not recorded is made up."""

import json
import os
from pathlib import Path

import pytest

DATA = os.environ.get("SLMSEC_DATA", "")
needs_data = pytest.mark.skipif(not Path(DATA, "recorded-runs").is_dir(), reason="SLMSEC_DATA names no recorded runs")

CELLS = {
    ("tinyllama", "cti-mcq"): (26, 13, 26, 13, 1, 3),
    ("phi3", "cti-mcq"): (63, 60, 12, 9, 0, 0),
    ("tinyllama", "cti-rcm"): (17, 13, 10, 6, 34, 41),
    ("phi3", "cti-rcm"): (37, 15, 26, 4, 0, 1),
    ("tinyllama", "cti-vsp"): (17, 9, 10, 2, 18, 62),
    ("phi3", "cti-vsp"): (9, 0, 9, 0, 0, 36),
}
"""Right before and after quantisation, lost and gained, unparsed before and after."""


def records(name, answers, n=30):
    """What another harness recorded for the first items of a toy benchmark."""
    return [
        {"item_id": f"index_{row}", "prompt": f"{name} {row + 1} say: {'yes' if (row + 1) % 3 else 'no'}",
         "response": text, "inference_time_sec": 0.5, "tokens_generated": 1 + len(text)}
        for row, text in enumerate(answers[:n])
    ]  # fmt: skip


@pytest.fixture
def recorded(toy):
    """Write a folder of recorded runs of the toy benchmark ``ports``."""

    def write(folder, answers, name="ports", metrics=None):
        path = toy.pytester.path / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{name}.outputs.json").write_text(json.dumps(records("ports", answers)))
        if metrics:
            (path / f"{name}.metrics.json").write_text(json.dumps(metrics))
        return path

    return write


def facts(path, metric="latency"):
    entries = json.loads(path.read_text())["benchmarks"]
    return {entry["params"]["model"]: entry["extra_info"] for entry in entries if entry["params"]["metric"] == metric}


def test_recorded_answers_are_cases_in_tables_and_files(toy, recorded):
    recorded("runs/a", ["yes", "no"] * 15)
    result = toy.run("-v", "test_ports.py", "--benchmark-json=out.json", models=("replay:runs/a",))
    assert result.parseoutcomes() == {"passed": 15, "wrong": 15}
    assert not toy.loads
    result.stdout.fnmatch_lines([
        "test_ports.py::test_ports?replay-runs-a-ports-00001? PASSED*",
        "test_ports.py::test_ports?replay-runs-a-ports-00002? WRONG*",
        "ports*", "*replay:runs/a*30*30*50.0 %*",
    ])  # fmt: skip
    (found,) = facts(toy.pytester.path / "out.json").values()
    assert (found["n_items"], found["n_correct"], found["prompt_tokens"]) == (30, 15, None)
    assert found["peak_rss_bytes"] is None
    assert found["reasons"]["peak_rss_bytes"] == "the recorded run does not say"


def test_a_part_is_a_group_of_its_own_and_not_2400_errors(toy, recorded):
    recorded("runs/a", ["yes"] * 10)
    result = toy.run("test_ports.py", models=("replay:runs/a",))
    assert result.parseoutcomes() == {"passed": 10}
    result.stdout.fnmatch_lines(["ports@10rows*"])


def test_missing_items_are_errors_and_named_in_one_sentence(toy, recorded):
    recorded("runs/a", ["yes"] * 8, metrics={"run_args": {"num_samples": 10}, "inference_metrics": {}})
    result = toy.run("test_ports.py", models=("replay:runs/a",))
    assert result.parseoutcomes() == {"passed": 8, "failed": 2}
    text = " ".join(result.stdout.str().split())
    assert "ports@10rows on replay:runs/a: 2 items have no recorded answer (ports-00009, ports-00010)." in text
    assert "2 items could not be measured: in no score" in text


def test_a_recorded_error_is_an_error_of_its_item(toy, recorded):
    recorded("runs/a", ["yes", "Generation Error: out of memory", "yes"])
    result = toy.run("test_ports.py", models=("replay:runs/a",))
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(["*ports-00002: recorded as an error: 'Generation Error: out of memory'*"])


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([], "*ports.outputs.json holds no answers: there is nothing to score; record the run again."),
        (["Generation Error: no"] * 3, "*ports.outputs.json: all 3 answers are errors and no answers (record 1 *"),
    ],
)
def test_a_run_without_answers_is_red_and_has_no_score(toy, recorded, answers, sentence):
    recorded("runs/a", answers)
    result = toy.run("test_ports.py", models=("replay:runs/a",))
    assert result.ret == 2
    result.stdout.fnmatch_lines([sentence])
    result.stdout.no_fnmatch_line("*slmsec results*")


def test_two_items_with_one_prompt_keep_an_answer_each(toy):
    path = toy.pytester.path / "test_ports.py"
    path.write_text(path.read_text().replace("ports {n} say:", "ports say:"))
    lines = [{"item_id": f"index_{row}", "prompt": f"ports say: {'yes' if (row + 1) % 3 else 'no'}",
              "response": "yes" if row < 2 else "no", "tokens_generated": 1} for row in range(4)]  # fmt: skip
    (toy.pytester.path / "ports.outputs.json").write_text(json.dumps(lines))
    result = toy.run("test_ports.py", models=("replay:ports.outputs.json",))
    assert result.parseoutcomes() == {"passed": 2, "wrong": 2}


def test_a_transcript_replays_to_the_same_scores(toy):
    toy.run("test_ports.py", "--slmsec-transcript=run.jsonl", "--benchmark-json=live.json", models=("alpha",))
    toy.run("test_ports.py", "--benchmark-json=again.json", models=("replay:run.jsonl",))
    live, again = (toy.pytester.path / name for name in ("live.json", "again.json"))
    (before,), (after,) = facts(live).values(), facts(again).values()
    assert not toy.loads
    for key in ("score", "correct_bits", "items_sha256", "decoding", "prompt_tokens", "new_tokens", "scorer"):
        assert before[key] == after[key], key
    toy.run("test_ports.py", "--benchmark-json=third.json", models=("replay:live.json",))
    (third,) = facts(toy.pytester.path / "third.json", "error_rate").values()
    assert (third["correct_bits"], third["items_sha256"]) == (before["correct_bits"], before["items_sha256"])


def test_one_of_several_models_is_chosen_by_name(toy):
    toy.run("test_ports.py", "--slmsec-transcript=run.jsonl")
    result = toy.run("test_ports.py", models=("replay:run.jsonl",))
    result.stdout.fnmatch_lines(["*run.jsonl holds 2 models (alpha, beta): choose one, for example *run.jsonl::alpha."])
    result = toy.run("test_ports.py", models=("replay:run.jsonl::beta",))
    assert result.parseoutcomes() == {"passed": 20, "wrong": 10}
    result.stdout.fnmatch_lines(["*replay:beta*"])


def test_the_gate_judges_one_recorded_run_against_another(toy, recorded):
    recorded("runs/bare", ["yes"] * 30)
    recorded("runs/gptq4", ["yes"] * 3 + ["no"] * 27)
    models = ("replay:runs/bare", "replay:runs/gptq4")
    for name in ("live:replay:runs/bare", f"live:{models[0]}"):
        result = toy.run("test_ports.py", f"--slmsec-baseline={name}", models=models)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["candidate: replay:runs/gptq4 (this run)", "base: *replay:runs/bare (this run)",
                                     "SUITE: FAIL (replay:runs/gptq4 against replay:runs/bare)"])  # fmt: skip


def test_rows_of_other_items_are_refused_at_collection(toy, recorded):
    path = recorded("runs/a", ["yes"] * 5) / "ports.outputs.json"
    lines = json.loads(path.read_text())
    for row in lines:
        row["prompt"] = lines[0]["prompt"]
    path.write_text(json.dumps(lines))
    result = toy.run("test_ports.py", models=("replay:runs/a",))
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*4 prompts are not those of the items (record 2 (index_1), record 3 (index_2), *"])


@pytest.mark.parametrize("more", [(), ("-n1",)])
def test_answers_that_no_test_asks_for_are_a_mistake(toy, recorded, more):
    if more:
        pytest.importorskip("xdist")
    recorded("runs/a", ["yes"] * 3, name="prots")
    result = toy.run("test_ports.py", *more, models=("replay:runs/a",), subprocess=bool(more))
    assert result.ret == 4
    text = result.stdout.str() + result.stderr.str()
    assert "--model=replay:runs/a holds answers to prots, and no selected test asks for them" in text


def test_workers_find_the_same_answers(toy, recorded):
    pytest.importorskip("xdist")
    recorded("runs/a", ["yes"] * 10)
    result = toy.run("-n2", "test_ports.py", models=("replay:runs/a",), subprocess=True)
    assert result.parseoutcomes()["passed"] == 10


def test_nothing_can_be_measured_beside_recorded_answers(toy):
    toy.run("test_ports.py", "--slmsec-transcript=runs/a.jsonl", models=("alpha",))
    (toy.pytester.path / "pyproject.toml").write_text("[tool.slmsec.gate.throughput]\nrounds = 10\n")
    result = toy.run("test_ports.py", "--slmsec-baseline=live:alpha", models=("alpha", "replay:runs/a.jsonl"))
    text = " ".join(result.stdout.str().split())
    assert "replay:runs/a.jsonl holds recorded answers: nothing can be measured beside another model" in text


def correct(path):
    """Right and parsed flags of the one group in a file, by model."""
    section = json.loads(path.read_text())["slmsec"]["groups"]
    return {group["model"]: (group["items"]["correct"], group["items"]["parsed"]) for group in section}


@needs_data
@pytest.mark.parametrize(("model", "task"), CELLS)
def test_the_recorded_table(pytester, pytestconfig, model, task):
    suite = pytestconfig.rootpath / "benchmarks" / "test_ctibench.py"
    runs = [f"--model=replay:{DATA}/recorded-runs/{model}/{run}/{task}.outputs.json" for run in ("bare", "gptq4")]
    name = task.replace("-", "_")
    result = pytester.runpytest_inprocess("-p", "no:randomly", f"{suite}::test_{name}", f"--slmsec-data={DATA}", *runs,
                                          "--benchmark-json=out.json", f"--rootdir={pytester.path}")  # fmt: skip
    assert result.ret == 0
    (bare, bare_parsed), (quantised, parsed) = correct(pytester.path / "out.json").values()
    pairs = list(zip(bare, quantised, strict=True))
    assert len(pairs) == 100
    lost, gained = pairs.count((True, False)), pairs.count((False, True))
    found = (sum(bare), sum(quantised), lost, gained, bare_parsed.count(False), parsed.count(False))
    assert found == CELLS[model, task]


@needs_data
def test_the_padding_of_a_recorded_run_is_no_speed(pytester, pytestconfig):
    suite = pytestconfig.rootpath / "benchmarks" / "test_ctibench.py"
    runs = [f"--model=replay:{DATA}/recorded-runs/phi3/{run}" for run in ("bare", "gptq4")]
    pytester.runpytest_inprocess("-p", "no:randomly", f"{suite}::test_cti_rcm", f"--slmsec-data={DATA}", *runs,
                                 "--benchmark-json=out.json", f"--rootdir={pytester.path}")  # fmt: skip
    bare, padded = facts(pytester.path / "out.json").values()
    assert bare["decode_tokens_per_s"] == pytest.approx(32.3, abs=0.1)
    assert padded["decode_tokens_per_s"] is padded["peak_gpu_bytes"] is None
    assert "padding was counted as tokens" in padded["reasons"]["decode_tokens_per_s"]
