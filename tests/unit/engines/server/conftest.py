"""Fault servers and engines over them, ended with the test."""

import pytest
from faultserver import FaultServer
from serverasks import connect


@pytest.fixture
def serve():
    """Starts fault servers and engines over them, and ends both."""
    opened = []

    def start(fault=None, name="openai:toy", settings=None, notice=None, **facts):
        server = FaultServer(fault=fault, **facts).__enter__()
        opened.append(lambda: server.__exit__())
        engine = connect(server, name, notice, **(settings or {}))
        opened.append(engine.close)
        return server, engine

    yield start
    for end in reversed(opened):
        end()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("SLMSEC_API_KEY", "OPENAI_API_KEY", "SLMSEC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
