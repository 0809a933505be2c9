"""A replica: one process with an engine and no pytest, whose answers are those of one process, bit by bit."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.models import Adapter, ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.batch_runner import ask
from pytest_slmsec.execution.model_loader import ModelLoader
from pytest_slmsec.execution.packed_weights import pack_model, unpack
from pytest_slmsec.execution.pool import Job
from pytest_slmsec.execution.replica import Replica, _Silent
from pytest_slmsec.quantize.load_model import make_engine

TINYSEC = parse_model("tinysec", shipped_registry(), ())
MESSAGES = (Message("user", "What is CWE-79?"),)


def test_it_runs_without_pytest():
    code = (
        "import sys, pytest_slmsec.execution.replica, pytest_slmsec.execution.ray_pool; "
        "print({'pytest', '_pytest', 'torch', 'ray'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_rows_of_a_window_have_the_bits_of_the_whole_in_one_process(tmp_path):
    requests = tuple(
        Choose(f"c{n}", (Message("user", f"Is port {n} open?"),), (" yes", " no"))
        if n % 2
        else Generate(f"g{n}", (Message("user", f"What is CWE-{n}?"),), 8)
        for n in range(12)
    )
    settings = EngineSettings(cache_dir=tmp_path)
    models = ModelLoader(lambda spec: make_engine(spec, settings), _Silent())
    journal = Journal.start(tmp_path / "j.jsonl")
    alone = [one.output for one in ask(models.load(TINYSEC), requests, journal, lambda done: None)]
    replica, packed = Replica(), pack_model(TINYSEC)
    nowhere = replace(TINYSEC, location=str(tmp_path / "not here"))
    found = {}
    for rows in ((0, 1, 4, 7), (2, 3, 5, 6, 8, 9, 10, 11)):
        done = replica.run(Job(nowhere, settings, requests, rows), *packed)
        assert done.failed == {}
        found |= {key: output for batch in done.batches for key, output in zip(batch.keys, batch.outputs, strict=True)}
    keys = [key for batch in done.batches for key in batch.keys]
    assert len(keys) == 8
    assert [found[key] for key in _keys(models, requests)] == alone
    models.unload()


def _keys(models, requests):
    from pytest_slmsec.core.identity import answer_key

    return [answer_key(models.load(TINYSEC).identity, request) for request in requests]


def test_a_model_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    done = Replica().run(Job(ModelSpec("gone", "gone", source="path", location=str(tmp_path / "x")), EngineSettings()))
    assert done.refused == f"gone: there is no directory {tmp_path / 'x'}."


@pytest.fixture
def model(tmp_path):
    for name in ("model", "adapter"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "config.json").write_text(name)
    adapter = Adapter("a", "path", str(tmp_path / "adapter"))
    return ModelSpec("m+a", "m", adapter=adapter, source="path", location=str(tmp_path / "model"))


def test_small_weights_travel_by_their_content(model, tmp_path):
    first, second = pack_model(model)
    place = unpack(first, tmp_path / "cache")
    assert (place / "inner" / "config.json").read_text() == "model"
    assert unpack(first, tmp_path / "cache") == place
    moved = second.placed(first.placed(model, place), unpack(second, tmp_path / "cache"))
    assert moved.location == str(place)
    assert moved.adapter.location != model.adapter.location
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")] == []


def test_a_single_file_travels_too(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (packed,) = pack_model(ModelSpec("m", "m", source="path", location=str(tmp_path / "m.gguf")))
    assert unpack(packed, tmp_path / "cache").read_bytes() == b"GGUF"
    assert unpack(packed, tmp_path / "cache").name == "m.gguf"


def test_large_weights_and_those_of_the_hub_stay(model):
    assert pack_model(model, largest_bytes=3) == ()
    assert pack_model(ModelSpec("h", "h", source="hub", location="org/name")) == ()


def test_the_time_of_loading_is_told_once(tmp_path):
    settings, replica, requests = EngineSettings(cache_dir=tmp_path), Replica(), (Generate("g", MESSAGES, 2),)
    packed = pack_model(TINYSEC)
    first, second = (replica.run(Job(TINYSEC, settings, requests, (0,)), *packed) for _ in range(2))
    assert first.load_s > 0
    assert second.load_s == 0
    assert replica.run(Job(ModelSpec("x", "x", source="path", location="nowhere"), settings)).refused
    assert replica.run(Job(TINYSEC, settings), *packed).load_s > 0
