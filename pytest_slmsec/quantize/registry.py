"""All quantisations by name. One is added with a module that has `quantize_weights`, and one line here.

Read at every start of pytest, so nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WHOLE_ROW = -1
"""As a group size: one scale for each output channel."""
NO_SCALES = 1
"""As a group size: each weight is stored by itself."""


@dataclass(frozen=True, slots=True)
class Quantizer:
    """One quantisation: what makes it and what runs it.

    Attributes:
        name: its part of a model's name: ``gptq4``. bits: bits of a weight.
        module: has ``quantize_weights(base, out, recipe, rows, settings)``, imported on first use; what it returns
            is kept in the manifest as `details`.
        package: the distribution that quantises; its version is part of the result's identity. extra: the extra of
            this project that installs it.
        engine: name of the engine that loads the result (`engines.registry`); None: the engine of its base.
        calibrated: whether it needs calibration text.
        group_size: number of weights that share a scale, or `WHOLE_ROW`; None: set by the user or the model.
        sym: whether its grid is symmetric about 0.
        encoders: whether it also quantises encoder-only models.
        environment: the tox environment that has its package; "" where the package goes with all others.
    """

    name: str
    bits: int
    module: str
    package: str
    extra: str
    engine: str | None = None
    calibrated: bool = False
    group_size: int | None = WHOLE_ROW
    sym: bool = True
    encoders: bool = False
    environment: str = ""


def _gptq(bits: int) -> Quantizer:
    module = "pytest_slmsec.quantize.gptq"
    return Quantizer(f"gptq{bits}", bits, module, "gptqmodel", "gptq", "gptq", calibrated=True, group_size=None)


def _torchao(name: str) -> Quantizer:
    return Quantizer(name, 8, "pytest_slmsec.quantize.torchao_", "torchao", "torchao", encoders=True)


def _bitsandbytes(name: str, bits: int, group_size: int) -> Quantizer:
    module = "pytest_slmsec.quantize.bitsandbytes_"
    return Quantizer(name, bits, module, "bitsandbytes", "bitsandbytes", group_size=group_size)


def _gguf(name: str, bits: int, group_size: int) -> Quantizer:
    module = "pytest_slmsec.quantize.gguf_"
    return Quantizer(name, bits, module, "llama-cpp-python", "gguf", "llamacpp", group_size=group_size)


def _onnx(name: str, bits: int, group_size: int) -> Quantizer:
    module = "pytest_slmsec.quantize.onnx_"
    return Quantizer(name, bits, module, "onnxruntime", "onnx", "onnx", group_size=group_size, sym=False, encoders=True)


def _compressed(name: str, bits: int, calibrated: bool, group_size: int | None) -> Quantizer:
    return Quantizer(
        name, bits, "pytest_slmsec.quantize.compressed", "llmcompressor", "compress",
        calibrated=calibrated, group_size=group_size, environment="compress",
    )  # fmt: skip


QUANTIZERS: Mapping[str, Quantizer] = {
    quantizer.name: quantizer
    for quantizer in (
        *map(_gptq, (2, 3, 4, 8)),
        _bitsandbytes("int8", 8, WHOLE_ROW),
        _bitsandbytes("nf4", 4, 64),
        _gguf("f16", 16, NO_SCALES),
        _gguf("q8_0", 8, 32),
        _gguf("q6_k", 6, 16),
        _gguf("q5_k_m", 5, 32),
        _gguf("q4_k_m", 4, 32),
        _gguf("q4_k_s", 4, 32),
        _gguf("q3_k_m", 3, 16),
        _gguf("q2_k", 2, 16),
        _onnx("onnx", 32, NO_SCALES),
        _onnx("onnx-int8", 8, WHOLE_ROW),
        _onnx("onnx-int4", 4, 32),
        _torchao("int8wo"),
        _torchao("int8dyn"),
        _compressed("w4a16", 4, calibrated=True, group_size=None),
        _compressed("w8a8", 8, calibrated=True, group_size=WHOLE_ROW),
        _compressed("fp8", 8, calibrated=False, group_size=WHOLE_ROW),
    )
}
