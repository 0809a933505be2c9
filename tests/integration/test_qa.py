"""--slmsec-qa asks the questions of a file in the place of our own."""

import pytest

SUITE = """
import pytest

@pytest.mark.slmsec("qa")
def test_qa(answer):
    assert answer.score is not None
"""


@pytest.fixture
def mine(toy):
    for old in toy.pytester.path.glob("test_*.py"):
        old.unlink()
    toy.pytester.makepyfile(test_qa=SUITE)
    return toy


def test_the_questions_of_a_file(mine):
    (mine.pytester.path / "mine.csv").write_text("Frage,answer\nA say: yes,yes\nB say: no,yes\n")
    result = mine.run("--slmsec-qa=mine.csv", "--slmsec-qa-columns=question=Frage", models=["alpha"])
    assert set(mine.asked) == {"qa-mine-00001", "qa-mine-00002"}
    result.stdout.fnmatch_lines(["qa-mine*token F1*"])
    assert result.ret == 0


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--slmsec-qa=nowhere.csv", "*--slmsec-qa=nowhere.csv: there is no such file*"),
        ("--slmsec-qa-columns=query=Frage", "*--slmsec-qa-columns=query=Frage: write NAME=COLUMN*"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(mine, option, says):
    result = mine.run(option, models=["alpha"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_damaged_file_is_told_before_anything_runs(mine):
    (mine.pytester.path / "mine.csv").write_text("question,answer\nWhy?,\n")
    result = mine.run("--slmsec-qa=mine.csv", models=["alpha"])
    assert "row 1, column 'answer': the cell is empty" in " ".join(result.stdout.str().split())
    assert mine.asked == {}
