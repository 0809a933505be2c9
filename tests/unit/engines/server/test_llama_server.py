"""Against llama-cpp-python's own server, with a tiny model as GGUF: its log-probabilities are those of transformers."""

import sys

import pytest
from realservers import running
from serverasks import QUICK, question
from tinymodel import build_tiny_llama

from pytest_slmsec.core.items import Choose, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import unable
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.quantize.load_model import make_engine

for package in ("llama_cpp", "gguf", "fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings"):
    pytest.importorskip(package)

NOISE_NATS = 0.02
"""llama.cpp keeps keys and values in 16 bits."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two tiny models: one whose texts begin with the begin-of-text token, and one whose texts do not."""
    folder = tmp_path_factory.mktemp("gguf")
    return {bos: build_tiny_llama(folder / f"bos-{bos}", context=1024, adds_bos=bos) for bos in (True, False)}


@pytest.fixture(scope="module")
def connect(models, tmp_path_factory):
    """Starts a server of a model, and an engine over it."""
    from contextlib import ExitStack

    from pytest_slmsec.quantize.gguf_ import convert

    with ExitStack() as open_servers:

        def start(bos):
            folder = tmp_path_factory.mktemp("server")
            convert(read_checkpoint(models[bos]), folder / "tiny.gguf")
            command = [sys.executable, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf")]
            command += ["--model_alias", "tiny", "--host", "127.0.0.1", "--port", "{port}", "--n_ctx", "1024"]
            command += ["--logits_all", "true", "--n_threads", "1", "--n_gpu_layers", "0"]
            url = open_servers.enter_context(running(command, "/v1/models", folder / "log.txt"))
            server = ServerSettings(base_url=url, timeout_s=60, backoff_s=QUICK.backoff_s)
            engine = make_engine(parse_model("openai:tiny", {}, ()), EngineSettings(server=server))
            open_servers.callback(engine.close)
            return engine

        yield start


@pytest.fixture(scope="module")
def engine(connect):
    return connect(True)


@pytest.fixture(scope="module")
def local(models, tmp_path_factory):
    spec = ModelSpec("tiny", "tiny", source="path", location=str(models[True]))
    return make_engine(spec, EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True))


def raw(*choices, contexts=()):
    text = "Which technique dumps credentials?\nAnswer:"
    return Choose("raw", (Message("user", text),), choices, raw=True, contexts=contexts)


@pytest.mark.parametrize(
    "request_",
    [
        raw(" A", " B", " C"),
        raw(" LSASS memory", " a phishing mail with a macro", " PowerShell"),
        raw(" starts PowerShell.", contexts=("The macro", "The second stage of the macro")[:1]),
        raw(" runs code.", " fails.", contexts=("The buffer overflow", "A failed logon")),
    ],
)
def test_echoed_log_probabilities_are_those_of_transformers(engine, local, request_):
    assert engine.info.extra["raw_choice_mode"] == "echo"
    (theirs,), (ours,) = engine.run([request_]).outputs, local.run([request_]).outputs
    assert theirs.error is None
    assert theirs.choice_logprobs == pytest.approx(ours.choice_logprobs, abs=NOISE_NATS)
    assert (theirs.prompt_tokens, theirs.choice_greedy) == (ours.prompt_tokens, ours.choice_greedy)


def test_the_first_token_of_a_conversation_scores_letters(engine, local):
    messages = (Message("user", "Answer with a letter."),)
    top = dict(engine._loop.call(engine._dialect.generate(_first_token(messages))).top)
    letters = tuple(sorted(token for token in top if len(token.strip()) == 1 and token.strip() == token))[:3]
    request = Choose("q", messages, letters)
    (theirs,), (ours,) = engine.run([request]).outputs, local.run([request]).outputs
    assert engine.info.extra["choice_mode"] == "top_logprobs"
    assert len(letters) > 1
    assert theirs.prompt_tokens == ours.prompt_tokens
    # A letter with a blank before it counts too, so it is at least as likely.
    for letter, found, own in zip(letters, theirs.choice_logprobs, ours.choice_logprobs, strict=True):
        expected = own if f" {letter}" not in top else None
        assert found >= own - NOISE_NATS
        assert expected is None or found == pytest.approx(expected, abs=NOISE_NATS)


def _first_token(messages):
    from pytest_slmsec.engines.server.dialect import TextRequest

    return TextRequest(messages, top=20)


def test_it_generates(engine):
    first, raw_text = engine.run([question(1), question(2, raw=True)]).outputs
    assert (first.error, raw_text.error) == (None, None)
    assert first.prompt_tokens > raw_text.prompt_tokens > 0
    assert first.new_tokens == 8


def test_an_echo_that_is_shifted_by_a_token_is_found_out(connect):
    """llama-cpp-python 0.3.36 pairs each token with the row of the one before it where there is no begin-of-text
    token to drop."""
    shifted = connect(False)
    assert shifted.info.extra["raw_choice_mode"] == "top_logprobs"
    assert "differ from those of the same tokens generated" in shifted.info.extra["missing"]["echo"]
    assert unable(shifted, raw(" A", " B")) is None
    assert "longer than a letter" in unable(shifted, raw(" LSASS memory", " mail"))
