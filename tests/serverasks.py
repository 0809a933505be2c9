"""Engines over a fault server that are quick to lose patience, and what they are asked."""

from dataclasses import replace

from faultserver import prompt_of

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings, ThinkingSettings
from pytest_slmsec.quantize.load_model import make_engine

QUICK = ServerSettings(timeout_s=5, attempts=4, backoff_s=0.001, longest_wait_s=0.05)


def connect(server, name="openai:toy", notice=None, registry=None, thinking=None, **settings):
    """The engine of a model on a fault server, or on several. `thinking`: fields of `ThinkingSettings`."""
    urls = tuple(one.url for one in server) if isinstance(server, (list, tuple)) else server.url
    servers = replace(QUICK, base_url=urls, **settings)
    chosen = EngineSettings(server=servers, notice=notice, thinking=ThinkingSettings(**(thinking or {})))
    return make_engine(parse_model(name, registry or {}, ()), chosen)


def question(n, text="", **fields):
    return Generate(f"q-{n}", (Message("user", f"item {n} {text}"),), 8, **fields)


def letters(n, **fields):
    return Choose(f"q-{n}", (Message("user", f"item {n}"),), tuple("ABC"), **fields)


def on_items(fault):
    """A fault of the questions only, and not of the probe."""

    def chosen(path, body, n):
        prompt = prompt_of(body)
        return fault(prompt, n) if "item" in prompt else None

    return chosen
