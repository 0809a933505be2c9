"""`slmsec log`: stored runs in the real MLflow (on SQLite) and the real W&B (offline)."""

import json
import logging
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_runs import content, plain
from reportpages import two_models

from pytest_slmsec.cli.main import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a run of two models, and no settings of trackers from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("SLMSEC_DATA", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    run = two_models() | {"datetime": "2026-01-02T03:04:05+00:00", "commit_info": {"id": "abcdef0123456789"}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Where MLflow makes its tables: once for all tests, because that takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


EXPECTED = {
    "phi3": {"cti-mcq/score": 0.75, "mean_score": 0.75, "cti-mcq/n": 120, "cti-mcq/decode_tokens_per_s": 40.0},
    "phi3-gptq4": {"cti-mcq/score": 0.625, "cti-mcq/lost": 15, "cti-mcq/gained": 0, "cti-mcq/drop": 0.125,
                   "cti-mcq/drop_limit": 0.02},
}  # fmt: skip


class TestMlflow:
    """On SQLite, as MLflow does by default."""

    @pytest.fixture
    def client(self, here, store, monkeypatch):
        tracking = pytest.importorskip("mlflow.tracking")
        pytest.importorskip("alembic")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
        return tracking.MlflowClient(store)

    def runs(self, client, experiment):
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        return {run.info.run_name: run for run in found}

    def files(self, client, run):
        return sorted(file.path for file in client.list_artifacts(run.info.run_id))

    def test_each_model_is_a_run_with_its_numbers_and_files(self, here, client, capsys):
        assert main(["log", "run.json", "--to", "mlflow"]) == 0
        assert "phi3-gptq4 (2 of 2): " in capsys.readouterr().out
        runs = self.runs(client, "pytest-slmsec")
        assert set(runs) == set(EXPECTED)
        for name, metrics in EXPECTED.items():
            run = runs[name]
            assert metrics.items() <= run.data.metrics.items()
            assert run.data.params["engine"] == "transformers 5.23.0"
            assert run.data.params["commit"] == "abcdef012345"
            assert run.info.status == "FINISHED"
            assert run.info.start_time == 1767323045000
            assert self.files(client, run) == ["report.html", "run.json"]
        assert runs["phi3-gptq4"].data.params["verdict"] == "FAIL"
        kept = client.download_artifacts(runs["phi3"].info.run_id, "run.json", str(here / "kept"))
        assert Path(kept).read_bytes() == (here / "run.json").read_bytes()

    def test_many_benchmarks_and_names_with_other_characters(self, here, client):
        runs = [plain("10", benchmark=f"b (#) {n}@fixture") for n in range(60)]
        (here / "run.json").write_text(json.dumps(content(*runs)))
        assert main(["log", "run.json", "--to", "mlflow", "--experiment", "many"]) == 0
        run = self.runs(client, "many")["phi3"]
        assert run.data.metrics["b ___ 59/fixture/score"] == 0.5
        assert len([name for name in run.data.params if name.endswith("/scorer")]) == 60

    def test_a_page_of_ones_own_and_one_model(self, here, client):
        (here / "own.html").write_text("<p>own</p>")
        assert main(["log", "run.json::phi3", "--to", "mlflow", "--experiment", "one", "--report", "own.html"]) == 0
        (run,) = self.runs(client, "one").values()
        assert self.files(client, run) == ["own.html", "run.json"]

    @pytest.mark.parametrize("broken", ["http://me:secret@127.0.0.1:9", "sqlite:///run.json"], ids=["server", "file"])
    def test_a_store_that_does_not_work_is_one_sentence_without_a_password(self, client, monkeypatch, capsys, broken):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", broken)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        logging.disable(logging.CRITICAL)
        try:
            assert main(["log", "run.json", "--to", "mlflow"]) == 2
        finally:
            logging.disable(logging.NOTSET)
        said = " ".join(capsys.readouterr().err.split())
        assert said.startswith("slmsec: error: MLflow")
        assert "did not take the run of phi3: " in said
        assert "secret" not in said
        assert "Traceback" not in said


class TestWandb:
    """Offline: what would be sent lies in a file."""

    @pytest.fixture
    def wandb(self, here):
        return pytest.importorskip("wandb")

    def test_each_model_is_a_run_with_its_numbers_and_files(self, here, wandb, capsys):
        assert main(["log", "run.json", "--to", "wandb", "--experiment", "mine"]) == 0
        said = capsys.readouterr().out
        assert said.count("(offline; send it with `wandb sync`), project mine.") == 2
        runs = {}
        for file in sorted(here.glob("wandb/offline-run-*/*.wandb")):
            found = stored(file)
            runs[found["run"].display_name] = found
            assert found["run"].project == "mine"
            assert set(found["files"]) == {"report.html", "run.json"}
            assert str(here).encode() not in file.read_bytes().replace(str(here / "staging").encode(), b"")
        assert set(runs) == set(EXPECTED)
        for name, metrics in EXPECTED.items():
            assert metrics.items() <= runs[name]["metrics"].items()
            assert runs[name]["config"]["engine"] == "transformers 5.23.0"
        assert runs["phi3-gptq4"]["config"]["verdict"] == "FAIL"

    def test_without_a_key_it_says_what_to_do(self, here, wandb):
        settings = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_CONFIG_DIR": str(here),
                    "NETRC": str(here / "netrc"), "HOME": str(here)}  # fmt: skip
        command = [sys.executable, "-m", "pytest_slmsec.cli.main", "log", "run.json", "--to", "wandb"]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        said = " ".join(done.stderr.split())
        assert done.returncode == 2
        assert "W&B did not take the run of phi3: No API key configured" in said
        assert "WANDB_MODE=offline needs none" in said
        assert "Traceback" not in said


def stored(file):
    """What a run of W&B holds: the run, its metrics and configuration, and the names of its artifacts' files."""
    from wandb.proto.wandb_internal_pb2 import Record

    run, metrics, config, files = None, {}, {}, []
    for data in logged(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            items = record.history.item
            metrics |= {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
        elif kind == "artifact":
            files += [entry.path for entry in record.artifact.manifest.contents]
    return {"run": run, "metrics": metrics, "config": config, "files": files}


def logged(content, header=7, block=32_768):
    """The records of a file in LevelDB's log format, which W&B writes behind a header of its own.

    Source: github.com/google/leveldb, doc/log_format.md.
    """
    position, whole = header, b""
    while position + header <= len(content):
        if block - position % block < header:  # what is left of a block holds no further record
            position += block - position % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        position += header
        whole += content[position : position + length]
        position += length
        if kind in (1, 4):  # the whole of a record, or its last part
            yield whole
            whole = b""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.json", "--to", "mlflow"], "There is no file nothing.json"),
        (["run.json", "--to", "mlflow", "--report", "none.html"], "--report none.html: there is no such file"),
        ([".", "--to", "wandb"], "is a folder; a tracker takes a file of --benchmark-json"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(here, capsys, args, message):
    assert main(["log", *args]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("tracker", "module"), [("mlflow", "mlflow.tracking"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(here, capsys, monkeypatch, tracker, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["log", "run.json", "--to", tracker]) == 2
    assert f"pip install 'pytest-slmsec[{tracker}]'" in " ".join(capsys.readouterr().err.split())
