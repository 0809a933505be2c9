"""A Ray cluster on this machine, of nodes with one processor each, with its token and without a dashboard."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from pytest_slmsec.execution.replica import LOG_MARK, Replica

STORE_BYTES = 100 << 20
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # other programs may fill the memory of this machine; no replica dies of that
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class RayCluster:
    """Started by `with`. Processes that are started meanwhile find it as ``ray:auto``.

    Replicas find the modules of the tests and of the package where this process finds them.
    """

    def __enter__(self):
        root = Path(__file__).parent
        paths = [str(root.parent), str(root), os.environ.get("PYTHONPATH", "")]
        os.environ |= {**ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32), "PYTHONPATH": os.pathsep.join(paths)}
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=node)
        self._logs = Path(self._cluster.head_node.get_logs_dir_path())
        os.environ["RAY_ADDRESS"] = self._cluster.address
        self.nodes = []
        return self

    def add(self):
        """One more node."""
        self.nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES))

    def remove(self):
        """Kill the newest node with all its processes."""
        self._cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def lines(self, key):
        """All lines of all replicas' logs that have this key, in the order of their times in each log."""
        texts = (path.read_text("utf-8", "replace") for path in sorted(self._logs.glob("worker-*.out")))
        marked = (line for text in texts for line in text.splitlines() if line.startswith(LOG_MARK))
        found = (json.loads(line.removeprefix(LOG_MARK)) for line in marked if line.endswith("}"))
        return [line for line in found if key in line]

    def __exit__(self, *exc):
        self._cluster.shutdown()
        del os.environ["RAY_ADDRESS"]


class MortalReplica(Replica):
    """A replica that is killed, as by a system out of memory, when it is asked a prompt with a bomb in it."""

    def run(self, job, *packed):
        if any("bomb" in job.requests[row].messages[-1].content for row in job.rows):
            os.kill(os.getpid(), 9)
        return super().run(job, *packed)


class MixedReplica(Replica):
    """A replica that takes each node for another kind of processor."""

    def about(self):
        import ray

        found = super().about()
        return {**found, "kind": {**found["kind"], "cpu": ray.get_runtime_context().get_node_id()}}
