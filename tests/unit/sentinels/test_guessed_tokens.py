"""Speeds of answers whose tokens were guessed say nothing about kernels: they depend on how much a text repeats."""

from benchmark_runs import run

from pytest_slmsec.reports.sentinels import evidence_of_run


def engine(**extra):
    return {"engine": "transformers 5.23.0", "device": "cpu", "extra": extra}


def test_a_speed_with_guesses_is_not_compared():
    assert evidence_of_run(run("11", engine=engine())).decode_tokens_per_s == 40.0
    assert evidence_of_run(run("11", engine=engine(guessed_tokens=4))).decode_tokens_per_s is None
