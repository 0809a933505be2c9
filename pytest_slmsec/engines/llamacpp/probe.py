"""Loads a GGUF file and computes with it once, in a separate process.

On some damaged files llama.cpp ends the process (``GGML_ASSERT``). In a separate process that is one clear error, and
the run goes on. All weights are read, so the load that follows finds them in the file cache.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from pytest_slmsec.core.errors import ModelError, SlmsecError
from pytest_slmsec.engines.llamacpp.library import REBUILD

MODULE = "pytest_slmsec.engines.llamacpp.probe"
REFUSED = 3
ILLEGAL_INSTRUCTION = (-signal.SIGILL, 0xC000001D)
"""Exit statuses of a process that met an instruction which its processor does not have: on POSIX and on Windows."""
OTHER_PROCESSOR = (
    "llama.cpp, as it is installed here, was built for another processor (it uses an instruction that this one lacks "
    f"or the system forbids): build it on this machine with `{REBUILD}`, or, where it was built here already, for any "
    "processor with CMAKE_ARGS=-DGGML_NATIVE=OFF set."
)
ASSERTION = re.compile(r"[\w.-]+:\d+: (GGML_ASSERT\(.*?\) failed|.+)")
TEXT = "One text, two tokens"


def check_loads(path: Path) -> None:
    """Load the file in another process and compute with it.

    It comes before llama.cpp is started in this process, since a build for another processor ends the process.

    Raises:
        ModelError: the file does not load, or llama.cpp ends the process.
    """
    environment = os.environ | {"GGML_NO_BACKTRACE": "1"}
    done = subprocess.run([sys.executable, "-m", MODULE, str(path)], capture_output=True, env=environment, check=False)
    if done.returncode == 0:
        return
    if done.returncode == REFUSED:
        raise ModelError(done.stdout.decode("utf-8", "replace").strip())
    if done.returncode in ILLEGAL_INSTRUCTION:
        raise ModelError(OTHER_PROCESSOR)
    raise ModelError(f"{path} ends llama.cpp ({_last_words(done)}): fetch or make it again.")


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    said = done.stderr.decode("utf-8", "replace")
    found = ASSERTION.search(said)
    return found[1][:200] if found else f"exit status {done.returncode}"


def main(path: Path) -> int:
    """Load, tokenise a text, compute, detokenise. Returns 0, or `REFUSED` after printing the reason."""
    from pytest_slmsec.engines.llamacpp.context import F16, Context, LlamaModel
    from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf
    from pytest_slmsec.engines.llamacpp.vocabulary import GgufTokenizer

    try:
        model = LlamaModel(path, None, check=True)
        tokenizer = GgufTokenizer(model, read_gguf(path))
        tokens = tokenizer(TEXT)["input_ids"]
        context = Context(model, F16, 1)
        context.reserve(len(tokens) + 1)
        context.feed(1, tokens)
        context.feed(1, tokens[:1])
        tokenizer.decode(tokens)
    except SlmsecError as error:
        print(error)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
