"""ONNX, unquantised and with weights of 8 or 4 bits, by onnxruntime's own tools. Nothing is calibrated.

* ``onnx``: the fp32 export, not quantised.
* ``onnx-int8``: weights rounded to 8 bits with one scale for each output channel; activations rounded during the
  forward pass with one scale for each text (`quantize_dynamic`).
* ``onnx-int4``: weights rounded to 4 bits with a scale and an offset for each 32 of them; activations in fp32
  (`MatMulNBits`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.common.checkpoint import ONNX, ONNX_DATA, read_checkpoint
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.onnx_.graph import import_onnx, keeps_tokens, operators
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.onnx_export import export
from pytest_slmsec.quantize.through_transformers import copy_support

DRAFT = "export"
UNQUANTISED = ("MatMul", "Gemm")


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> dict[str, Any]:
    """Export `base` into `out` with its tokenizer, and quantise the weights of its linear layers.

    Args:
        rows: not used; this method needs no calibration.

    Returns:
        For the manifest: the largest difference of the export from the model at two shapes, the graph's operators, and
        whether it takes keys and values of earlier tokens, or why not.

    Raises:
        QuantizeError: it could not be exported or quantised. MissingExtraError: a package is missing.
    """
    onnx, _ = import_onnx()
    settings.report(f"{recipe.quant}: exporting", 0.0)
    draft = out / DRAFT
    exported = export(read_checkpoint(base), draft)
    settings.report(f"{recipe.quant}: rounding weights", 0.5)
    with attempt(base, recipe):
        MAKERS[recipe.quant](draft, out, recipe)
    shutil.rmtree(draft)
    copy_support(base, out)
    graph = onnx.load(str(out / ONNX), load_external_data=False)
    found = operators(graph)
    if recipe.quant != "onnx" and not set(found).difference(UNQUANTISED):
        raise QuantizeError(f"{base}: {recipe.package} found no weights to quantise to {recipe.quant} in its export.")
    cached = any(keeps_tokens(one.name) for one in graph.graph.input)
    why = {"no_key_value_cache": exported.not_cached} if exported.not_cached else {}
    return {"parity": exported.parity, "operators": found, "key_value_cache": cached, **why}


def _as_it_is(draft: Path, out: Path, recipe: Recipe) -> None:
    for name in (ONNX, ONNX_DATA):
        shutil.move(draft / name, out / name)


def _int8(draft: Path, out: Path, recipe: Recipe) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Unsigned weights: products with signed ones saturate on CPUs without VNNI instructions, and silently.
    quantize_dynamic(
        draft / ONNX, out / ONNX, op_types_to_quantize=list(UNQUANTISED), per_channel=True,
        weight_type=QuantType.QUInt8, use_external_data_format=True,
    )  # fmt: skip


def _int4(draft: Path, out: Path, recipe: Recipe) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    made = MatMulNBitsQuantizer(
        onnx.load(str(draft / ONNX)), bits=recipe.bits, block_size=recipe.group_size, is_symmetric=False
    )
    made.process()
    onnx.save(made.model.model, str(out / ONNX), save_as_external_data=True, location=ONNX_DATA)


MAKERS: Mapping[str, Callable[[Path, Path, Recipe], None]] = {"onnx": _as_it_is, "onnx-int8": _int8, "onnx-int4": _int4}
