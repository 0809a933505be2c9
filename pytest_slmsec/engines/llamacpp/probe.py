"""Load a GGUF file and use it once, in a process of its own.

On some damaged files llama.cpp ends the process (``GGML_ASSERT``). Here that is a process that nobody misses: the run
goes on with one clear error. All weights are read, so that the load that follows finds them in the file cache.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pytest_slmsec.core.errors import ModelError, SlmsecError

MODULE = "pytest_slmsec.engines.llamacpp.probe"
REFUSED = 3
ASSERTION = re.compile(r"[\w.-]+:\d+: (GGML_ASSERT\(.*?\) failed|.+)")
TEXT = "One text, two tokens"


def check_loads(path: Path) -> None:
    """Have another process load the file and compute with it.

    Raises:
        ModelError: it does not load, or llama.cpp ends the process; says why.
    """
    environment = os.environ | {"GGML_NO_BACKTRACE": "1"}
    done = subprocess.run([sys.executable, "-m", MODULE, str(path)], capture_output=True, env=environment, check=False)
    if done.returncode == 0:
        return
    if done.returncode == REFUSED:
        raise ModelError(done.stdout.decode("utf-8", "replace").strip())
    raise ModelError(f"{path} ends llama.cpp ({_last_words(done)}): fetch or make it again.")


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    said = done.stderr.decode("utf-8", "replace")
    found = ASSERTION.search(said)
    return found[1][:200] if found else f"exit status {done.returncode}"


def main(path: Path) -> int:
    """Load, cut a text into tokens, compute with them, and join them again; 0, or `REFUSED` with the reason printed."""
    from pytest_slmsec.engines.llamacpp.context import F16, Context, LlamaModel
    from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf
    from pytest_slmsec.engines.llamacpp.vocabulary import GgufTokenizer

    try:
        model = LlamaModel(path, None, check=True)
        tokenizer = GgufTokenizer(model, read_gguf(path))
        tokens = tokenizer(TEXT)["input_ids"]
        context = Context(model, F16)
        context.reserve(len(tokens) + 1)
        context.feed(tokens)
        context.feed(tokens[:1])
        tokenizer.decode(tokens)
    except SlmsecError as error:
        print(error)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
