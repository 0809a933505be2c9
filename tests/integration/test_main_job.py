"""The main job on the real embedded model: unquantised and in 4-bit GPTQ, over our own items."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

import pytest

from pytest_slmsec.tasks.registry import tasks

SUITE = Path(__file__).parent.parent.parent / "benchmarks"
WRITING = (
    "cti-mcq", "cti-rcm", "cti-rcm-2021", "cti-vsp", "cti-taa", "cti-ate",
    "athena-mcq", "athena-ate", "athena-rcm", "athena-rms", "athena-vsp", "athena-taa",
    "sevenllm-mcq-en", "sevenllm-mcq-zh", "sevenllm-gen-en", "sevenllm-gen-zh", "sevenllm-extract-en",
    "sevenllm-extract-zh", "mitre", "mitre-frr", "mitre-frr-multilingual", "cybermetric-80", "seceval", "secbench-mcq",
    "opseval-wired-network", "opseval-oracle", "opseval-5g", "gsm8k", "qa",
    "prompt-injection-canary",
    "syslog-severity", "syslog-refusal", "syslog-analysis",
    "cybersoc-malware", "cybersoc-malware-truncated", "cybersoc-threat", "soc-bench", "logeval-anomaly-en",
    "logeval-anomaly-zh", "logeval-parsing-en", "logeval-parsing-zh", "logeval-diagnosis-en", "logeval-diagnosis-zh",
    "logeval-summary-en", "logeval-summary-zh", "log-anomaly", "log-parsing", "hscodecomp", "squad", "squad-v2",
    "border-document", "border-triage", "border-entities", "border-customs", "border-report",
    "secchat-iio", "secchat-turn",
)  # fmt: skip
CHOOSING = (
    "cti-mcq-choice", "cti-mcq-cloze", "mmlu-computer-security", "secqa-v1", "secqa-v2", "wmdp-cyber", "arc_challenge",
    "hellaswag", "winogrande", "mmlu_elementary_mathematics", "truthfulqa_mc2",
)  # fmt: skip
WITHOUT_ITEMS = (
    "cybermetric-500", "cybermetric-2000", "cybermetric-10000", "syslog-journal", "syslog-rfc5424", "syslog-table",
    "hackmentor-seed", "hackmentor-dialogue", "hackmentor-turn",
    "prompt-injection",
)  # fmt: skip
"""Files of the same sort as one that has items of our own, and logs of the user's own."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Quantised models are made once for this file."""
    return tmp_path_factory.mktemp("cache")


class Job:
    """Runs the suite in a directory of its own."""

    def __init__(self, folder, cache):
        self.folder = folder
        self.env = {**os.environ, "SLMSEC_CACHE": str(cache), "COLUMNS": "80"}
        self.env.pop("SLMSEC_DATA", None)

    def start(self, *args):
        command = [sys.executable, "-m", "pytest", str(SUITE), "--rootdir=.", "-q", "--benchmark-json=out.json"]
        command += ["--benchmark-quiet", *args]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *args):
        process = self.start(*args)
        output, _ = process.communicate()
        return process.returncode, output

    def record(self):
        return json.loads((self.folder / "out.json").read_text())

    def items(self):
        return {(group["benchmark"], group["model"]): group["items"] for group in self.record()["slmsec"]["groups"]}


def summary(output):
    """Our lines: from our heading to pytest's closing line, which is as long as there are outcomes to count."""
    lines = output.splitlines()
    start = next(n for n, line in enumerate(lines) if " slmsec results " in line)
    end = next(n for n, line in enumerate(lines) if re.search(r"\d passed\b.* in [\d.]+s", line))
    return lines[start:end]


@pytest.fixture
def job(tmp_path, cache):
    return Job(tmp_path, cache)


def test_both_models_over_every_benchmark(job, cache):
    code, output = job.run("--model=tinysec", "--model=tinysec-gptq4", "--slmsec-limit=6")
    assert code == 0, output
    assert [line for line in summary(output) if len(line) > 80] == []
    entries = {entry["name"]: entry for entry in job.record()["benchmarks"]}
    for model in ("tinysec", "tinysec-gptq4"):
        for task in WRITING + CHOOSING:
            label = f"{task}@fixture@6" + "~rule" * (task == "mitre")
            metrics = ["latency", "error_rate", "memory"] + ["generation"] * (task in WRITING)
            assert [name for metric in metrics if (name := f"{label}:{metric}[{model}]") not in entries] == []
    plain = entries["cti-mcq@fixture@6:latency[tinysec]"]["extra_info"]["engine"]
    quantised = entries["cti-mcq@fixture@6:latency[tinysec-gptq4]"]["extra_info"]["engine"]
    assert plain["kernel"] != quantised["kernel"]
    assert quantised["model_bytes"] < plain["model_bytes"]
    (made,) = (cache / "quantized").glob("tinysec-gptq4-*")
    before = made.stat().st_mtime_ns
    job.run("--model=tinysec-gptq4", "--slmsec-limit=2", "-k", "cti_taa")
    assert made.stat().st_mtime_ns == before


def test_every_benchmark_is_one_of_the_main_job():
    assert set(tasks()) == {*WRITING, *CHOOSING, *WITHOUT_ITEMS}


@pytest.mark.parametrize(("model", "key"), [("tinysec", "asked"), ("tinysec+soc", "asked_adapter")])
def test_the_job_of_the_readme_asks_what_the_model_can_answer_and_names_the_rest(job, model, key):
    tox = ConfigParser(interpolation=None)
    tox.read(SUITE.parent / "tox.ini")
    asked = tox["testenv:benchmarks"][key]
    code, output = job.run(f"--model={model}", f"--slmsec-benchmarks={asked}", "--slmsec-limit=30", "-vv")
    assert code == 0, output
    (others,) = re.findall(r"^not asked \(--slmsec-benchmarks\): ((?:.|\n  )+)", output, re.MULTILINE)
    measured = {entry["params"]["benchmark"]: entry["extra_info"] for entry in job.record()["benchmarks"]
                if entry["params"]["metric"] == "latency"}  # fmt: skip
    names = {label.partition("@")[0] for label in measured}
    assert names | set(re.split(r",\s+", others)) >= set(tasks())
    assert [name for name, facts in measured.items() if not better_than_constant(facts)] == []


def better_than_constant(facts):
    """Whether the model's score beats the best constant answer's."""
    advantage = facts["score"] - facts["constant"]["value"]
    return advantage > 0 if facts["higher_is_better"] else advantage < 0


def test_a_killed_run_resumes_to_the_same_bits(job):
    args = ("--model=tinysec", "--slmsec-limit=80", "-k", "mcq or rcm_2021", "--slmsec-batch-tokens=2048")
    job.run(*args)
    whole = job.items()
    process = job.start(*args)
    journal, until = job.folder / ".slmsec" / "journal.jsonl", time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, output = job.run(*args, "--slmsec-resume")
    assert code == 0, output
    assert job.items() == whole


def test_a_shuffled_or_smaller_selection_gives_the_same_answers(job):
    job.run("--model=tinysec", "-k", "cti_ate")
    whole = job.items()["cti-ate@fixture", "tinysec"]
    job.run("--model=tinysec", "-k", "cti_ate", "--slmsec-limit=7:3")
    part = job.items()["cti-ate@fixture@7:3", "tinysec"]
    by_id = dict(zip(whole["item"], whole["text"], strict=True))
    assert [by_id[item] for item in part["item"]] == part["text"]


def test_workers_of_xdist_measure_the_same(job):
    pytest.importorskip("xdist")
    args = ("--model=tinysec", "--slmsec-limit=3", "-k", "cti_taa or cti_ate")
    job.run(*args)
    alone = job.items()
    code, output = job.run(*args, "-n2", "--dist=loadfile")
    assert code == 0, output
    assert job.items() == alone
