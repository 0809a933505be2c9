"""The command `slmsec rescore`: what today's scorers find in stored answers, and the exit status that says so."""

import json

import pytest
from benchmark_runs import SCORER, content, plain

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.paths import fixtures_dir

RIGHT, WRONG = "The answer is A", "The answer is B"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def line(number, text, correct, **more):
    letter = "A" if correct else "B"
    score = {"value": float(correct), "parsed": True, "correct": correct, "extracted": letter, "parts": {}}
    return {
        "group": "cti-mcq", "model": "phi3", "item": f"cti-mcq-{number:05d}", "error": None, "score": score,
        "hit_limit": False, "gold": "A", "text": text, "prompt": f"Question {number}?", **more,
    }  # fmt: skip


def transcript(path, *lines):
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return str(path)


def test_scores_that_are_found_again_are_status_0(here, capsys):
    path = transcript(here / "run.jsonl", line(1, RIGHT, True), line(2, WRONG, False))
    assert main(["rescore", path]) == 0
    assert capsys.readouterr().out == (
        "benchmark  answers  changed  score\n"
        "phi3\n"
        "  cti-mcq        2        0  accuracy 50.0 %\n"
        "\n"
        "All 2 stored scores were found again.\n"
    )
    assert main(["rescore", path, "-v"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.endswith(f"cti-mcq on phi3: 2 answers scored by {SCORER}: 0 of 2 changed; accuracy 50.0 %.")


def test_a_run_of_many_benchmarks_is_a_line_each(here, capsys):
    groups = [("phi3", "cti-mcq"), ("phi3", "cti-rcm"), ("tinysec", "cti-mcq")]
    lines = [line(number, RIGHT, number > 3, group=group, model=model)
             for model, group in groups for number in range(1, 9) if group == "cti-mcq"]  # fmt: skip
    lines.append(line(1, "CWE-79", True, group="cti-rcm", gold="CWE-79", score=None))
    assert main(["rescore", transcript(here / "run.jsonl", *lines)]) == 1
    assert capsys.readouterr().out == (
        "benchmark  answers  changed  score\n"
        "phi3\n"
        "  cti-mcq        8        3  accuracy 62.5 % -> 100.0 %\n"
        "  cti-rcm        1        -  accuracy 100.0 %\n"
        "tinysec\n"
        "  cti-mcq        8        3  accuracy 62.5 % -> 100.0 %\n"
        "\n"
        "6 of 16 scores changed; -v shows the first of each benchmark, --json FILE all. 1\n"
        "  answers have no stored score to compare with.\n"
    )


def test_what_changed_is_listed_and_status_1(here, capsys):
    lines = [line(number, RIGHT, True) for number in range(1, 4)]
    lines += [line(number, f"{WRONG}\x1b[31m {'x' * 200}", True) for number in range(4, 12)]
    path = transcript(here / "run.jsonl", *lines, line(12, RIGHT, False))
    assert main(["rescore", path, "-v", "--json", "out/changes.json"]) == 1
    out = capsys.readouterr().out
    assert "9 of 12 changed; accuracy 91.7 % -> " in " ".join(out.split())
    assert "... and 4 more; --json FILE lists all." in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    (found,) = json.loads((here / "out/changes.json").read_text())["rescored"]
    assert found["n_changed"] == len(found["changes"]) == 9
    last = found["changes"][-1]
    assert (last["item"], last["old"]["value"], last["new"]["value"]) == ("cti-mcq-00012", 0.0, 1.0)


def test_a_file_of_a_comparison_and_its_number(here, capsys):
    from pytest_slmsec.tasks.registry import find_task

    (here / "run.json").write_text(json.dumps(content(plain("1101"))))
    stored = here / ".benchmarks" / "linux" / "0001_x.json"
    stored.parent.mkdir(parents=True)
    stored.write_bytes((here / "run.json").read_bytes())
    assert main(["rescore", "run.json"]) == main(["rescore", "0001"]) == 0
    assert main(["rescore", "-v", "0001"]) == 0
    assert f"scored by cti-mcq/strict/{find_task('cti-mcq').version}" in " ".join(capsys.readouterr().out.split())


def test_an_answer_that_was_cut_off_still_counts_as_none(here):
    cut = line(1, RIGHT, True, hit_limit=True)
    assert main(["rescore", transcript(here / "run.jsonl", cut)]) == 1


def test_answers_without_stored_scores_are_scored_and_say_so(here, capsys):
    data = str(fixtures_dir() / "data")
    source = fixtures_dir() / "data/cti-bench/data/cti-mcq.tsv"
    n = len(source.read_text("utf-8").splitlines()) - 1
    (here / "cti-mcq-responses.tsv").write_text("GT\tphi3\n" + "A\tA\n" * n)
    assert main(["rescore", "cti-mcq-responses.tsv", "--data", data]) == 0
    assert f"{n} answers have no stored score to compare with." in " ".join(capsys.readouterr().out.split())


def test_recorded_errors_have_no_score(here, capsys):
    failed = line(2, None, True, error="no memory", score=None)
    assert main(["rescore", transcript(here / "run.jsonl", line(1, RIGHT, True), failed)]) == 0
    assert "1 recorded errors have no score" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("nothing.jsonl", "There is no file nothing.jsonl"),
        ("odd.jsonl", "holds no recorded answers of a known form"),
        ("own.jsonl", "There is no benchmark 'my-own'"),
        ("run.jsonl::phi4", "holds no model 'phi4'; it holds phi3"),
        ("actors.jsonl", "answers to cti-taa are scored with the published items: name the folder"),
        ("0007", "holds no run 0007"),
    ],
)
def test_what_cannot_be_scored_is_status_3(here, capsys, run, message):
    transcript(here / "run.jsonl", line(1, RIGHT, True))
    transcript(here / "odd.jsonl", {"a": 1})
    transcript(here / "own.jsonl", line(1, RIGHT, True, group="my-own"))
    transcript(here / "actors.jsonl", line(1, "APT29", True, group="cti-taa"))
    assert main(["rescore", run]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_place_that_cannot_be_written_is_status_3(here, capsys):
    path = transcript(here / "run.jsonl", line(1, RIGHT, True))
    assert main(["rescore", path, "--json", "run.jsonl/x"]) == 3
    assert "run.jsonl/x cannot be written" in capsys.readouterr().err


def test_a_mistake_on_the_command_line_looks_like_no_result(here):
    with pytest.raises(SystemExit) as caught:
        main(["rescore"])
    assert caught.value.code == 3
