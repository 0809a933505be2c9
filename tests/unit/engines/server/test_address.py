"""Where a server is, and the key that opens it."""

import dataclasses
import json

import pytest
from faultserver import FaultServer
from serverasks import QUICK, connect, question

from pytest_slmsec.core.errors import ModelError, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.engines.server.address import Address, Key, addresses_of
from pytest_slmsec.quantize.load_model import make_engine

SECRET = "sk-test-4f9a8b7c6d5e"


@pytest.mark.parametrize(
    ("text", "url", "place"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1", "localhost:8000/v1"),
        ("https://api.example.org/v1/", "https://api.example.org/v1", "api.example.org/v1"),
        ("https://host/openai/v2?api-version=1&sig=x", "https://host/openai/v2", "host/openai/v2"),
        (" http://[::1]:80/v1 ", "http://[::1]:80/v1", "[::1]:80/v1"),
    ],
)
def test_a_base_url_and_what_is_recorded_of_it(text, url, place):
    address = Address.parse(text, "/v1")
    assert (address.url, address.place) == (url, place)


@pytest.mark.parametrize(
    "text", ["localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://h:0", ""]
)
def test_no_url(text):
    with pytest.raises(UsageError, match=r"--slmsec-base-url.* write http://HOST:PORT/v1"):
        Address.parse(text, "/v1")


def test_credentials_in_a_url_are_refused_and_not_repeated():
    with pytest.raises(UsageError, match="holds a name or password") as error:
        Address.parse(f"https://me:{SECRET}@host/v1")
    assert SECRET not in str(error.value)


def test_the_address_of_a_registry_entry_goes_before_that_of_the_run():
    entry = {"grok": {"location": "openai:grok-3-mini", "base_url": "https://api.x.ai/v1", "key_variable": "XAI_KEY"}}
    spec = parse_model("grok", entry, ())
    assert (spec.source, spec.engine, spec.location) == ("server", "openai", "grok-3-mini")
    settings = ServerSettings(base_url="http://localhost:1")
    assert [one.place for one in addresses_of(spec, settings, None, "/v1")] == ["api.x.ai/v1"]
    assert addresses_of(parse_model("openai:m", {}, ()), settings, None, "/v1")[0].place == "localhost:1/v1"


def test_without_an_address_nothing_is_guessed():
    with pytest.raises(UsageError, match=r"openai:m: give the address of the server with --slmsec-base-url=URL"):
        make_engine(parse_model("openai:m", {}, ()), EngineSettings())


def test_the_key_is_sent_and_shown_nowhere(monkeypatch):
    monkeypatch.setenv("SLMSEC_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key")
    with FaultServer(answer=lambda path, body: f"your key is {SECRET}") as server:
        engine = connect(server)
        batch = engine.run([question(1)])
        engine.close()
    assert server.headers["Authorization"] == f"Bearer {SECRET}"
    shown = repr(
        (engine.info, batch, Key(SECRET), vars(engine), [one.client._http.headers for one in engine._servers.members])
    )
    assert SECRET not in shown + json.dumps(dataclasses.asdict(batch))
    assert batch.outputs[0].text == "your key is [key]"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_server_that_repeats_the_key_in_an_error_does_not_spread_it(monkeypatch, status):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    words = f"bad key {SECRET}, " + "x" * 170 + SECRET
    with FaultServer(fault=lambda path, body, n: (status, {}, words)) as server, pytest.raises(ModelError) as error:
        connect(server)
    assert SECRET not in str(error.value)
    assert SECRET[:8] not in str(error.value)


def test_a_variable_may_be_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    with FaultServer() as server:
        connect(server, key_variable="MY_KEY").close()
        assert server.headers["Authorization"] == f"Bearer {SECRET}"
        with pytest.raises(UsageError, match="the environment variable that is named to hold the key is not set"):
            connect(server, key_variable="NO_KEY")
        monkeypatch.setenv("MY_KEY", "two\nlines")
        with pytest.raises(UsageError, match="holds characters that no key has"):
            connect(server, key_variable="MY_KEY")


def test_without_a_key_none_is_sent():
    with FaultServer() as server:
        connect(server).close()
    assert "Authorization" not in server.headers


def test_a_placeholder_for_a_key_is_not_taken_out_of_answers():
    assert Key("EMPTY").removed("an EMPTY queue") == "an EMPTY queue"


def test_ollama_is_looked_for_on_this_machine():
    spec = parse_model("ollama:llama3.2:1b", {}, ())
    assert (spec.location, spec.engine) == ("llama3.2:1b", "ollama")
    assert addresses_of(spec, QUICK, "http://localhost:11434", "")[0].place == "localhost:11434"
