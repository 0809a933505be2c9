"""Tiny Llamas as GGUF files: in a directory with their tokenizer, and by themselves."""

import shutil

import pytest
import tinymodel

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.checkpoint import read_checkpoint, support_files

CONTEXT = 2048


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """A Llama for transformers."""
    return tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "llama", context=CONTEXT)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """Converts a model directory: a directory with ``model.gguf`` and the tokenizer."""
    pytest.importorskip("llama_cpp")
    from pytest_slmsec.quantize.gguf_ import convert

    def make(directory):
        out = tmp_path_factory.mktemp("gguf")
        convert(read_checkpoint(directory), out / "model.gguf")
        for path in support_files(directory):
            shutil.copyfile(path, out / path.name)
        return out

    return make


@pytest.fixture(scope="session")
def directory(llama, converted):
    return converted(llama)


@pytest.fixture
def copy(directory, tmp_path):
    return shutil.copytree(directory, tmp_path / "model")


@pytest.fixture(scope="session")
def both(llama, directory, load):
    """The same Llama in transformers and in llama.cpp, both in fp32."""
    pytest.importorskip("llama_cpp")
    return load(llama), load(directory, dtype="fp32")


@pytest.fixture(scope="session")
def own(directory, load):
    """The GGUF file by itself: tokens and template of its own."""
    return load(directory / "model.gguf", dtype="fp32")


@pytest.fixture(scope="session")
def spec():
    return lambda place: ModelSpec("tiny", "tiny", source="path", location=str(place))
