"""Every number is the one that lm-evaluation-harness gives for the same model and documents."""

import math

import pytest
from lmeval import definition

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.nlp import TASKS
from pytest_slmsec.tasks.sources import find

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed")
TOLERANCE_NATS = 1e-4


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    settings = EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)
    return make_engine(parse_model("tinysec", shipped_registry(), ()), settings)


@pytest.fixture(scope="module")
def expected(engine, tmp_path_factory):
    """What the package's own evaluator says about the same weights, in one run over all six tasks."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
        for task in TASKS:
            (folder / f"{task.name}.yaml").write_text(definition(task), "utf-8")
        model = HFLM(pretrained=engine.network.model, tokenizer=engine._tokenizer, batch_size=1)
        manager = TaskManager(include_defaults=False, include_path=str(folder))
        names = [task.name for task in TASKS]
        return simple_evaluate(model, tasks=names, task_manager=manager, bootstrap_iters=0, verbosity="ERROR")


@pytest.fixture(scope="module")
def answered(engine):
    """Item and output of every document of every task, answered by the engine in its own batches."""
    found = {}
    for task in TASKS:
        items = find(task, "fixture", True).items
        requests = [task.request(item, Mode.OFFICIAL) for item in items]
        outputs = {}
        for batch in engine.plan(requests):
            outputs.update(zip(batch, engine.run([requests[place] for place in batch]).outputs, strict=True))
        found[task.name] = [(item, outputs[place]) for place, item in enumerate(items)]
    return found


def samples(expected, task):
    """The package's records, one a document, of the filter that makes the headline."""
    rows = expected["samples"][task.name]
    name = task.load.args[0].headline.partition(",")[2] or "none"
    return sorted((row for row in rows if row["filter"] == name), key=lambda row: row["doc_id"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_request_is_the_same_text(expected, answered, task):
    for row, (item, _) in zip(samples(expected, task), answered[task.name], strict=True):
        contexts = [pair[0] for pair in row["arguments"]]
        assert contexts == list(item.contexts or [item.prompt] * len(contexts))
        if item.choices:
            assert [pair[1] for pair in row["arguments"]] == list(item.choices)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_answer_is_the_same(expected, answered, task):
    for row, (item, output) in zip(samples(expected, task), answered[task.name], strict=True):
        answers = [resp[0] for resp in row["resps"]]
        if item.choices:
            logprobs, greedy = zip(*answers, strict=True)
            assert output.choice_logprobs == pytest.approx(logprobs, abs=TOLERANCE_NATS), item.id
            assert output.choice_greedy == greedy
        else:
            assert [output.text] == answers


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_metric_is_the_same(expected, answered, task):
    scores = [task.scorer(item, output, Mode.OFFICIAL) for item, output in answered[task.name]]
    result = task.metric.aggregate(scores, Mode.OFFICIAL)
    theirs = expected["results"][task.name]
    metrics = {name.removesuffix(",none"): value for name, value in theirs.items() if isinstance(value, float)}
    metrics = {name: value for name, value in metrics.items() if "stderr" not in name}
    headline = task.load.args[0].headline
    assert headline in metrics
    if task.metric.name == "mc2":
        assert result.value == pytest.approx(metrics[headline], abs=1e-6)
        return
    assert result.value == metrics[headline]
    assert {name: result.extras[name] for name in metrics} == metrics
    assert result.n == theirs["sample_len"]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_same_answers_have_the_same_score_to_the_last_bit(expected, task):
    """Scores of the answers that the package itself recorded, float noise of the forward passes aside."""
    from pytest_slmsec.core.items import Output

    headline = task.load.args[0].headline
    for row, item in zip(samples(expected, task), find(task, "fixture", True).items, strict=True):
        answers = [resp[0] for resp in row["resps"]]
        if item.choices:
            logprobs, greedy = zip(*answers, strict=True)
            output = Output(choice_logprobs=logprobs, choice_greedy=greedy)
        else:
            output = Output(text=answers[0])
        assert task.scorer(item, output, Mode.OFFICIAL).value == row[headline.partition(",")[0]]


def test_tinysec_answers_with_finite_numbers_everywhere(answered):
    for task in TASKS:
        for item, output in answered[task.name]:
            score = task.scorer(item, output, Mode.STRICT)
            assert all(map(math.isfinite, score.parts.values())), item.id
