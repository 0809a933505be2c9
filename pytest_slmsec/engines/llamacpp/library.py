"""Imports llama.cpp and keeps what it logs for error messages, instead of printing it."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.meters.cores import usable_cores

ERROR, CONTINUED = 4, 5
"""ggml's log levels (``ggml.h``)."""
LINES_KEPT = 20
REASON_CHARS = 200
REBUILD = "pip install --force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
BACKEND = re.compile(r"(\w+) : ")
FEATURE = re.compile(r"(\w+) = 1\b")
SOURCE = re.compile(r"^[\w:~<>]+: ")


def import_gguf() -> Any:
    """The package gguf, which knows names and sizes of the format.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("A GGUF model", "gguf", "gguf")
    with quiet():
        import gguf
    return gguf


def require_llama() -> None:
    """Check that llama_cpp is installed, without importing it.

    Raises:
        MissingExtraError: it is not.
    """
    require("A GGUF model", "gguf", "llama_cpp")


@cache
def import_llama() -> Any:
    """The package llama_cpp, with its library initialised.

    Raises:
        MissingExtraError: it is not installed. ModelError: the system cannot load it.
    """
    require_llama()
    try:
        with quiet():
            import llama_cpp
    except (OSError, RuntimeError) as error:  # llama_cpp wraps what the system's loader says
        why = " ".join(str(error).split())[:REASON_CHARS].rstrip(".")
        raise ModelError(
            f"llama.cpp, as it is installed here, cannot be loaded ({why}): it was built for another processor or "
            f"system, or a library that it needs is missing; build it on this machine with `{REBUILD}`."
        ) from error
    _LOG.attach(llama_cpp)
    llama_cpp.llama_backend_init()
    return llama_cpp


class _Log:
    """Keeps the last error lines that llama.cpp logs."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._level = 0
        self._callback: Any = None  # the library calls it as long as the process lives

    def attach(self, llama_cpp: Any) -> None:
        self._callback = llama_cpp.llama_log_callback(self._take)
        llama_cpp.llama_log_set(self._callback, None)

    def _take(self, level: int, text: bytes, _: Any) -> None:
        self._level = self._level if level == CONTINUED else level
        line = SOURCE.sub("", text.decode("utf-8", "replace").strip())
        if self._level == ERROR and line:
            self.lines.append(line)


_LOG = _Log()


@contextmanager
def complaints() -> Iterator[deque[str]]:
    """The error lines that llama.cpp logs inside the `with` block."""
    _LOG.lines.clear()
    yield _LOG.lines


def reason(lines: deque[str]) -> str:
    """The first error line, which later ones follow from, fit to stand in a sentence."""
    return lines[0].rstrip(".:")[:200] if lines else "llama.cpp does not say why"


def system_info() -> str:
    """Back ends and instruction sets that llama.cpp was built for and that this machine has."""
    return str(import_llama().llama_print_system_info().decode()).strip().rstrip("|").strip()


def kernel() -> str:
    """Back ends and instruction sets in use, such as ``ggml CPU AVX2 FMA AVX512``."""
    info = system_info()
    return " ".join(["ggml", *BACKEND.findall(info), *FEATURE.findall(info)])


def n_threads() -> int:
    """Threads to compute with: the cores that this process may use, at most OMP_NUM_THREADS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = usable_cores()
    return max(1, min(cores, int(wanted))) if wanted.isdigit() else cores
