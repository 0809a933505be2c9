"""The script behind `tox run -e real`, without the wheel: its table, and the command that it asks the models with."""

import io
from argparse import Namespace
from pathlib import Path

import real_models

from pytest_slmsec.engines.common.quiet import quiet

MANIFEST = {
    "seconds": 84.6,
    "weight_bytes": 161 * 2**20,
    "quantized": {"share": 0.9876},
    "verification": {"mean_kl_nats": 0.1534, "same_top_rate": 0.7939},
}


def test_a_row_has_the_seconds_of_making_also_where_the_model_was_made_before():
    assert real_models.row("nf4", MANIFEST) == "| nf4 | 85 | 161 | 98.8% | 0.153 | 79.4% |"
    assert real_models.row("nf4", MANIFEST).count("|") == real_models.HEAD.splitlines()[0].count("|")


def test_only_the_named_benchmarks_are_asked_of_the_base_and_each_quantisation(monkeypatch):
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    asked = Namespace(quant=["nf4", "int8wo"], benchmarks=["cti-rcm"], limit=20, max_new_tokens=64)
    command = real_models.question(Path("/cache/real/smollm2-135m"), asked)
    assert [part for part in command if part.startswith("--model=")] == [
        "--model=smollm2-135m", "--model=smollm2-135m-nf4", "--model=smollm2-135m-int8wo",
    ]  # fmt: skip
    assert {"--slmsec-benchmarks=cti-rcm", "--slmsec-limit=20", "--slmsec-data=fixture"} <= set(command)
    assert "--slmsec-max-new-tokens=64" in command


def test_a_run_goes_on_with_the_answers_of_the_run_before():
    asked = Namespace(quant=[], benchmarks=["x"], limit=1, max_new_tokens=8)
    command = real_models.question(Path("/cache/real/smollm2-135m"), asked)
    assert {"--slmsec-resume", "--slmsec-journal=/cache/real/journal.jsonl"} <= set(command)


def test_a_relative_folder_of_published_files_is_found_from_another_folder(monkeypatch, tmp_path):
    (tmp_path / "published").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLMSEC_DATA", "published")
    assert real_models.data() == str(tmp_path / "published")


def test_progress_is_seen_while_a_library_quantises(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(real_models, "TERMINAL", terminal)
    with quiet():
        real_models.progress("gptq4: layer 15 of 30", 0.5)
    assert terminal.getvalue() == " 50% gptq4: layer 15 of 30\n"
