"""The record beside a quantised model: its base, its recipe, its calibration, and how it compares with its base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.engines.common.checkpoint import MANIFEST

PACKAGES = (
    "gptqmodel", "optimum", "llama-cpp-python", "gguf", "torchao", "onnx", "onnxruntime", "onnxscript",
    "bitsandbytes", "llmcompressor", "compressed-tensors", "torch", "transformers",
    "safetensors", "tokenizers",
)  # fmt: skip
CACHE_SUBDIR = "quantized"
"""The folder of quantised models, below the cache folder."""
KEY_LENGTH = 12
NEXT_TOKENS = "next tokens"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How weights are quantised.

    Attributes:
        quant: name of the quantisation. bits: bits of a weight. group_size: number of weights that share a
            scale, or `registry.WHOLE_ROW`.
        package: name and version of the package that quantised.
        desc_act: columns are quantised in order of their activation. sym: the grid is symmetric about 0.
    """

    quant: str
    bits: int
    group_size: int
    package: str
    desc_act: bool = False
    sym: bool = True


@dataclass(frozen=True, slots=True)
class Verification:
    """The quantised model against its base on text that neither calibration nor items hold.

    Attributes:
        tokens: positions compared (texts, for sentence-embedding models).
        mean_kl_nats: Kullback-Leibler divergence of the quantised from the base's distribution, mean a position.
        uniform_kl_nats: the same divergence of a uniform distribution.
        same_top_rate: share of positions where both models have the same most likely token.
        constant_top_rate: the same share for a constant guess: the token that the base predicts most often.
        answers: number of generated texts. warnings: signs of garbled text; they do not refuse the model.
        compared: what is predicted: next tokens, or what an encoder scores.
    """

    tokens: int
    mean_kl_nats: float
    uniform_kl_nats: float
    same_top_rate: float
    constant_top_rate: float
    answers: int
    warnings: tuple[str, ...] = ()
    compared: str = NEXT_TOKENS


@dataclass(frozen=True, slots=True)
class Manifest:
    """Record of one quantised model; `slmsec-manifest.json` beside its weights.

    Attributes:
        base: name of the base model. base_sha256: identity of its weights.
        support_sha256: identity of its configuration and tokenizer files.
        calibration_sha256: identity of the calibration text, of which a part is kept back for verification.
        calibration_lines: number of lines used for calibration; 0 where the method needs none.
        weight_bytes: size of the quantised weight files.
        packages: versions of all packages that took part. seconds: time to quantise and verify.
        quantized: the share of the weights that is quantised (`engines.common.quantized_share`); {} where the format
            keeps full precision (f16, onnx).
        details: what the quantising module reports of the result (GGUF: types of the tensors).
    """

    base: str
    base_sha256: str
    support_sha256: str
    recipe: Recipe
    calibration_sha256: str
    calibration_lines: int
    weight_bytes: int
    seconds: float
    packages: Mapping[str, str]
    verification: Verification
    details: Mapping[str, Any] = field(default_factory=dict)
    quantized: Mapping[str, Any] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Write ``slmsec-manifest.json`` into a model directory."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (directory / MANIFEST).write_text(text + "\n", "utf-8")


def content_key(base_sha256: str, support_sha256: str, recipe: Recipe, calibration_sha256: str) -> str:
    """Twelve hex digits of a digest over everything that the quantised weights depend on."""
    return sha256_json([base_sha256, support_sha256, asdict(recipe), calibration_sha256])[:KEY_LENGTH]


def package_version(name: str) -> str | None:
    """Version of an installed distribution, without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of those packages that are installed; by default of all that take part in quantising."""
    return {name: found for name in names if (found := package_version(name)) is not None}
