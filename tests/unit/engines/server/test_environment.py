"""Proxies and certificates of the environment are named where they are the cause."""

import socket
import ssl

import pytest
from faultserver import FaultServer
from serverasks import QUICK, connect

from pytest_slmsec.core.errors import ModelUnavailable
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.registry import load_directory
from pytest_slmsec.engines.server.address import Address
from pytest_slmsec.engines.server.environment import CERTIFICATES, Proxy, proxy_for

ELSEWHERE = "http://192.0.2.1:8000/v1"
"""An address for documentation (RFC 5737), so that nothing on this machine counts as local."""
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in (*VARIABLES, *map(str.upper, VARIABLES), *CERTIFICATES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def load(url=ELSEWHERE):
    settings = EngineSettings(server=QUICK.__class__(base_url=url, timeout_s=2, attempts=2, backoff_s=0.001))
    spec = parse_model("openai:toy", {}, ())
    load_directory(None, "openai", spec, settings)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_dead_proxy_is_named_with_its_variable(monkeypatch, closed_port, variable):
    monkeypatch.setenv(variable, f"http://me:secret@127.0.0.1:{closed_port}")
    with pytest.raises(ModelUnavailable) as error:
        load()
    said = str(error.value)
    assert (
        f"cannot be reached through the proxy http://127.0.0.1:{closed_port} (environment variable {variable}): "
        in said
    )
    assert said.endswith(f"; correct or unset {variable}, or add 192.0.2.1 to NO_PROXY.")
    assert "start the server" not in said
    assert "secret" not in said


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_named(monkeypatch, name):
    monkeypatch.setenv(name, "/no/such/ca.pem")
    with pytest.raises(ModelUnavailable, match=rf"{name}=/no/such/ca\.pem: there is no such file or directory, and"):
        load()


def test_certificates_that_are_none_are_named(monkeypatch, tmp_path):
    (tmp_path / "ca.pem").write_text("this is no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ModelUnavailable, match=r"SSL_CERT_FILE=.*ca\.pem holds no certificates that can be read \("):
        load()


def test_a_socks_proxy_without_its_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    with pytest.raises(ModelUnavailable) as error:
        load()
    said = str(error.value)
    assert said.startswith(
        "openai:toy: the proxy socks5h://127.0.0.1:1080 (environment variable ALL_PROXY) is a SOCKS proxy, which"
    )
    assert "pip install socksio, or correct or unset ALL_PROXY, or add 192.0.2.1 to NO_PROXY" in said


def test_a_server_on_this_machine_is_asked_without_proxy_and_certificates(monkeypatch, closed_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/ca.pem")
    with FaultServer() as server:
        connect(server).close()


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, None),
        ({"HTTP_PROXY": "p:1"}, Proxy("HTTP_PROXY", "p:1")),
        ({"http_proxy": "http://a:1", "HTTP_PROXY": "http://b:1"}, Proxy("http_proxy", "http://a:1")),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "192.0.2.1"}, None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    ],
)
def test_the_proxy_of_an_address(monkeypatch, environment, found):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(Address.parse(ELSEWHERE)) == found


def test_a_certificate_that_is_not_trusted_comes_with_the_remedy(monkeypatch, self_signed):
    certificate, key = self_signed
    with FaultServer() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        with pytest.raises(ModelUnavailable) as error:
            load(server.url.replace("http://", "https://") + "/v1")
    said = str(error.value)
    assert "has a certificate that is not trusted here (" in said
    assert "name a file with the certificate of its authority in the environment variable SSL_CERT_FILE" in said
    assert "start the server" not in said


@pytest.fixture
def self_signed(tmp_path):
    import subprocess

    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate of this test, and it is not installed")
    return certificate, key
