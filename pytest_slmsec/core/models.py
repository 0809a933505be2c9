"""A model and an adapter as the user named them, with the place where each is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_slmsec.core.choices import DTYPES as DTYPES

FIXTURE_PREFIX = "fixture:"
HUB_PREFIX = "hf:"
PACKAGE_PREFIX = "package:"
REPLAY_PREFIX = "replay:"
VLLM_PREFIX = "vllm:"
"""Before a model that vLLM runs in this process: ``vllm:PATH``, ``vllm:hf:org/name``."""
SERVERS = ("openai", "ollama")
"""Prefixes of models behind a server: ``openai:NAME``, ``ollama:NAME``."""
MEMBER = "::"
GGUF = ".gguf"
GGUF_MAGIC = b"GGUF"
"""What every GGUF file begins with, whatever its name: a blob of Ollama is called ``sha256-...``."""
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as the user named it, with where it is found.

    Attributes:
        name: as written behind the ``+``. source: ``path`` (a directory) or ``hub``.
        location: the directory, or the hub id. revision: pinned hub revision, or None for the newest.
    """

    name: str
    source: Literal["path", "hub"]
    location: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as the user named it, with where it is found.

    Attributes:
        name: as written on the command line; what tables and ids show. Recorded answers go by a short name.
        base, quant: parts of the name. adapter: its last part, or that of the registry's entry.
        source: ``path`` (a directory), ``hub``, ``package`` (a Python package), ``replay`` (recorded answers), or
            ``server``.
        location: the directory or GGUF file, the hub id, the name of the package, the file or folder of
            recorded answers, or the server's own
            name for it.
        member: which of several models in a file of recorded answers.
        revision: hub revision, a commit or a branch, or None for the newest.
        file: the GGUF file of a hub model, where it is one, or of a package.
        engine: the back end that loads it unquantised.
        gptq_group_size: columns that share a scale when GPTQ is made of it.
        context_tokens: prompt plus answer, where the registry knows it.
        base_url, key_variable: address of the server, and the environment variable that holds its key, where they
            are not those of the run. Several servers that run the model have several addresses, and one key or one
            each, in the same order.
        expected_model: the name that the server reports for the model if that is another one, such as the model behind
            a deployment; ``*``, ``?`` and ``[...]`` are wildcards.
        stream: whether a server that can stream its answers is asked to, for the time to the first token.
        licence, gated: facts for `slmsec list`; a gated model needs an accepted licence and a token.
        chat_template: whether its tokenizer brings one; None: not known here.
        embedded: ships with the project, together with the items it was made for.
    """

    name: str
    base: str
    quant: str | None = None
    adapter: Adapter | None = None
    source: Literal["path", "hub", "package", "replay", "server"] = "hub"
    location: str = ""
    member: str | None = None
    revision: str | None = None
    file: str | None = None
    engine: str = "transformers"
    gptq_group_size: int = 128
    context_tokens: int | None = None
    base_url: str | tuple[str, ...] | None = None
    key_variable: str | tuple[str, ...] | None = None
    expected_model: str | None = None
    stream: bool = True
    licence: str | None = None
    gated: bool = False
    chat_template: bool | None = None
    embedded: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether its revision is a commit, so that the hub always gives the same files."""
        return self.revision is not None and COMMIT.fullmatch(self.revision) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings of its name: recorded answers have a short name and a path."""
        if self.source != "replay":
            return (self.name,)
        return self.name, f"{REPLAY_PREFIX}{self.location}{MEMBER + self.member if self.member else ''}"


def is_place(path: Path) -> bool:
    """Whether a path is a directory or a GGUF file, so that it may hold a model."""
    return path.is_dir() or is_gguf(path)


def is_gguf(path: Path) -> bool:
    """Whether a file is in GGUF by its content, or claims to be by its name."""
    if not path.is_file():
        return False
    if path.suffix == GGUF:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False  # a file that cannot be read is no model
