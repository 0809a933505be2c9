"""Against `transformers serve` itself, with a tiny model: the same texts as from the transformers engine."""

import sys

import pytest
from realservers import running
from serverasks import QUICK, letters, question
from tinymodel import build_tiny_llama

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import unable
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.quantize.load_model import make_engine

for package in ("fastapi", "uvicorn", "openai"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build_tiny_llama(tmp_path_factory.mktemp("served") / "tiny", context=1024)


@pytest.fixture(scope="module")
def engine(model, tmp_path_factory):
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), "--host", "127.0.0.1"]
    log = tmp_path_factory.mktemp("log") / "serve.txt"
    with running([*command, "--port", "{port}", "--device", "cpu"], "/health", log) as url:
        settings = EngineSettings(server=ServerSettings(base_url=url, timeout_s=60, backoff_s=QUICK.backoff_s))
        engine = make_engine(parse_model(f"openai:{model}", {}, ()), settings)
        yield engine
        engine.close()


def test_it_generates_what_transformers_generates(engine, model, tmp_path):
    requests = [question(1), question(2, "which port?", stop=("o",)), question(3, raw=True)]
    spec = ModelSpec("tiny", "tiny", source="path", location=str(model))
    local = make_engine(spec, EngineSettings(device="cpu", cache_dir=tmp_path, offline=True))
    ours, theirs = local.run(requests).outputs, engine.run(requests).outputs
    assert [output.error for output in theirs] == [None] * 3
    assert [output.text for output in theirs] == [output.text for output in ours]
    assert [output.prompt_tokens for output in theirs] == [output.prompt_tokens for output in ours]


def test_what_it_passes_over_is_noticed(engine):
    extra = engine.info.extra
    assert (extra["choice_mode"], extra["raw_choice_mode"], extra["counts_tokens"]) == ("none", "none", True)
    assert "leaves out the log-probabilities" in unable(engine, letters(1))
    assert extra["reported_model"].endswith("tiny@main")
