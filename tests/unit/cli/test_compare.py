"""The command `slmsec compare`: exit status, models in files, and what it writes."""

import json
import re

import pytest
from benchmark_runs import content, plain

from pytest_slmsec.cli.main import main

RIGHT = "1110" * 100
WORSE = "0110" * 50 + "1110" * 50


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)

    def write(name, *runs):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content(*runs)))

    write("base.json", plain(RIGHT))
    for name, right in (("same", RIGHT), ("worse", WORSE), ("small", "1110")):
        write(f"{name}.json", plain(right, model="phi3-gptq4", quant="gptq4"))
    write("both.json", plain(RIGHT), plain(WORSE, model="phi3-gptq4", quant="gptq4"))
    write(".benchmarks/linux/0001_x.json", plain(RIGHT))
    write("tiny.json", plain("1110"))
    return tmp_path


@pytest.mark.parametrize(
    ("base", "candidate", "status", "verdict"),
    [
        ("base.json", "same.json", 0, "PASS"),
        ("base.json", "worse.json", 1, "FAIL"),
        ("tiny.json", "small.json", 2, "INCONCLUSIVE"),
        ("base.json", "small.json", 3, "ERROR"),
        ("0001", "same.json", 0, "PASS"),
        ("both.json::phi3", "both.json::phi3-gptq4", 1, "FAIL"),
    ],
)
def test_the_exit_status_is_the_verdict(here, capsys, base, candidate, status, verdict):
    assert main(["compare", base, candidate]) == status
    assert f"SUITE: {verdict}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.json", "same.json"], "There is no file nothing.json"),
        (["both.json", "same.json"], "both.json holds 2 models (phi3, phi3-gptq4): choose one, for example"),
        (["both.json::phi4", "same.json"], "both.json holds no model 'phi4'; it holds phi3, phi3-gptq4"),
        (["base.json", "same.json", "--json", "base.json/x"], "base.json/x cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_status_3(here, capsys, args, message):
    assert main(["compare", *args]) == 3
    assert message in capsys.readouterr().err


def test_a_mistake_on_the_command_line_is_not_inconclusive(here):
    with pytest.raises(SystemExit) as caught:
        main(["compare", "base.json"])
    assert caught.value.code == 3


def test_the_configuration_of_the_folder_counts(here, capsys):
    (here / "pyproject.toml").write_text('[tool.slmsec.gate.cti-mcq]\nmax_drop = "30pt"\n')
    assert main(["compare", "base.json", "worse.json"]) == 0
    (here / "pyproject.toml").write_text('[tool.slmsec.gate.cti-mqc]\nmax_drop = "30pt"\n')
    assert main(["compare", "base.json", "worse.json"]) == 3
    assert "there is no benchmark 'cti-mqc'; did you mean 'cti-mcq'?" in capsys.readouterr().err


def test_presets(here, capsys):
    main(["compare", "base.json", "same.json", "--preset=pr"])
    assert "preset:    pr" in capsys.readouterr().out


def test_numbers_and_flips_are_written(here):
    main(["compare", "base.json", "worse.json", "--json", "out/gate.json", "--flips", "out/flips.jsonl"])
    (judgement,) = json.loads((here / "out/gate.json").read_text())["judgements"]
    assert (judgement["verdict"], judgement["base"], judgement["candidate"]) == ("FAIL", "phi3", "phi3-gptq4")
    flips = [json.loads(line) for line in (here / "out/flips.jsonl").read_text().splitlines()]
    assert len(flips) == 50
    assert flips[0]["item"] == "cti-mcq-00001"
    assert (flips[0]["change"], flips[0]["base_text"], flips[0]["candidate_text"]) == ("lost", "A", "B")


def test_a_plan_of_the_published_benchmarks(here, capsys):
    assert main(["plan", "--preset=pr", "--items=100"]) == 0
    found = capsys.readouterr().out
    assert "what the gate can show, preset pr" in found
    assert re.search(r"cti-mcq +100 +3 pt +2\.6 pt", found)
    assert main(["plan", "--items=0"]) == 2


def test_a_plan_with_a_stored_run_names_bases_that_have_nothing_to_lose(here, capsys):
    facts, group = plain("100" * 100)
    group["items"]["constant"] = [0.0, 1.0, 0.0] * 100
    (here / "weak.json").write_text(json.dumps(content((facts, group), plain(RIGHT, benchmark="cti-rcm"))))
    assert main(["plan", "--baseline=weak.json"]) == 0
    found = " ".join(capsys.readouterr().out.split())
    assert "phi3: cti-mcq is uninformative: the base (accuracy 33.3 %)" in found
    assert "cti-rcm is uninformative" not in found
    (here / "slmsec.toml").write_text('[gate]\nbaseline = "weak.json"\n')
    assert main(["plan"]) == 0
    assert "cti-mcq is uninformative" in " ".join(capsys.readouterr().out.split())
    (here / "slmsec.toml").write_text('[gate]\nbaseline = "not-yet.json"\n')
    assert main(["plan"]) == 0
    assert main(["plan", "--baseline=none.json"]) == 2
