"""Sample files that lm-evaluation-harness itself writes are replayed to the scores that it found."""

from types import SimpleNamespace

import pytest
from lmeval import DATA, definition

from pytest_slmsec.cli.recorded_runs import evaluation_of, recorded_answers
from pytest_slmsec.replay.registry import read_recordings
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.registry import find_task

pytest.importorskip("lm_eval", reason="lm-eval is not installed")
HEADLINES = {"winogrande": "acc,none", "arc_challenge": "acc_norm,none", "gsm8k": "exact_match,strict-match"}
NAMES = tuple(HEADLINES)


def stand_in():
    """A model of the package whose answers depend on the texts alone."""
    from lm_eval.api.model import LM

    class Counting(LM):
        def loglikelihood(self, requests):
            return [(-float(sum(map(ord, context + text)) % 97), len(text) % 2 == 0)
                    for context, text in (request.args for request in requests)]  # fmt: skip

        def generate_until(self, requests):
            return [request.doc["answer"] if request.doc_id % 3 else "It is 17." for request in requests]

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    return Counting()


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A folder of sample files."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    folder, out = tmp_path_factory.mktemp("tasks"), tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
        for name in NAMES:
            (folder / f"{name}.yaml").write_text(definition(find_task(name)), "utf-8")
        manager = TaskManager(include_defaults=False, include_path=str(folder))
        found = simple_evaluate(stand_in(), tasks=list(NAMES), task_manager=manager, bootstrap_iters=0,
                                log_samples=True, verbosity="ERROR")  # fmt: skip
    tracker = EvaluationTracker(output_path=str(out))
    tracker.general_config_tracker = SimpleNamespace(model_name_sanitized="counting")
    tracker.date_id = "2025-11-18T10-20-30.123456"
    for name in NAMES:
        tracker.save_results_samples(name, found["samples"][name])
    return out / "counting", found["results"]


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_are_those_of_the_package(samples, name):
    folder, results = samples
    (recording,) = [one for one in read_recordings(folder, None) if one.benchmark == name]
    evaluation = evaluation_of(recording, find_task(name), str(DATA), Mode.STRICT)
    answers = [answer for _, answer in recorded_answers(evaluation)]
    assert not [answer.error for answer in answers if answer.error]
    value = find_task(name).metric.aggregate([answer.score for answer in answers], Mode.STRICT).value
    assert 0 < value < 1
    assert value == pytest.approx(results[name][HEADLINES[name]], abs=1e-12)
    assert {one.asked.name for one in evaluation.known} == {"SAME"}
