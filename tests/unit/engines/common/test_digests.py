"""Digests of weights: by content and name, and remembered for large files until they change."""

import os

from pytest_slmsec.engines.common import digests
from pytest_slmsec.engines.common.digests import weights_sha256


def test_contents_count_and_folders_do_not(tmp_path):
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_bytes(content)
    a, b, c = (weights_sha256([tmp_path / folder / "model.safetensors"], tmp_path) for folder in "abc")
    assert a == b != c


def test_a_large_file_is_read_once_and_again_when_it_changed(tmp_path, monkeypatch):
    read = []

    def number_of_reading(path):
        read.append(path)
        return str(len(read))

    monkeypatch.setattr(digests, "SMALL_FILE_BYTES", 2)
    monkeypatch.setattr(digests, "sha256_file", number_of_reading)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"large")
    first = weights_sha256([file], tmp_path / "cache")
    assert weights_sha256([file], tmp_path / "cache") == first
    assert len(read) == 1
    file.write_bytes(b"LARGE")
    os.utime(file, ns=(1, 1))
    assert weights_sha256([file], tmp_path / "cache") != first
    assert len(read) == 2


def test_a_damaged_store_only_costs_time(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "SMALL_FILE_BYTES", 2)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"large")
    first = weights_sha256([file], tmp_path)
    (tmp_path / "file-digests.json").write_text("{")
    assert weights_sha256([file], tmp_path) == first
