"""--slmsec-trained-on: items that stand in training data, and the scores without them."""

import json

import pytest

from pytest_slmsec.cli.main import main

SEEN = "\n\n".join(f"ports {n} say: {'yes' if n % 3 else 'no'}" for n in range(1, 7))  # 4 right, 2 wrong


@pytest.fixture
def trained(toy):
    (toy.pytester.path / "test_hashes.py").unlink()
    (toy.pytester.path / "notes.txt").write_text(SEEN)
    return toy


def said(result):
    return " ".join(result.stdout.str().split())


def test_the_score_with_and_without_in_summary_record_sentinel_and_comparison(trained, monkeypatch, capsys):
    result = trained.run("--slmsec-trained-on=notes.txt", "--benchmark-json=run.json", "--slmsec-json=gate.json")
    assert result.ret == 0
    told = said(result)
    assert "ports on alpha: 6 of 30 items in the training data; score 66.7 %, and 66.7 % without them." in told
    assert "trained-on-items: Questions of the benchmark stand in the training data" in told
    content = json.loads((trained.pytester.path / "run.json").read_text())
    facts = next(e["extra_info"] for e in content["benchmarks"] if e["name"] == "ports:latency[alpha]")
    assert (facts["trained_on"]["seen"], facts["trained_on"]["n_without"]) == (6, 24)
    assert facts["trained_on"]["score_without"] == pytest.approx(16 / 24)
    assert [file["name"] for file in facts["trained_on"]["files"]] == ["notes.txt"]
    assert facts["sentinels"] == ["trained-on-items"]
    assert content["slmsec"]["groups"][0]["items"]["trained_on"] == [True] * 6 + [False] * 24
    monkeypatch.chdir(trained.pytester.path)
    main(["compare", "run.json::alpha", "run.json::beta", "--json=verdict.json"])
    told = " ".join(capsys.readouterr().out.split())
    assert "ports: 6 of 30 items in the training data; base and candidate score 66.7 % and 66.7 %, and" in told
    verdict = json.loads((trained.pytester.path / "verdict.json").read_text())["judgements"][0]
    assert verdict["trained_on"]["ports"]["base_without"] == pytest.approx(16 / 24)


def test_where_all_items_were_seen_there_is_no_score_without_them(trained):
    whole = "".join(json.dumps({"text": f"ports {n} say: {'yes' if n % 3 else 'no'}"}) + "\n" for n in range(1, 31))
    (trained.pytester.path / "all.jsonl").write_text(whole)
    result = trained.run("--slmsec-trained-on=all.jsonl", "--benchmark-json=run.json", models=["alpha"])
    assert "ports on alpha: 30 of 30 items in the training data; every item stands in the" in said(result)
    content = json.loads((trained.pytester.path / "run.json").read_text())
    facts = next(e["extra_info"] for e in content["benchmarks"] if e["name"] == "ports:latency[alpha]")["trained_on"]
    assert (facts["score_without"], facts["reason"]) == (
        None, "every item stands in the training data, so no score is left",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "--slmsec-trained-on=mine.csv: there is no such file; name the training data"),
        ("", "mine.csv holds no training text; name a file with texts in it"),
        ("id,score\n1,2\n", "mine.csv, row 1: there is no column that is read as training text"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_runs(trained, content, says):
    if content is not None:
        (trained.pytester.path / "mine.csv").write_text(content)
    result = trained.run("--slmsec-trained-on=mine.csv", models=["alpha"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in " ".join(result.stderr.str().split())
    assert trained.loads == []


def test_several_files_and_processes(trained):
    (trained.pytester.path / "pyproject.toml").write_text('[tool.slmsec]\ntrained-on = ["notes.txt", "more.txt"]\n')
    (trained.pytester.path / "more.txt").write_text("ports 30 say: no\n")
    result = trained.run("-n2", models=["alpha"], subprocess=True)
    assert "ports on alpha: 7 of 30 items in the training data; score 66.7 %, and 69.6 % without them." in said(result)
