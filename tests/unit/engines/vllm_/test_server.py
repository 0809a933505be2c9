"""vLLM's own server behind ``openai:``, against transformers on tinysec (`tox run -e vllm`)."""

import sys

import pytest
from realservers import running

from pytest_slmsec.core.choices import Mode
from pytest_slmsec.core.items import Choose, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.base import unable
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

TINYSEC = parse_model("tinysec", shipped_registry(), ())
TOLERANCE_NATS = 1e-4
START_S = 600
COMMAND = [
    sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", TINYSEC.location, "--served-model-name",
    "tinysec", "--dtype", "float32", "--max-model-len", "2048", "--enforce-eager", "--no-enable-prefix-caching",
    "--generation-config", "vllm", "--host", "127.0.0.1", "--port", "{port}",
]  # fmt: skip


def items(name, n):
    task = find_task(name)
    found = find(task, "fixture", True).items[:n]
    return task, found, [task.request(item, Mode.STRICT) for item in found]


def answers(engine, asked):
    found = {}
    for batch in engine.plan(asked):
        found.update(zip(batch, engine.run([asked[at] for at in batch]).outputs, strict=True))
    return [found[at] for at in range(len(asked))]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    pytest.importorskip("vllm", reason="vLLM wants an environment of its own: tox run -e vllm")
    with running(COMMAND, "/health", tmp_path_factory.mktemp("log") / "vllm.txt", START_S) as url:
        server = ServerSettings(base_url=url, timeout_s=120)
        engine = make_engine(parse_model("openai:tinysec", {}, ()), EngineSettings(server=server))
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def ours():
    engine = make_engine(TINYSEC, EngineSettings())
    yield engine
    engine.close()


@pytest.mark.parametrize("name", ["cti-mcq", "cti-rcm"])
def test_texts_scores_and_prompt_tokens_are_those_of_transformers(served, ours, name):
    task, found, asked = items(name, 16)
    for item, one, other in zip(found, answers(served, asked), answers(ours, asked), strict=True):
        assert one.error is None
        assert (one.text, one.new_tokens, one.prompt_tokens) == (other.text, other.new_tokens, other.prompt_tokens)
        assert task.scorer(item, one, Mode.STRICT) == task.scorer(item, other, Mode.STRICT)


def test_letters_are_chosen_alike_and_count_with_a_blank_before_them_too(served, ours):
    """A letter that is not among the 20 likeliest tokens has no log-probability, and no item is an error for it."""
    _, _, asked = items("cti-mcq-choice", 64)
    theirs, own = answers(served, asked), answers(ours, asked)
    assert served.info.extra["choice_mode"] == "top_logprobs"
    for one, other in zip(theirs, own, strict=True):
        assert one.error is None
        assert one.choice_greedy == other.choice_greedy
        for found, expected in zip(one.choice_logprobs or one.choice_scores, other.choice_logprobs, strict=True):
            assert found is None or found >= expected - TOLERANCE_NATS
    whole = [one for one in theirs if one.choice_logprobs is not None]
    assert len(whole) >= 60


def test_continuations_of_raw_texts_have_the_log_probabilities_of_transformers(served, ours):
    choices = (" the port of SSH", " the host", " the")
    asked = [Choose("x", (Message("user", "A scan of"),), choices, raw=True)]
    (one,), (other,) = answers(served, asked), answers(ours, asked)
    assert served.info.extra["raw_choice_mode"] == "echo"
    assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=TOLERANCE_NATS)
    assert (one.choice_greedy, one.prompt_tokens) == (other.choice_greedy, other.prompt_tokens)


def test_what_the_server_does_not_tell(served):
    info, conversation = served.info, Choose("x", (Message("user", "Which?"),), ("a long option", "another"))
    assert (info.tokenizer_sha256, info.template_sha256, info.model_bytes) == ("server", "server", None)
    assert info.extra["tells_timings"] is False
    assert "longer than a letter" in unable(served, conversation)
