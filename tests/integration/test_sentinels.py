"""``--slmsec-sentinels``: findings in the summary, in the record and as errors, with and without xdist."""

import json

import pytest

SILENT_MODEL = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [Item(f"ports-{n:05d}", f"ports {n} say:{' ' if n % 2 else ' yes'}", "yes") for n in range(1, 31)]

@pytest.mark.slmsec(Task("ports", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_ports(answer):
    assert answer.score is not None
"""


@pytest.fixture
def half_silent(toy):
    """A toy run in which half of all answers are empty."""
    for file in toy.pytester.path.glob("test_*.py"):
        file.unlink()
    toy.pytester.makepyfile(test_ports=SILENT_MODEL)
    return toy


def test_findings_stand_below_the_tables_and_change_no_outcome(half_silent):
    result = half_silent.run("--slmsec-no-gate", models=("alpha",))
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"=+ slmsec results =+",
            r"=+ slmsec sentinels =+",
            r"empty-answers: Answers are empty\.",
            r"  ports on alpha: 15 of 30 answers are empty",
            r"low-parse-rate: Many answers could not be read, .*",
            r"  ports on alpha: only 15 of 30 answers could be read",
            r"What to do: docs/sentinels\.md",
        ]
    )


def test_nothing_is_said_where_nothing_is_found(toy):
    assert "sentinel" not in toy.run("--slmsec-no-gate").stdout.str().replace("slmsec-sentinels", "")


def test_fail_makes_each_finding_an_error(half_silent):
    result = half_silent.run("--slmsec-no-gate", "--slmsec-sentinels=fail", "--junitxml=out.xml", models=("alpha",))
    assert result.ret == 1
    result.assert_outcomes(passed=15, errors=2)
    told = " ".join(result.stdout.str().split())
    assert "ports on alpha: 15 of 30 answers are empty. Answers are empty. Check the chat template" in told
    assert 'name="empty-answers[alpha-ports]"' in (half_silent.pytester.path / "out.xml").read_text()
    again = half_silent.run("--slmsec-no-gate", "--lf", "--collect-only", models=("alpha",))
    assert "sentinel" not in again.stdout.str()


def test_off_does_not_look(half_silent):
    result = half_silent.run("--slmsec-no-gate", "--slmsec-sentinels=off", models=("alpha",))
    assert (result.ret, "slmsec sentinels" in result.stdout.str()) == (0, False)


def test_the_configuration_decides_and_the_command_line_wins(half_silent):
    (half_silent.pytester.path / "pyproject.toml").write_text('[tool.slmsec]\nsentinels = "fail"\n')
    assert half_silent.run("--slmsec-no-gate", models=("alpha",)).ret == 1
    assert half_silent.run("--slmsec-no-gate", "--slmsec-sentinels=warn", models=("alpha",)).ret == 0


def test_the_record_holds_every_finding_and_the_stored_run_has_them_again(half_silent, capsys, monkeypatch):
    half_silent.run("--slmsec-no-gate", "--benchmark-json=run.json", models=("alpha",))
    path = half_silent.pytester.path / "run.json"
    stored = json.loads(path.read_text())
    assert stored["slmsec"]["sentinels"] == [
        {"id": name, "benchmark": "ports", "model": "alpha", "fact": fact}
        for name, fact in (
            ("empty-answers", "15 of 30 answers are empty"),
            ("low-parse-rate", "only 15 of 30 answers could be read"),
        )
    ]
    (latency,) = (entry for entry in stored["benchmarks"] if "latency" in entry["name"])
    assert latency["extra_info"]["sentinels"] == ["empty-answers", "low-parse-rate"]
    from pytest_slmsec.cli.main import main

    monkeypatch.chdir(half_silent.pytester.path)
    assert main(["sentinels", "run.json"]) == 1
    assert "15 of 30 answers are empty" in capsys.readouterr().out
    assert main(["sentinels", "nothing.json"]) == 3


def test_findings_are_the_same_under_xdist(half_silent):
    pytest.importorskip("xdist")
    result = half_silent.run("--slmsec-no-gate", "-n2", "--slmsec-sentinels=fail", models=("alpha",), subprocess=True)
    assert result.ret == 1
    result.assert_outcomes(passed=15, errors=2)
    result.stdout.re_match_lines([r"  ports on alpha: 15 of 30 answers are empty"])
