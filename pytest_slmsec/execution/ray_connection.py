"""The connection to a Ray cluster, and what is refused.

Ray runs whatever code it is sent, by design (CVE-2023-48022; CVE-2025-62593 reached it from a browser). So it must be
2.52 or newer with its token (https://docs.ray.io/en/latest/ray-security/token-auth.html), a cluster that was started
here has no dashboard, and a cluster with a public address, or one that asks for no token, is refused.
"""

from __future__ import annotations

import os
import secrets
from importlib.metadata import version
from typing import Any

from pytest_slmsec.core.extras import require
from pytest_slmsec.core.pool_address import OPTION, PoolAddress, refuse_public
from pytest_slmsec.execution.pool import PoolError

OLDEST = (2, 52)
"""The first version of Ray with a token."""
AUTH_MODE, AUTH_TOKEN, TLS = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USE_TLS"
STORE_BYTES = 256 << 20
"""Memory for objects of a cluster that is started here: weights up to this size, and answers."""
NAMESPACE = "slmsec"
CLIENT_CALL, HEAD_CALL = "/ray.rpc.RayletDriver/ClusterInfo", "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""Calls that only read, of the port for clients and of the head's own: Ray's ray_client.proto and gcs_service.proto."""
ANSWER_S = 30.0
NO_TOKEN = (
    "{option}={address}: the nodes of this cluster ask for no token, so that whoever reaches them may run code on "
    "them: start each with {mode}=token, see `ray get-auth-token --generate`."
)


def first_line(error: Exception) -> str:
    """Ray's messages have many lines; the cause stands in the last but one of a task's, in the first of all others."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if type(error).__name__.startswith("RayTask") and lines else (lines or ["no reason given"])[0]


def connect(address: PoolAddress) -> Any:
    """Ray, connected.

    Raises:
        MissingExtraError: Ray is not installed. UsageError: the address is public. PoolError: no cluster can be
            reached, or it is not safe.
    """
    require(f"{OPTION}={address}", "ray", "ray")
    found = version("ray")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        raise PoolError(f"{OPTION}: Ray {found} has no token to protect it: pip install 'ray[client]>=2.52'.")
    refuse_public(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A replica without GPUs sees them as the node does.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    return _start(address) if address.local is not None else _join(address)


def _start(address: PoolAddress) -> Any:
    """A cluster on this machine, with a token of its own and without a dashboard."""
    os.environ[AUTH_MODE] = "token"
    os.environ.setdefault(AUTH_TOKEN, secrets.token_hex(32))
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own 15 lets everything else go first
    return _initialised(
        address, "local", num_cpus=address.local, include_dashboard=False, object_store_memory=STORE_BYTES
    )


def _join(address: PoolAddress) -> Any:
    """A cluster that runs already."""
    if os.environ.get(AUTH_MODE, "").lower() != "token":
        raise PoolError(
            f"{OPTION}={address}: the connection needs the token of the cluster: set {AUTH_MODE}=token and "
            f"{AUTH_TOKEN}, or keep the token in ~/.ray/auth_token (`ray get-auth-token` on the head shows it)."
        )
    require(f"{OPTION}={address}", "ray", "grpc")
    if address.host is not None:
        refuse_open(address, address.ray_address.removeprefix("ray://"), CLIENT_CALL)
        return _initialised(address, address.ray_address)
    ray = _initialised(address, address.ray_address)
    try:
        refuse_open(address, ray.get_runtime_context().gcs_address, HEAD_CALL)
    except PoolError:
        ray.shutdown()
        raise
    return ray


def _initialised(address: PoolAddress, where: str, **options: Any) -> Any:
    import ray
    import ray.exceptions

    try:
        ray.init(where, log_to_driver=False, logging_level="error", namespace=NAMESPACE, **options)
    except Exception as error:  # of many kinds, from sockets, gRPC and Ray itself
        raise PoolError(f"{OPTION}={address}: no connection to the cluster: {first_line(error)}") from error
    return ray


def refuse_open(address: PoolAddress, target: str, call: str) -> None:
    """Ask a cluster something without its token; only one that refuses to answer is used.

    Ray's TLS needs a certificate of both sides, so there nobody can ask without one, and nothing is asked.

    Args:
        target: host and port. call: name of the call, which reads only.

    Raises:
        PoolError: it answers, or nobody does.
    """
    import grpc

    if os.environ.get(TLS, "0").lower() in ("1", "true"):
        return
    with grpc.insecure_channel(target) as channel:
        try:
            channel.unary_unary(call)(b"", timeout=ANSWER_S)
        except grpc.RpcError as error:
            code = error.code()
            if code is grpc.StatusCode.UNAUTHENTICATED:
                return
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise PoolError(
                    f"{OPTION}={address}: no connection to the cluster: nobody answers at {target}."
                ) from error
    raise PoolError(NO_TOKEN.format(option=OPTION, address=address, mode=AUTH_MODE))
