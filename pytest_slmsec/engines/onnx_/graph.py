"""An exported graph in onnxruntime: facts about it, and running it on one text at a time.

Texts are not batched, because dynamically quantised activations share one scale in a batch: an answer would depend on
the other texts of its batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.engines.common.checkpoint import ONNX
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quantized_share import QuantizedShare, Weight, count_weights
from pytest_slmsec.engines.common.quiet import quiet

PROVIDER = "CPUExecutionProvider"
KEYS, VALUES = "keys", "values"
"""Inputs of a graph that goes on behind tokens fed before, one for each layer (``keys.0``): [rows, heads, tokens,
size] of fp32. Older exports have one for all layers: [layers, rows, heads, tokens, size]."""
KIND = "slmsec.kind"
"""Key of the graph's metadata: ``causal``, or the sort of encoder (`engines.encoders.kinds.Kind`)."""
CAUSAL = "causal"
PACKED = "MatMulNBits"
DYNAMIC = ("MatMulInteger", "DynamicQuantizeMatMul")
"""Operators whose activations share one scale over all tokens that are fed together."""
QUANTIZED = (*DYNAMIC, PACKED)
WEIGHTED = ("MatMul", "Gemm", *QUANTIZED)
"""Operators that multiply by weights, their second input."""


def import_onnx() -> tuple[Any, Any]:
    """The packages onnx and onnxruntime.

    Raises:
        MissingExtraError: one of them, or onnxscript, is not installed.
    """
    require("A model in ONNX", "onnx", "onnx", "onnxruntime", "onnxscript")
    with quiet():
        import onnx
        import onnxruntime
    return onnx, onnxruntime


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a graph, for the record.

    Attributes:
        cached: whether it takes keys and values of tokens fed before, so that they need not be fed again.
        kind: `CAUSAL`, or the kind of encoder. opsets: version of each operator set by its domain.
        operators: number of uses of each operator that multiplies by stored weights.
        share: how many of the weights are quantised.
    """

    kind: str
    opsets: Mapping[str, int]
    operators: Mapping[str, int]
    share: QuantizedShare
    cached: bool = False

    @property
    def guessable(self) -> bool:
        """Whether the logits after a token do not depend on tokens that are fed with it, behind it."""
        return not self.operators.keys() & set(DYNAMIC)

    @property
    def kernel(self) -> str:
        """Names of the operators that compute the linear layers, most frequent first."""
        return "+".join(f"onnxruntime.{PROVIDER}.{name}" for name in self.operators)


Past = Mapping[str, Any]
"""Arrays of the keys and values of some tokens, by the name of the graph's input; {}: the graph takes none."""


class Graph:
    """A session over one exported graph.

    Args:
        directory: contains `ONNX` and the file of its weights.

    Raises:
        ModelError: the file is damaged, or was not exported by this project. MissingExtraError: a package is missing.
    """

    def __init__(self, directory: Path) -> None:
        onnx, onnxruntime = import_onnx()
        path = directory / ONNX
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.use_deterministic_compute = True
        options.enable_mem_pattern = False  # a plan of memory for each length of text, and each is met once
        options.log_severity_level = 4
        # Threads that spin while they wait are slow when another program uses the core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            with quiet():
                self._session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDER])
                model = onnx.load(str(path), load_external_data=False)
        except Exception as error:
            raise ModelError(f"{path} cannot be loaded ({first_line(error)}): make it again.") from error
        kind = self._session.get_modelmeta().custom_metadata_map.get(KIND)
        if kind is None:
            raise ModelError(
                f"{path} is no export of this project, whose inputs and outputs are known: `slmsec quantize BASE onnx` "
                "makes one of the model in safetensors."
            )
        opsets = {one.domain or "ai.onnx": one.version for one in model.opset_import}
        past = {one.name: one.shape for one in self._session.get_inputs() if keeps_tokens(one.name)}
        self.facts = Facts(kind, opsets, operators(model), quantized_share(model), bool(past))
        self._past_shapes = past
        self.version: str = onnxruntime.__version__

    def run(self, **inputs: Sequence[int] | Sequence[Sequence[int]]) -> torch.Tensor:
        """The graph's first output for integer inputs, given by name; nothing was fed before."""
        return self.extend(self.nothing(len(inputs["input_ids"])), **inputs)[0]

    def extend(self, past: Past, **inputs: Sequence[int] | Sequence[Sequence[int]]) -> tuple[torch.Tensor, Past]:
        """The graph's first output for integer inputs behind what was fed before, and what has been fed then.

        Raises:
            RuntimeError: onnxruntime failed.
        """
        arrays = {name: np.asarray(value, dtype=np.int64) for name, value in inputs.items()}
        try:
            found, *new = self._session.run(None, arrays | dict(past))
        except Exception as error:  # onnxruntime's have no class of their own in common
            raise RuntimeError(first_line(error)) from error
        fed = arrays["input_ids"].shape[1]
        return torch.from_numpy(found), {
            name: _whole(past[name], more, fed) for name, more in zip(past, new, strict=True)
        }

    def nothing(self, rows: int = 1) -> Past:
        """Keys and values before the first token of some rows; {} for a graph that takes none."""
        return {
            name: np.zeros((*layers, rows, heads, 0, size), np.float32)
            for name, (*layers, _, heads, _, size) in self._past_shapes.items()
        }


def keeps_tokens(name: str) -> bool:
    """Whether an input of a graph takes keys or values of tokens fed before."""
    return name.split(".")[0] in (KEYS, VALUES)


def _whole(past: Any, found: Any, fed: int) -> Any:
    """Keys or values of all tokens, [..., tokens, size]. Older exports return those of the tokens just `fed` alone."""
    return found if found.shape[-2] == past.shape[-2] + fed else np.concatenate((past, found), axis=-2)


def operators(model: Any) -> dict[str, int]:
    """Number of uses of each operator that multiplies by stored weights in a graph, most frequent first."""
    stored = {one.name for one in model.graph.initializer}
    counts = Counter(
        node.op_type for node in model.graph.node if node.op_type in WEIGHTED and stored.intersection(node.input)
    )
    return dict(counts.most_common())


def quantized_share(model: Any) -> QuantizedShare:
    """Counts of the weights that a graph multiplies by.

    The output head does not count: a weight of the shape of an embedding (a table that a Gather reads), or transposed.
    """
    stored = {one.name: tuple(one.dims) for one in model.graph.initializer}
    tables = [node.input[0] for node in model.graph.node if node.op_type == "Gather" and node.input[0] in stored]
    embeddings = {tuple(sorted(stored[name])) for name in tables}
    found: dict[str, Weight] = {}
    for node in model.graph.node:
        if node.op_type in WEIGHTED and node.input[1] in stored:
            name = node.input[1]
            shape = _unpacked_shape(node) if node.op_type == PACKED else stored[name]
            if len(shape) > 1 and tuple(sorted(shape)) not in embeddings:
                found[name] = Weight(name, math.prod(shape), node.op_type in QUANTIZED)
    return count_weights(found.values())


def _unpacked_shape(node: Any) -> tuple[int, ...]:
    """Columns and rows of the weight of a `PACKED` operator, which stores several elements in a byte."""
    sizes = {attribute.name: int(attribute.i) for attribute in node.attribute}
    return sizes["K"], sizes["N"]
