"""A machine that is cut off finds out once, and soon; one that has the hub goes on as before."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import datasets.config
import pytest
from huggingface_hub import constants

from pytest_slmsec.core import hub
from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find


class Forbidding(BaseHTTPRequestHandler):
    """Says no to everything, and counts."""

    asked = 0

    def do_HEAD(self):
        type(self).asked += 1
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    hub.hub_answers.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "PATIENCE_S", 0.3)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
    hub.hub_answers.cache_clear()


@pytest.fixture
def endpoint(monkeypatch):
    def use(port):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")

    return use


def test_any_answer_is_one_and_it_is_asked_once(endpoint):
    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint(server.server_port)
        Forbidding.asked = 0
        assert hub.hub_answers()
        with hub.downloads_only_unless_it_answers():
            assert not constants.HF_HUB_OFFLINE
        assert Forbidding.asked == 1
        server.shutdown()


def test_a_closed_port_and_one_that_never_answers_are_none(endpoint):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint(silent.getsockname()[1])
        assert not hub.hub_answers()
        port = silent.getsockname()[1]
    hub.hub_answers.cache_clear()
    endpoint(port)
    assert not hub.hub_answers()


def test_where_nothing_answers_the_libraries_look_at_downloads_only_and_are_on_again_afterwards(endpoint):
    endpoint(1)
    with hub.downloads_only_unless_it_answers():
        assert constants.HF_HUB_OFFLINE
        assert datasets.config.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE


def test_offline_by_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", "not even an address")
    assert not hub.hub_answers()


def test_items_of_the_hub_are_an_error_with_a_remedy_at_once(endpoint, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    endpoint(1)
    with pytest.raises(DataUnavailable, match=r"could not be read from the Hugging Face hub .*--slmsec-data"):
        find(find_task("cti-rcm"), "hub", False).items  # noqa: B018
