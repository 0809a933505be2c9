"""--slmsec-dtype, and names such as m/tiny-bf16: what is computed in, what is recorded, and what may be compared."""

import json
import shutil

import pytest
import torch
from ports import suite
from tinymodel import build_tiny_llama
from transformers import AutoModelForCausalLM


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def run(pytester, monkeypatch, tiny, tmp_path):
    monkeypatch.chdir(pytester.path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    (pytester.path / "m").mkdir()
    (pytester.path / "m" / "tiny").symlink_to(tiny)
    pytester.makepyfile(test_ports=suite(10))

    def inner(*args):
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--slmsec-sentinels=off", *args)

    return inner


def engines(path):
    """What is recorded of each model."""
    entries = json.loads(path.read_text())["benchmarks"]
    return {e["params"]["model"]: e["extra_info"]["engine"] for e in entries if "engine" in e["extra_info"]}


def logprobs(path):
    return {g["model"]: g["items"]["logprobs"] for g in json.loads(path.read_text())["slmsec"]["groups"]}


def test_the_name_counts_more_than_the_option(run, pytester):
    run("--model=m/tiny", "--model=m/tiny-fp32", "--slmsec-dtype=bf16", "--benchmark-json=run.json")
    path = pytester.path / "run.json"
    plain, named = engines(path)["m/tiny"], engines(path)["m/tiny-fp32"]
    assert (plain["dtype"], named["dtype"]) == ("bfloat16", "float32")
    assert plain["weights_sha256"] == named["weights_sha256"]  # the same files; what they are computed in differs
    assert logprobs(path)["m/tiny"] != logprobs(path)["m/tiny-fp32"]


def test_on_a_cpu_the_default_is_fp32_whatever_is_stored(run, pytester, tiny):
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)
    model.save_pretrained(shutil.copytree(tiny, pytester.path / "m" / "stored"))
    run("--model=m/stored", "--slmsec-device=cpu", "--benchmark-json=run.json")
    assert json.loads((pytester.path / "m/stored/config.json").read_text())["dtype"] == "bfloat16"
    assert engines(pytester.path / "run.json")["m/stored"]["dtype"] == "float32"


def test_the_configuration_may_say_it(run, pytester):
    (pytester.path / "slmsec.toml").write_text('dtype = "fp16"\n')
    run("--model=m/tiny", "--benchmark-json=run.json")
    assert engines(pytester.path / "run.json")["m/tiny"]["dtype"] == "float16"


def test_a_dtype_in_the_name_is_a_candidate_of_its_base(run):
    result = run("--model=m/tiny", "--model=m/tiny-bf16")
    result.stdout.fnmatch_lines(["candidate: m/tiny-bf16 (this run)", "base:      m/tiny (this run)"])
    result.stdout.fnmatch_lines(["  tokens/s *%*"])
    assert "dtype differs" not in result.stdout.str()


def test_the_same_name_in_another_dtype_is_told_and_its_speed_not_compared(run, pytester):
    for dtype in ("fp32", "bf16"):
        run("--model=m/tiny", f"--slmsec-dtype={dtype}", f"--benchmark-json={dtype}.json")
    result = pytester.run("slmsec", "compare", "fp32.json", "bf16.json")
    text = result.stdout.str()
    assert "ports: The dtype differs (float32 and bfloat16); scores may move by a few near-ties." in text
    assert "The dtype differs (float32 and bfloat16): speed and memory say nothing." in text


def test_answers_in_another_dtype_are_not_resumed(run):
    run("--model=m/tiny", "--slmsec-dtype=fp32")
    again = run("--model=m/tiny", "--slmsec-dtype=fp32", "--slmsec-resume")
    again.stdout.fnmatch_lines(["*10 of 10 answers*"])
    other = run("--model=m/tiny", "--slmsec-dtype=bf16", "--slmsec-resume")
    assert "10 of 10 answers" not in other.stdout.str()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--model=m/tiny", "--slmsec-dtype=float16"], "*--slmsec-dtype: invalid choice: 'float16' (choose from *"),
        (["--model=tinysec-bf17"], "*'bf17' is no known quantisation (did you mean tinysec-bf16?)*"),
    ],
)
def test_an_unknown_dtype_is_one_sentence(run, args, says):
    result = run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_an_unknown_dtype_of_the_configuration_is_one_sentence(run, pytester):
    (pytester.path / "slmsec.toml").write_text('dtype = "float16"\n')
    result = run("--model=m/tiny")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--slmsec-dtype=float16: must be one of auto, fp32, bf16, fp16.*"])
