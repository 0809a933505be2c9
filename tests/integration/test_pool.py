"""--slmsec-pool: replicas on a local Ray cluster of two nodes that loses replicas, nodes and the run itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from raycluster import MixedReplica, MortalReplica, RayCluster
from realservers import free_port

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.journal import Journal, read
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.pool_address import PoolAddress
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution import dispatch, ray_connection, ray_pool
from pytest_slmsec.execution.batch_runner import ask
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.execution.model_loader import ModelLoader
from pytest_slmsec.execution.pool import PoolError
from pytest_slmsec.execution.ray_connection import CLIENT_CALL, HEAD_CALL, refuse_open
from pytest_slmsec.execution.ray_pool import RayPool
from pytest_slmsec.execution.replica import Replica, _Silent
from pytest_slmsec.quantize.load_model import make_engine

# Ray reads whether there is a token when it is imported, so it is looked for and not imported here.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray: `tox run -e ray`")
MODEL = parse_model("tinysec", shipped_registry(), ())
SETTINGS = EngineSettings()
WINDOW = 16
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LONG_S = 300


@pytest.fixture(scope="module")
def cluster():
    """A head and one node, one processor each."""
    with RayCluster() as running:
        running.add()
        yield running


@pytest.fixture(scope="module", autouse=True)
def environment():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def question(n, prefix="", text=""):
    if n % 4 == 0:
        return Choose(f"{prefix}{n}", (Message("user", f"{prefix}Is port {n} open? {text}"),), (" yes", " no"))
    return Generate(f"{prefix}{n}", (Message("user", f"{prefix}Which weakness is CWE-{n}? {text}"),), 48)


def windows_of(requests, size=WINDOW):
    return [requests[start : start + size] for start in range(0, len(requests), size)]


def one_process(windows, folder):
    models = ModelLoader(lambda spec: make_engine(spec, SETTINGS), _Silent())
    resident = models.load(MODEL)
    journal = Journal.start(folder / "one.jsonl")
    found = [[one.output for one in ask(resident, window, journal, lambda done: None)] for window in windows]
    models.unload()
    return found


class Pooled:
    """A dispatch over the replicas of the cluster, with a journal of its own."""

    def __init__(self, folder, replica=Replica):
        self.said = []
        self.journal = Journal.start(folder / "pool.jsonl")
        pool = RayPool(PoolAddress(), self.said.append, replica)
        self.dispatch = Dispatch(pool, lambda spec: SETTINGS, lambda: self.journal, self.said.append)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.dispatch.close()
        self.journal.close()

    def plan(self, windows):
        self.dispatch.plan((MODEL, partial(list, window)) for window in windows)

    def ask(self, window):
        return [one.output for one in self.dispatch.ask(MODEL, window, lambda done: None)]

    def wait_until(self, true):
        """Go on handing out windows until something is so."""
        end = time.monotonic() + LONG_S
        while not true():
            assert time.monotonic() < end, self.said
            self.dispatch._turn(0.5)

    def busy(self):
        """The replicas that work on a window of the loaded model."""
        return [one for one in self.dispatch._replicas.values() if one.jobs and one.jobs[0] is not None]


def asked(cluster, prefix):
    """How often each item was asked, by the replicas' own logs."""
    names = (name for line in cluster.lines("asked") for name in line["asked"])
    return Counter(name for name in names if name.startswith(prefix))


def test_replicas_and_nodes_come_and_go_and_no_answer_is_lost(cluster, tmp_path, monkeypatch):
    windows = windows_of([question(n, "a-") for n in range(20 * WINDOW)])
    with Pooled(tmp_path) as run:
        run.plan(windows)
        found = [run.ask(windows[0])]
        run.wait_until(lambda: len(run.busy()) == 2)

        in_flight = [sum(len(job.rows) for job in one.jobs if job) for one in run.busy()]
        victim = cluster.lines("asked")[-1]["pid"]
        os.kill(victim, signal.SIGKILL)
        run.wait_until(lambda: run.dispatch.tally.deaths == 1)
        run.wait_until(lambda: len(run.busy()) == 2)  # the node has got another

        in_flight += [sum(len(job.rows) for job in one.jobs if job) for one in run.busy()]
        cluster.remove()
        run.wait_until(lambda: run.dispatch.tally.deaths == 2)

        replicas = run.dispatch.tally.replicas
        cluster.add()
        found += [run.ask(window) for window in windows[1:6]]
        run.wait_until(lambda: run.dispatch.tally.replicas > replicas or not any(run.dispatch._queues.values()))
        found += [run.ask(window) for window in windows[6:]]
        assert run.dispatch.tally.replicas == 4
        assert run.dispatch.tally.deaths == 2

        living = {int(one.place.split()[-1].strip("()")) for one in run.dispatch._replicas.values()}
        monkeypatch.setattr(dispatch, "IDLE_S", 0.0)
        run.wait_until(lambda: len(run.dispatch._replicas) == 1)
        assert any("is let go: there is no work for it" in text for text in run.said)
        run.wait_until(lambda: sum(map(psutil.pid_exists, living)) == 1)
    times = asked(cluster, "a-")
    assert set(times) == {request.id for window in windows for request in window}
    assert sum(times.values()) - len(times) <= sum(sorted(in_flight)[-2:])
    assert found == one_process(windows, tmp_path)


def test_a_window_that_kills_replicas_is_one_red_item(cluster, tmp_path):
    window = [question(n, "b-", "bomb" if n == 2 else "") for n in range(4)]
    with Pooled(tmp_path, MortalReplica) as run:
        outputs = run.ask(window)
    assert [output.error is None for output in outputs] == [True, True, False, True]
    assert outputs[2].error.startswith("b-2: every replica died that was asked it")
    assert set(asked(cluster, "b-").values()) == {1}
    assert run.dispatch.tally.deaths == 5  # three with four items, one with two, one with one


def test_a_node_of_another_kind_is_refused(cluster, tmp_path):
    window = [question(n, "d-") for n in range(4)]
    with Pooled(tmp_path, MixedReplica) as run:
        run.wait_until(lambda: any("is refused: its cpu is" in text for text in run.said))
        assert all(output.error is None for output in run.ask(window))
        assert run.dispatch.tally.replicas == 1
    assert set(asked(cluster, "d-").values()) == {1}


def test_a_run_that_is_killed_and_resumed_asks_nothing_twice_that_is_in_its_journal(cluster, tmp_path):
    def command(*args):
        options = [f"--rootdir={tmp_path}", "--model=tinysec", "--slmsec-data=fixture", "--slmsec-benchmarks=cti-mcq"]
        options += ["--slmsec-window=8", "--benchmark-quiet", "--slmsec-limit=96", "-p", "no:cacheprovider"]
        return [sys.executable, "-m", "pytest", str(BENCHMARKS), *options, *args]

    before = asked(cluster, "cti-mcq")
    journal = tmp_path / ".slmsec" / "journal.jsonl"
    with subprocess.Popen(command("--slmsec-pool=ray:auto"), cwd=tmp_path, stdout=subprocess.PIPE) as running:
        end = time.monotonic() + LONG_S
        while not (journal.exists() and len(read(journal)[0]) >= 3):
            assert time.monotonic() < end
            assert running.poll() is None, running.stdout.read().decode()
            time.sleep(0.05)
        running.kill()
    stored = sum(len(line["keys"]) for line in read(journal)[0])
    resumed = subprocess.run(
        command("--slmsec-pool=ray:auto", "--slmsec-resume"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    times = asked(cluster, "cti-mcq") - before
    twice = sum(times.values()) - len(times)
    assert stored >= 24
    assert twice <= 2 * 2 * 8  # two windows of eight in flight on each of two replicas
    alone = subprocess.run(command("--slmsec-journal=alone.jsonl"), cwd=tmp_path, capture_output=True, text=True)
    assert alone.returncode == 0
    assert _answers(tmp_path / "alone.jsonl") == _answers(journal)


def _answers(journal):
    batches = (line for line in read(journal)[0] if "keys" in line)
    return {key: output for line in batches for key, output in zip(line["keys"], line["outputs"], strict=True)}


def test_a_cluster_without_its_token_is_not_joined(cluster, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(PoolError, match="needs the token of the cluster: set RAY_AUTH_MODE=token"):
        RayPool(PoolAddress(), print)


def test_a_ray_without_tokens_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(ray_connection, "version", lambda name: "2.51.2")
    with pytest.raises(PoolError, match=r"Ray 2\.51\.2 has no token to protect it: pip install 'ray\[client\]>=2\.52'"):
        RayPool(PoolAddress(), print)


def test_a_node_with_a_public_address_gets_no_replica(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_pool, "is_public", lambda ip: True)
    monkeypatch.setattr(dispatch, "LONGEST_ALONE_S", 3.0)
    with Pooled(tmp_path) as run, pytest.raises(PoolError, match="no replica of the pool has lived"):
        run.ask([question(1, "c-")])
    assert len([text for text in run.said if "is left out: its address is public" in text]) == 2
    assert not asked(cluster, "c-")


@pytest.fixture
def heads(tmp_path_factory):
    """Starts the head of a cluster, with or without the token; its port and that for clients."""
    started = []

    def start(mode):
        ports = free_port(), free_port()
        folder = tempfile.mkdtemp(prefix="r")  # sockets in it have long names
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=1"]
        command += [f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}", f"--temp-dir={folder}"]
        command += ["--include-dashboard=false", "--node-ip-address=127.0.0.1"]
        log = (tmp_path_factory.mktemp("head") / "log").open("wb")
        process = subprocess.Popen(
            command, env={**os.environ, "RAY_AUTH_MODE": mode}, stdout=log, stderr=log, start_new_session=True
        )
        started.append((process, folder))
        return ports

    yield start
    for process, folder in started:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def answer_without_token(address, port, call):
    """What `refuse_open` says, once somebody answers."""
    end = time.monotonic() + LONG_S
    while True:
        try:
            return refuse_open(address, f"127.0.0.1:{port}", call)
        except PoolError as error:
            if "nobody answers" not in str(error):
                return str(error)
            assert time.monotonic() < end
            time.sleep(0.5)


def test_a_cluster_that_answers_without_the_token_is_refused(cluster, heads):
    address = PoolAddress(host="127.0.0.1")
    with_token, without = heads("token"), heads("disabled")
    for ports, says in ((with_token, None), (without, "this cluster ask for no token, so that whoever reaches them")):
        for port, call in zip(ports, (HEAD_CALL, CLIENT_CALL), strict=True):
            found = answer_without_token(address, port, call)
            assert found is None if says is None else says in found
    with pytest.raises(PoolError, match="ask for no token"):
        RayPool(PoolAddress(host="127.0.0.1", port=without[1]), print)


LOCAL = """
import json, os
from pytest_slmsec.core.pool_address import PoolAddress
from pytest_slmsec.execution.ray_connection import HEAD_CALL, connect, refuse_open
ray = connect(PoolAddress(local=1))
refuse_open(PoolAddress(local=1), ray.get_runtime_context().gcs_address, HEAD_CALL)
dashboard = ray._private.worker._global_node.webui_url
print(json.dumps([dashboard, os.environ["RAY_AUTH_MODE"], len(os.environ["RAY_AUTH_TOKEN"])]))
"""


def test_a_cluster_that_is_started_here_has_a_token_of_its_own_and_no_dashboard():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    found = subprocess.run(
        [sys.executable, "-c", LOCAL], env=environment, capture_output=True, text=True, timeout=LONG_S
    )
    assert found.returncode == 0, found.stderr
    dashboard, mode, length = json.loads(found.stdout.splitlines()[-1])
    assert not dashboard
    assert (mode, length) == ("token", 64)
