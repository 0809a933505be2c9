"""A tiny model, calibration text of our own, and its quantised versions; made once."""

import pytest
import tinymodel

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.store import ensure_quantized

THINGS = ("a new service", "an LSASS dump", "a macro document", "a failed logon", "a scheduled task", "a shadow copy")
HOSTS = ("the mail host", "the file host", "a laptop", "the domain controller", "a build agent", "a kiosk")


@pytest.fixture(scope="session")
def calibration(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "calibration.txt"
    plain = "The log of {0} shows {1}; what should be done next on {0}?"
    turns = "<|system|>Be brief.<|end|><|user|>Is {1} on {0} odd?<|end|><|assistant|>Yes<|end|>"
    lines = [form.format(host, thing) for form in (plain, turns) for host in HOSTS for thing in THINGS]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    return EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.fixture(scope="session")
def spec(base):
    def make(quant):
        return ModelSpec(f"tiny-{quant}", "tiny", quant, source="path", location=str(base), gptq_group_size=32)

    return make


@pytest.fixture(scope="session")
def quantised(spec, settings, calibration):
    """Directory of a quantisation of the tiny model."""
    return lambda quant: ensure_quantized(spec(quant), settings, calibration)
