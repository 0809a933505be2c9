"""Starts real servers of models on loopback, in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager

import httpx2

START_S = 180


def free_port():
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, ready, log, start_s=START_S):
    """The address of a server while it runs.

    Args:
        command: its command line; ``{port}`` is filled in. ready: a path that answers 200 once it is up.
        log: file for what it prints, shown where it does not come up. start_s: longest time until it is up.
    """
    port = free_port()
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("wb") as file:
        filled = [part.replace("{port}", str(port)) for part in command]
        process = subprocess.Popen(filled, stdout=file, stderr=subprocess.STDOUT, env=offline)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url + ready, process, log, start_s)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url, process, log, start_s=START_S):
    """Return once `url` answers.

    Raises:
        RuntimeError: the process ended, or nothing answered in time.
    """
    end = time.monotonic() + start_s
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up:\n{log.read_text(errors='replace')[-3000:]}")
