"""`slmsec arena`: ratings from files of verdicts."""

import json
import os
from pathlib import Path

import pytest

from pytest_slmsec.cli.main import main
from pytest_slmsec.gates.statistics.bradley_terry import elo, first_position, tallies, win_probability
from pytest_slmsec.tasks.verdicts import read_verdicts

DATA = Path(os.environ.get("SLMSEC_DATA", ""), "hackmentor")
published = pytest.mark.skipif(not DATA.is_dir(), reason="SLMSEC_DATA names no published files")
WON = {"model_a": "x", "model_b": "y", "win": "model_a"}


def write(folder, *rows):
    path = folder / "verdicts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def contest(wins, ties, losses):
    return [WON] * wins + [{**WON, "win": "tie"}] * ties + [{**WON, "win": "model_b"}] * losses


def test_a_table_of_ratings_and_the_share_of_the_first_place(tmp_path, capsys):
    path = write(tmp_path, *contest(30, 0, 10))
    assert main(["arena", str(path), "--json", str(tmp_path / "out.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "40 verdicts on 40 items, Bradley-Terry"
    assert [line.split()[:2] for line in lines[2:4]] == [["x", "1095"], ["y", "905"]]
    assert lines[4].startswith("The first place won 75.0 % of 40 decided verdicts")
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["first_place_won"], written["ratings"]["x"]["tally"]) == (30, [30, 0, 10])


def test_names_are_shown_without_control_characters_and_shares_stay_shares(tmp_path, capsys):
    rows = [{**WON, "model_a": "\x1b[31mx"}, {**WON, "model_a": "\x1b[31mx", "win": "model_b"}]
    assert main(["arena", str(write(tmp_path, *rows))]) == 0
    assert "\x1b" not in capsys.readouterr().out
    main(["arena", str(write(tmp_path, *judged_rows(1, 0))), "--gate", "x,y"])
    assert "win share 100.0 % (0.0 .. 100.0) of 1 pairs" in capsys.readouterr().out


def test_elo_on_request(tmp_path, capsys):
    assert main(["arena", str(write(tmp_path, WON)), "--elo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["x", "1016"], ["y", "984"]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**WON, "model_b": "x"}, "record 2, field 'model_b': 'x' stands in both places"),
        ({**WON, "win": "both"}, "record 2, field 'win': 'both' is none of model_a, model_b, tie; correct or remove"),
        ({**WON, "model_a": "xx"}, "record 2, field 'model_a': 'xx' is no model of --models (did you mean x)"),
        ({**WON, "answer_a": " "}, "record 2, field 'answer_a': the answer is empty"),
        ({"model_a": "x", "win": "tie"}, "record 2, field 'model_b': the field is missing"),
    ],
)
def test_bad_input_is_one_sentence_with_file_and_record(tmp_path, capsys, row, message):
    path = write(tmp_path, WON, row)
    assert main(["arena", str(path), "--models", "x,y"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error
    assert error.count("slmsec: error:") == 1


def test_an_unbeaten_model_has_no_finite_estimate(tmp_path, capsys):
    assert main(["arena", str(write(tmp_path, *contest(5, 0, 0)))]) == 2
    assert "no finite estimate: x never lost a point" in " ".join(capsys.readouterr().err.split())


# The published verdicts of HackMentor.

# Published with the verdicts: how often llama-7b is predicted to win against each other model, by its Elo rating.
PREDICTED = [0.04321476859811901, 0.06127028695630554, 0.06904411248879738, 0.08879128313970153, 0.11292916396361236,
             0.14433491530185097, 0.1770823640123228, 0.2028601934512313, 0.3163336664713834]  # fmt: skip
RATED = {
    "vicuna-13b": 1220, "vicuna-7b-lora-iio": 1156, "vicuna-13b-lora-iio": 1134, "vicuna-7b": 1087,
    "llama-13b-lora-iio": 1040, "llama-13b-lora-turn": 991, "llama-7b-lora-turn": 949, "llama-7b-lora-iio": 920,
    "llama-13b": 816, "llama-7b": 682,
}  # fmt: skip


@published
def test_the_published_elo_ratings_are_found_again():
    rows = read_verdicts(DATA / "battles.jsonl", list(RATED))
    found = elo(rows)
    assert len(rows) == 6505
    assert {model: int(value) for model, value in found.items()} == RATED
    worst = found.pop("llama-7b")
    assert [win_probability(worst, value) for value in found.values()] == pytest.approx(PREDICTED, abs=1e-12)


@published
def test_the_first_place_wins_more_than_half_of_the_published_verdicts():
    won, decided = first_position(read_verdicts(DATA / "battles.jsonl"))
    assert (won, decided, round(100 * won / decided, 1)) == (2525, 4710, 53.6)


@published
def test_the_published_counts_against_a_service_are_found_again():
    """The table has the wins of the two models of dialogues exchanged, and their ties are what then remains."""
    lines = (DATA / "results.csv").read_text("utf-8").splitlines()[1:]
    rows = {name: tuple(map(int, counts)) for name, *counts in (line.split(",") for line in lines)}
    assert len(rows) == 6
    found = {model: tallies(read_verdicts(DATA / f"{model}_vs_apimodel.jsonl"))[model] for model in rows}
    small, large = "llama-7b-lora-turn", "llama-13b-lora-turn"
    assert (found.pop(small), found.pop(large)) == ((32, 32, 81), (29, 59, 57))
    assert (rows.pop(small), rows.pop(large)) == ((29, 35, 81), (32, 56, 57))
    assert found == rows


# The judge's gate.


def judged_rows(wins, losses):
    """Rows in both orders; the candidate x wins where its answer says so."""
    rows = []
    for number in range(wins + losses):
        best = "x" if number < wins else "y"
        answers = {"x": f"answer {number} of x", "y": f"answer {number} of y"}
        for first, second in (("x", "y"), ("y", "x")):
            rows.append({"item": str(number), "judge": "umpire", "model_a": first, "model_b": second,
                         "answer_a": answers[first], "answer_b": answers[second],
                         "win": "model_a" if first == best else "model_b", "raw": f"I take {best}."})  # fmt: skip
    return rows


@pytest.mark.parametrize(("wins", "losses", "status", "word"), [(400, 300, 0, "PASS"), (200, 500, 1, "FAIL")])
def test_a_judge_s_verdicts_decide_when_asked(tmp_path, capsys, wins, losses, status, word):
    path = write(tmp_path, *judged_rows(wins, losses))
    assert main(["arena", str(path), "--gate", "x,y", "--json", str(tmp_path / "out.json")]) == status
    assert f"JUDGE'S GATE: {word}" in capsys.readouterr().out
    stored = json.loads((tmp_path / "out.json").read_text())["verdicts"][1]
    assert (stored["item"], stored["first"], stored["second"], stored["raw"]) == ("0", "y", "x", "I take x.")
    assert len(stored["first_sha256"]) == 64


def test_a_gate_without_both_orders_is_an_error(tmp_path, capsys):
    path = write(tmp_path, *judged_rows(2, 1)[:-1])
    assert main(["arena", str(path), "--gate", "x,y"]) == 3
    assert "Item 2: each pair needs one verdict in either order" in capsys.readouterr().err
    assert main(["arena", str(path), "--gate", "x"]) == 3
    assert "write the candidate and its base" in capsys.readouterr().err
