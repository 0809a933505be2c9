"""A build of llama.cpp that does not run on this machine is one sentence with the remedy, and ends no run."""

import os
import sys

import pytest

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.llamacpp import library
from pytest_slmsec.engines.llamacpp.probe import check_loads

ILLEGAL = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
UNLOADABLE = "raise RuntimeError(\"Failed to load shared library 'libllama.so': invalid ELF header\")\n"
CANNOT_BE_LOADED = r"cannot be loaded \(Failed to load shared .* invalid ELF header\): it was built for another"


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Puts a package llama_cpp of these lines first on the path, of this process and of those it starts."""

    def make(lines):
        package = tmp_path / "llama_cpp"
        package.mkdir()
        (package / "__init__.py").write_text(lines)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="the signal is that of POSIX")
def test_a_build_for_another_processor_is_named_with_the_remedy(build, tmp_path):
    build(ILLEGAL)
    with pytest.raises(ModelError) as error:
        check_loads(tmp_path / "any.gguf")
    said = str(error.value)
    assert said.startswith("llama.cpp, as it is installed here, was built for another processor (")
    assert f"`{library.REBUILD}`" in said
    assert "where it was built here already, for any processor with CMAKE_ARGS=-DGGML_NATIVE=OFF" in said
    assert "\n" not in said


def test_a_library_that_the_system_cannot_load_is_named_with_the_remedy(build, tmp_path):
    build(UNLOADABLE)
    with pytest.raises(ModelError, match=CANNOT_BE_LOADED):
        library.import_llama.__wrapped__()
    with pytest.raises(ModelError, match=CANNOT_BE_LOADED):
        check_loads(tmp_path / "any.gguf")
