"""--model=BASE+ADAPTER and --slmsec-adapter: how an adapter is named, computed, shown and recorded."""

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from ports import suite
from tinymodel import build_tiny_llama
from transformers import AutoModelForCausalLM


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    model = AutoModelForCausalLM.from_pretrained(build_tiny_llama(home / "tiny"))
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    peft.get_peft_model(model, config).save_pretrained(home / "tuned")
    return home


@pytest.fixture
def run(pytester, monkeypatch, folders, tmp_path):
    monkeypatch.chdir(pytester.path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path / "cache"))
    shutil.copytree(folders, pytester.path / "m")
    pytester.makepyfile(test_ports=suite(40))

    def inner(*args):
        result = pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "--slmsec-sentinels=off", "--benchmark-json=run.json", *args
        )
        return result, pytester.path / "run.json"

    return inner


def infos(path):
    entries = json.loads(path.read_text())["benchmarks"]
    return {entry["params"]["model"]: entry["extra_info"] for entry in entries if "engine" in entry["extra_info"]}


def n_measured(result):
    counts = result.parseoutcomes()
    return counts.get("passed", 0) + counts.get("wrong", 0)


@pytest.mark.parametrize("mode", ["live", "merged"])
def test_an_adapter_is_measured_and_judged_against_its_base(run, mode):
    result, path = run("--model=m/tiny", "--model=m/tiny+m/tuned", f"--slmsec-adapter={mode}")
    assert n_measured(result) == 80
    result.stdout.fnmatch_lines(["candidate: m/tiny+m/tuned (this run)", "base:      m/tiny (this run)"])
    found = infos(path)
    base, tuned = found["m/tiny"], found["m/tiny+m/tuned"]
    assert (tuned["adapter"], base["adapter"]) == ("m/tuned", None)
    facts = tuned["engine"]["extra"]["adapter"]
    assert (facts["mode"], facts["base_sha256"]) == (mode, base["engine"]["weights_sha256"])


def test_ids_name_the_last_folders(run):
    result, _ = run("--model=m/tiny+m/tuned", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*test_ports[[]tiny+tuned-ports-00001]*"])


def test_an_adapter_that_does_not_fit_is_one_error_and_the_other_models_go_on(run):
    build_tiny_llama(Path("m/other"), hidden=32)
    result, _ = run("--model=m/other+m/tuned", "--model=m/tiny")
    counts = result.parseoutcomes()
    assert (counts["errors"], counts["skipped"], n_measured(result)) == (1, 39, 40)
    result.stdout.fnmatch_lines(["*is an adapter for the model in */tiny, whose weights are not those in m/other: *"])


def test_another_mode_is_refused(run):
    result, _ = run("--model=m/tiny", "--slmsec-adapter=baked")
    result.stderr.fnmatch_lines(["*--slmsec-adapter*invalid choice*baked*"])
