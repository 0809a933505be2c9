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


@pytest.fixture
def hub_base(run, monkeypatch):
    """The base among the hub's downloads, by the name org/tiny; its adapter names another hub id, as Unsloth's do."""
    commit = "1" * 40
    folder = Path("hub/models--org--tiny").absolute()
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    shutil.copytree("m/tiny", folder / "snapshots" / commit)
    for module in ("huggingface_hub.constants", "huggingface_hub._snapshot_download.constants"):
        monkeypatch.setattr(f"{module}.HF_HUB_CACHE", str(folder.parent))
    config = json.loads(Path("m/tuned/adapter_config.json").read_text())
    Path("m/tuned/adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "unsloth/tiny-bnb-4bit"})
    )
    return "--model=hf:org/tiny+m/tuned"


def test_a_base_of_another_name_is_refused_until_the_user_says_that_it_is_the_same(run, hub_base):
    refused, _ = run(hub_base)
    assert refused.parseoutcomes()["errors"] == 1
    refused.stdout.fnmatch_lines(["*is an adapter for unsloth/tiny-bnb-4bit, not for org/tiny*"])
    asked, path = run(hub_base, "--slmsec-adapter-base=same")
    assert n_measured(asked) == 40
    facts = infos(path)["hf:org/tiny+m/tuned"]["engine"]["extra"]["adapter"]
    assert (facts["made_for"], facts["base_said_to_be_the_same"]) == ("unsloth/tiny-bnb-4bit", True)
