"""Packages of extras."""

import pytest

from pytest_slmsec.core.errors import MissingExtraError
from pytest_slmsec.core.extras import require


def test_what_is_there_is_not_imported(monkeypatch, tmp_path):
    (tmp_path / "a_package.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    require("A part", "some", "json", "a_package")


def test_the_first_missing_package_is_named_as_pip_calls_it(monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None if "_" in name else object())
    with pytest.raises(MissingExtraError) as caught:
        require("A GGUF model", "gguf", "gguf", "llama_cpp", "other_package")
    assert str(caught.value) == (
        "A GGUF model needs the package 'llama-cpp-python', which is not installed: run `pip install "
        "'pytest-slmsec[gguf]'`."
    )
