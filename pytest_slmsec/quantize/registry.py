"""All quantisations by name. One is added with a module that has `quantize_weights`, and one line here.

Read at every start of pytest, so nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How a quantisation is made and run.

    Attributes:
        name: as in a model's name: ``gptq4``. bits: of a weight.
        module: has ``quantize_weights(base, out, recipe, rows, settings)``, imported when it is made.
        package: distribution that makes it; its version is part of the result's identity. extra: that brings it.
        engine: what loads the result (`engines.registry`); None: whatever would load its base.
        calibrated: it needs calibration text, and columns in groups share a scale; else each output channel has one.
        encoders: it also takes encoder-only models.
    """

    name: str
    bits: int
    module: str
    package: str
    extra: str
    engine: str | None = None
    calibrated: bool = False
    encoders: bool = False


def _gptq(bits: int) -> Quantizer:
    return Quantizer(f"gptq{bits}", bits, "pytest_slmsec.quantize.gptq", "gptqmodel", "gptq", "gptq", calibrated=True)


def _torchao(name: str) -> Quantizer:
    return Quantizer(name, 8, "pytest_slmsec.quantize.torchao_", "torchao", "torchao", encoders=True)


QUANTIZERS: Mapping[str, Quantizer] = {
    quantizer.name: quantizer for quantizer in (*map(_gptq, (2, 3, 4, 8)), _torchao("int8wo"), _torchao("int8dyn"))
}
