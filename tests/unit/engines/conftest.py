"""One tiny model and one engine over it, shared by all tests of engines."""

from dataclasses import replace

import pytest
import tinymodel

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine


def spec_of(path, quant=None):
    return ModelSpec("tiny", "tiny", quant, source="path", location=str(path), gptq_group_size=32)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The directory of a tiny Llama; tests copy it before they change anything."""
    return tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    return EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.fixture(scope="session", params=[True, False], ids=["packed", "padded"])
def engine(request, tiny, settings):
    return make_engine(spec_of(tiny), replace(settings, packing=request.param))


@pytest.fixture(scope="session")
def load(settings):
    """Loads a model directory with the session's settings, or others."""
    return lambda path, quant=None, **other: make_engine(spec_of(path, quant), replace(settings, **other))


@pytest.fixture(scope="session")
def load_spec():
    """The specification of a model directory."""
    return spec_of
