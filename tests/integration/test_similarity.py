"""``--slmsec-similarity-model``: semantic similarity beside ROUGE-L, or why there is none."""

import json

import pytest
from tinysentences import build_tiny_sentences

SUITE = """
from functools import partial

import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.metrics import ROUGE_L_V2
from pytest_slmsec.scoring.rouge_l import score_text
from pytest_slmsec.scoring.similarity import text_passages

GOLDS = ["the worm spreads by mail.", "patch the server."]
ITEMS = [
    Item(f"sum-{n}", f"{n} say:the worm spreads by mail.", GOLDS[n % 2]) for n in range(4)
] + [Item("sum-empty", "say nothing", "patch the server.")]
TASK = Task("sums", partial(score_text, language="en"), ROUGE_L_V2, ITEMS, max_new_tokens=8,
            passages=partial(text_passages, language="en"))

@pytest.mark.slmsec(TASK)
def test_sums(answer):
    assert answer.score is not None
"""

GENERATION = """
import pytest

@pytest.mark.slmsec("sevenllm-gen-en")
def test_generation(answer):
    assert answer.score is not None
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_sentences(tmp_path_factory.mktemp("sentences") / "tiny")


@pytest.fixture
def sums(toy):
    toy.pytester.makepyfile(test_sums=SUITE)
    return lambda *args: toy.run("test_sums.py", "--benchmark-json=out.json", *args, models=("alpha",))


def stored(toy):
    content = json.loads((toy.pytester.path / "out.json").read_text())
    info = next(e["extra_info"] for e in content["benchmarks"] if e["name"] == "sums:latency[alpha]")
    return info, content["slmsec"]["groups"][0]["items"]


def test_it_is_measured_for_every_answer_and_its_model_is_on_record(toy, sums, model):
    result = sums(f"--slmsec-similarity-model={model}")
    assert result.ret == 0
    info, items = stored(toy)
    found = [parts["similarity"] for parts in items["parts"]]
    assert found[0] == found[2] == pytest.approx(1.0, abs=1e-6)
    assert found[1] == found[3] != pytest.approx(1.0, abs=1e-3)
    assert found[4] == 0.0  # an empty answer
    assert info["extras"]["similarity"] == pytest.approx(sum(found) / 5)
    assert info["similarity"]["model"] == "tiny"
    assert len(info["similarity"]["weights_sha256"]) == 64
    said = " ".join(result.stdout.str().split())
    assert "sums on alpha: hit rate v1 80.0" in said
    assert "unavailable" not in said


def test_without_a_model_it_is_unavailable_with_the_reason_and_never_0(toy, sums):
    result = sums()
    info, items = stored(toy)
    assert result.ret == 0
    assert info["extras"]["similarity"] is None
    assert info["similarity"]["model"] is None
    assert "--slmsec-similarity-model=PATH" in info["similarity"]["reason"]
    assert not any("similarity" in parts for parts in items["parts"])
    said = " ".join(result.stdout.str().split())
    assert "similarity unavailable" in said
    assert "similarity is unavailable: name a sentence-embedding model" in said


def test_a_directory_without_such_a_model_is_refused_before_anything_runs(toy, sums, tmp_path):
    result = sums(f"--slmsec-similarity-model={tmp_path}")
    assert result.ret == 4
    assert f"--slmsec-similarity-model={tmp_path}" in result.stderr.str()
    assert "config.json" in result.stderr.str()
    assert toy.loads == []
    result = sums("--slmsec-similarity-model=./nowhere")
    assert result.ret == 4
    assert "there is no directory" in result.stderr.str()


def test_a_hub_model_that_cannot_be_reached_is_a_reason_and_the_run_goes_on(toy, sums, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    result = sums("--slmsec-similarity-model=hf:nobody/nothing-at-all")
    assert result.ret == 0
    info, _ = stored(toy)
    assert info["extras"]["similarity"] is None
    assert info["similarity"]["reason"].startswith("hf:nobody/nothing-at-all")


def test_the_main_process_measures_what_workers_answered(toy, model):
    toy.pytester.makepyfile(test_gen=GENERATION)
    args = ("test_gen.py", "--slmsec-data=fixture", f"--slmsec-similarity-model={model}", "-n2", "--dist=loadfile")
    result = toy.run(*args, models=("alpha",))
    assert result.ret == 0
    said = " ".join(result.stdout.str().split())
    assert "sevenllm-gen-en@fixture on alpha: hit rate v1 0.0 %, similarity 0.0 %" in said  # its answers are empty


def test_of_a_benchmark_that_only_the_workers_know_the_reason_is_told(sums, model):
    said = " ".join(sums(f"--slmsec-similarity-model={model}", "-n2").stdout.str().split())
    assert "similarity is unavailable: sums is not known to the main process: run it without -n." in said


def test_answers_to_questions_from_a_file_get_it_where_a_model_is_named(toy, model):
    path = toy.pytester.path
    for old in path.glob("test_*.py"):
        old.unlink()
    toy.pytester.makepyfile(test_qa=GENERATION.replace("sevenllm-gen-en", "qa").replace("generation", "qa"))
    (path / "worms.csv").write_text("question,answer\n1 say:the worm,the worm\n2 say:a bank,the worm\n")
    args = ("test_qa.py", "--slmsec-qa=worms.csv", "--benchmark-json=out.json")
    assert "similarity" not in toy.run(*args, models=("alpha",)).stdout.str()
    result = toy.run(*args, f"--slmsec-similarity-model={model}", models=("alpha",))
    content = json.loads((path / "out.json").read_text())
    found = [parts["similarity"] for parts in content["slmsec"]["groups"][0]["items"]["parts"]]
    assert found[0] == pytest.approx(1.0, abs=1e-6)
    assert found[1] != pytest.approx(1.0, abs=1e-3)
    assert "similarity" in result.stdout.str()
