"""Export to ONNX by torch's dynamo exporter, compared with the model itself at two shapes.

The older TorchScript exporter is silently wrong at shapes other than the traced one. The dynamo exporter keeps sizes
symbolic; the comparison at two other shapes checks that. A graph that takes keys and values is fed each text in two
parts for it.
"""

from __future__ import annotations

import inspect
import os
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from pytest_slmsec.core.errors import ModelError, QuantizeError
from pytest_slmsec.engines.causal_lm.transformers_ import LoadRequest, load_config, load_weights
from pytest_slmsec.engines.common.checkpoint import ONNX, Checkpoint
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.decoding.rotary import length_dependent
from pytest_slmsec.engines.encoders import weights as encoder_weights
from pytest_slmsec.engines.encoders.kinds import Kind, find_kind
from pytest_slmsec.engines.onnx_.graph import CAUSAL, KEYS, KIND, VALUES, Graph, import_onnx

SHAPES = ((1, 13), (3, 29))
"""Rows and tokens at which the export is compared; it is traced at another shape, `TRACED`."""
TRACED = (2, 7)
TRACED_BEFORE = 5
"""Tokens before the traced ones, where a graph takes the keys and values of earlier tokens."""
PAST_DIMS = (0, 2)
"""Rows and tokens of keys and values; heads and sizes are fixed."""
OPSET = 23
"""Operators with one for attention, one for rotary positions and one for root mean square norms: tinysec has 164 nodes
instead of 456. Of a model that these cannot say the exporter's own choice is tried."""
GROUPED = "TRANSFORMERS_SDPA_FORCE_GQA"
"""Variable with which transformers leaves it to the operator that several heads share keys and values, where it
otherwise copies these for each head. Source: transformers 5.23, ``integrations/sdpa_attention.py``."""
TOLERANCE = 1e-3
"""Largest difference of an output, as a share of the largest output (at least of 1). A frozen shape is off by more."""

OTHER_STATE = (
    "the model keeps something else than the keys and values of all earlier tokens (a sliding window, a state)"
)


class Decoder(torch.nn.Module):
    """A causal language model without a key-value cache that returns logits at chosen positions of a batch.

    Rows may be padded on the right: a causal model does not attend to later positions.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.head = model.get_decoder(), model.get_output_embeddings()
        self.softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def forward(self, input_ids: Tensor, places: Tensor) -> Tensor:
        """Logits [1, places, vocabulary]; `places` index the flattened [rows * tokens] positions."""
        return self.logits(self.decoder(input_ids=input_ids, use_cache=False).last_hidden_state, places)

    def logits(self, hidden: Tensor, places: Tensor) -> Tensor:
        """Logits at some positions of hidden states [rows, tokens, size]."""
        logits: Tensor = self.head(hidden.flatten(0, 1).index_select(0, places)[None])
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap


class CachedDecoder(Decoder):
    """A causal language model that goes on behind tokens fed before. Every row has the same number of them."""

    def forward(  # type: ignore[override]
        self, input_ids: Tensor, places: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Logits as of `Decoder`, and of each layer the keys, then of each the values, of all tokens.

        Args:
            keys, values: of the tokens fed before, of each layer [rows, heads, tokens, size].
        """
        cache = DynamicCache()
        for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
            cache.update(key, value, layer)
        rows, tokens = input_ids.shape
        positions = torch.arange(tokens) + keys[0].shape[2]
        output = self.decoder(
            input_ids=input_ids,
            position_ids=positions[None].repeat(rows, 1),  # `RotaryEmbedding` wants those of each row
            past_key_values=cache,
            use_cache=True,
        )
        layers: Any = cache.layers
        logits = self.logits(output.last_hidden_state, places)
        return logits, *(layer.keys for layer in layers), *(layer.values for layer in layers)


class Body(torch.nn.Module):
    """An encoder that returns its first output: logits of each token, or hidden states."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.typed = "token_type_ids" in inspect.signature(model.forward).parameters

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[rows, tokens], or [rows, tokens, size]."""
        types = {"token_type_ids": torch.zeros_like(input_ids)} if self.typed else {}
        output: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, **types)[0]
        return output


class Masked(Body):
    """A masked language model whose head computes one position of each row only."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.places = torch.zeros(0)
        model.base_model.register_forward_hook(self._keep_places)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, places: Tensor) -> Tensor:  # type: ignore[override]
        """Logits [rows, 1, vocabulary] at position `places[row]` of each row."""
        self.places = places
        return super().forward(input_ids, attention_mask)

    def _keep_places(self, module: Any, args: Any, output: Any) -> Any:
        hidden = output[0]
        index = self.places[:, None, None].expand(-1, 1, hidden.shape[-1])
        output["last_hidden_state"] = hidden.gather(1, index)
        return output


class Export(NamedTuple):
    """What an export turned out to be.

    Attributes:
        parity: the largest difference of an output at each of `SHAPES`, as a share of the largest output.
        not_cached: why the graph of a causal model takes no keys and values of earlier tokens; None where it does, and
            for encoders.
    """

    parity: dict[str, float]
    not_cached: str | None = None


def export(checkpoint: Checkpoint, out: Path) -> Export:
    """Write a model as an fp32 graph into `out`, and compare the graph with the model.

    Raises:
        QuantizeError: it cannot be exported, or the outputs of the graph differ from the model's.
        MissingExtraError: a package is missing.
    """
    import_onnx()
    kind, config = find_kind(checkpoint), load_config(checkpoint)
    _refuse_positions(checkpoint, config)
    wanted = LoadRequest(checkpoint, config, torch.float32, torch.device("cpu"))
    if kind is not None:
        model = encoder_weights.load_weights(kind, wanted)
        return Export(_exported(Masked(model) if kind is Kind.MASKED else Body(model), model, kind, checkpoint, out))
    model, why = load_weights(wanted), OTHER_STATE
    past = _past(model)
    for opset in (OPSET, None) if past is not None else ():
        try:
            return Export(_exported(CachedDecoder(model), model, None, checkpoint, out, past, opset))
        except QuantizeError as error:
            why = str(error)
            shutil.rmtree(out, ignore_errors=True)
    return Export(_exported(Decoder(model), model, None, checkpoint, out), why)


def _exported(
    body: torch.nn.Module, model: Any, kind: Kind | None, checkpoint: Checkpoint, out: Path,
    past: Mapping[str, Sequence[Tensor]] | None = None, opset: int | None = None,
) -> dict[str, float]:  # fmt: skip
    """Write one graph and compare it with the model.

    Args:
        past: keys and values that the graph is traced with, if it takes them. opset: version of the operators; None:
            the exporter's choice.

    Raises:
        QuantizeError: see `export`; also where onnxruntime cannot run the graph.
    """
    vocabulary = model.get_input_embeddings().num_embeddings
    try:
        with quiet(), torch.inference_mode(), mock.patch.dict(os.environ, {GROUPED: "1"} if opset == OPSET else {}):
            _write(body.eval(), inputs(kind, TRACED, vocabulary) | dict(past or {}), out / ONNX, opset)
    except Exception as error:
        raise QuantizeError(f"{checkpoint.directory} cannot be exported to ONNX ({first_line(error)}).") from error
    _mark(out / ONNX, CAUSAL if kind is None else kind.value)
    if isinstance(body, Masked):
        model.base_model._forward_hooks.clear()
    try:
        return parity(checkpoint.directory, Graph(out), model, kind, vocabulary)
    except (RuntimeError, ModelError) as error:  # an onnxruntime without these operators cannot load it
        raise QuantizeError(f"{checkpoint.directory}: its graph does not run ({first_line(error)}).") from error


@torch.inference_mode()
def _past(model: Any) -> dict[str, list[Tensor]] | None:
    """Of each layer the keys and values of `TRACED_BEFORE` tokens of each traced row; None where the model keeps
    anything else than the keys and values of all tokens (a window, a state)."""
    ids = torch.zeros(TRACED[0], TRACED_BEFORE, dtype=torch.long)
    cache = getattr(model.get_decoder()(input_ids=ids, use_cache=True), "past_key_values", None)
    if type(cache) is not DynamicCache or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    layers: Any = cache.layers
    return {KEYS: [layer.keys for layer in layers], VALUES: [layer.values for layer in layers]}


def _refuse_positions(checkpoint: Checkpoint, config: Any) -> None:
    if named := sorted(length_dependent(config.get_text_config())):
        raise QuantizeError(
            f"{checkpoint.directory}: its rotary positions ({named[0]}) depend on the length of the text, which a "
            "graph cannot follow: use another engine."
        )


def inputs(kind: Kind | None, shape: tuple[int, int], vocabulary: int) -> dict[str, Tensor]:
    """Random inputs of a graph; with several rows, the later ones are shorter where there is a mask.

    Args:
        shape: rows and tokens of the longest.
    """
    rows, tokens = shape
    draw = random.Random(f"{rows} {tokens}")
    ids = torch.tensor([[draw.randrange(vocabulary) for _ in range(tokens)] for _ in range(rows)])
    if kind is None:
        return {"input_ids": ids, "places": torch.tensor(sorted(draw.sample(range(rows * tokens), tokens // 2)))}
    lengths = torch.tensor([tokens - 2 * row for row in range(rows)])
    found = {"input_ids": ids, "attention_mask": (torch.arange(tokens) < lengths[:, None]).long()}
    return found | ({"places": lengths - 2} if kind is Kind.MASKED else {})


def _write(
    body: torch.nn.Module, example: Mapping[str, Tensor | Sequence[Tensor]], path: Path, opset: int | None = None
) -> None:
    lists = {name: value for name, value in example.items() if not isinstance(value, Tensor)}
    past = [f"{name}.{layer}" for name, values in lists.items() for layer in range(len(values))]
    program = torch.onnx.export(
        body,
        kwargs=dict(example),
        input_names=[*(name for name in example if name not in lists), *past],
        output_names=["output", *(f"new_{name}" for name in past)],
        dynamic_shapes={
            name: _free(range(value.dim())) if isinstance(value, Tensor) else [_free(PAST_DIMS)] * len(value)
            for name, value in example.items()
        },
        opset_version=opset,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path), external_data=True)


def _free(dims: Iterable[int]) -> dict[int, Any]:
    """Those dimensions of an input that may have any size."""
    return dict.fromkeys(dims, torch.export.Dim.DYNAMIC)


def _mark(path: Path, kind: str) -> None:
    """Write the kind of model into the graph's metadata."""
    onnx, _ = import_onnx()
    model = onnx.load(str(path), load_external_data=False)
    entry = model.metadata_props.add()
    entry.key, entry.value = KIND, kind
    onnx.save(model, str(path))


def parity(where: Path, graph: Graph, model: Any, kind: Kind | None, vocabulary: int) -> dict[str, float]:
    """The graph's largest difference from the model at each of `SHAPES`, as a share of the model's largest output. A
    graph that takes keys and values is fed the last shape once more, in two parts.

    Raises:
        QuantizeError: it is above `TOLERANCE`, or not a number.
    """
    found = {}
    for shape in SHAPES:
        given = inputs(kind, shape, vocabulary)
        got = graph.run(**{name: value.tolist() for name, value in given.items()})
        want = _expected(model, kind, given)
        real = given.get("attention_mask", torch.ones(got.shape[:2])).bool() if kind is not Kind.MASKED else ...
        name = f"{shape[0]} x {shape[1]} tokens"
        found[name] = _difference(where, got[real], want[real], name)
    if kind is None and graph.facts.cached:
        name += " in two parts"
        found[name] = _difference(where, *_in_two_parts(graph, model, given["input_ids"]), name)
    return found


def _difference(where: Path, got: Tensor, want: Tensor, name: str) -> float:
    off = (got - want).abs().max().item() / max(1.0, want.abs().max().item())
    if not off <= TOLERANCE:
        raise QuantizeError(
            f"{where}: exported to ONNX, the model differs from itself by {off:.2g} of its largest output at "
            f"{name} (allowed: {TOLERANCE:g}); the export is not kept."
        )
    return off


def _in_two_parts(graph: Graph, model: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the later part of some rows: the graph's, behind the keys and values of the first part, and the
    model's."""
    rows, tokens = ids.shape
    cut = tokens // 3
    _, past = graph.extend(graph.nothing(rows), input_ids=ids[:, :cut].tolist(), places=[0])
    got, _ = graph.extend(past, input_ids=ids[:, cut:].tolist(), places=range(rows * (tokens - cut)))
    later = torch.arange(rows * tokens).view(rows, tokens)[:, cut:].flatten()
    return got, _expected(model, None, {"input_ids": ids, "places": later})


@torch.inference_mode()
def _expected(model: Any, kind: Kind | None, given: Mapping[str, Tensor]) -> Tensor:
    """The model's own outputs for the same inputs, in the shape of the graph's output."""
    if kind is None:
        logits: Tensor = model(input_ids=given["input_ids"], use_cache=False).logits
        return logits.flatten(0, 1)[given["places"]][None]
    whole: Tensor = Body(model)(given["input_ids"], given["attention_mask"])
    return whole[range(len(whole)), given["places"]][:, None] if kind is Kind.MASKED else whole
