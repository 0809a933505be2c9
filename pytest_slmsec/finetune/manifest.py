"""The record beside what was trained. Two runs of one recipe have the same one: times are in the log.

`engines.common.finetuned` reads it again when the model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_slmsec.engines.common.finetuned import FINETUNED

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "tokenizers", "safetensors")
LOG, PICTURE = "training-log.jsonl", "loss.svg"
"""The log of a training, one line a logged step, and its picture."""


@dataclass(frozen=True, slots=True)
class TrainingManifest:
    """Record of one training.

    Attributes:
        base: the model that was trained. mode: lora, qlora or sft.
        weights_sha256: digest of the file of trained weights (several: of them all).
        recipe_sha256, base_sha256, tokenizer_sha256, template_sha256, rows_sha256, eval_rows_sha256: digests of all
            that it depends on.
        settings, lora, quantization: as they were used.
        rows: counts of rows and tokens, and places of those dropped or cut.
        steps: optimizer steps. loss: at the begin and the end, and of the rows for evaluation.
        packages: versions. threads, device, seed: of the training.
        overlap: which benchmarks the rows were compared with, and what was found (`contamination`).
        notices: what could not be had as the recipe says.
    """

    base: str
    mode: str
    weights_sha256: str
    recipe_sha256: str
    base_sha256: str
    tokenizer_sha256: str
    template_sha256: str
    rows_sha256: str
    eval_rows_sha256: str
    settings: Mapping[str, Any]
    lora: Mapping[str, Any]
    quantization: Mapping[str, Any]
    rows: Mapping[str, Any]
    steps: int
    loss: Mapping[str, float | None]
    packages: Mapping[str, str]
    threads: int
    device: str
    seed: int
    overlap: Mapping[str, Any] = field(default_factory=dict)
    notices: Sequence[str] = ()

    def write(self, directory: Path) -> None:
        """Write it beside the weights."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (directory / FINETUNED).write_text(text + "\n", "utf-8")


def write_log(directory: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the log of a training as JSON lines."""
    lines = [json.dumps(row, sort_keys=True) for row in rows]
    (directory / LOG).write_text("\n".join(lines) + "\n", "utf-8")
