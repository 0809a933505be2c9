"""Which share of a model's weights is quantised, and which weights are left in full precision.

Counted are the weights of two and more dimensions: linear layers, GPT-2's Conv1D, stacked experts of a mixture,
convolutions, routers. Not counted are embeddings and the output head (tied or not; most methods leave both), biases
(stacked ones of experts too), and everything of one dimension: norms, scales. Of a model for images and text the part
that reads text counts, for it is asked with text only. A stacked weight counts with all of its
elements, and a packed one with the elements that it unpacks to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import ModelError

FACT = "quantized"
"""Key of the share among the facts about a loaded model (`EngineInfo.extra`)."""
LAYER_NUMBER = re.compile(r"\d+")
MOST_NAMED = 4
LEAST_SHARE = 0.9
"""A model with a smaller share is quantised in part only, and said to be so."""


class NothingQuantizedError(ModelError):
    """A model that claims a quantisation, and has no quantised weight."""


class Weight(NamedTuple):
    """One weight: its name, its number of elements, and whether it is quantised."""

    name: str
    elements: int
    quantized: bool


@dataclass(frozen=True, slots=True)
class QuantizedShare:
    """Counts of elements.

    Attributes:
        quantized: elements of quantised weights. weights: elements of all counted weights.
        left: elements that are not quantised, by the weight's name with ``*`` for numbers, the largest first:
            ``model.layers.*.mlp.experts.down_proj``.
    """

    quantized: int
    weights: int
    left: Mapping[str, int]

    @property
    def share(self) -> float:
        """Quantised elements by all, 0 to 1; 0 where nothing counts."""
        return self.quantized / self.weights if self.weights else 0.0

    def plain(self) -> dict[str, Any]:
        """For records and manifests."""
        return {"share": self.share, "quantized": self.quantized, "weights": self.weights, "left": dict(self.left)}


def count_weights(weights: Iterable[Weight]) -> QuantizedShare:
    """Add up counted weights."""
    quantized = total = 0
    left: Counter[str] = Counter()
    for weight in weights:
        total += weight.elements
        if weight.quantized:
            quantized += weight.elements
        else:
            left[LAYER_NUMBER.sub("*", weight.name)] += weight.elements
    return QuantizedShare(quantized, total, dict(left.most_common()))


def count_model(model: Any, quantized: Mapping[str, int]) -> QuantizedShare:
    """The share of a model of transformers.

    Args:
        model: loaded and quantised. quantized: names of its quantised weights (``model.layers.0.mlp.up_proj.weight``)
            to the numbers of elements that they unpack to.
    """
    embeddings = _embedding_modules(model)
    modules_done = {name.rpartition(".")[0] for name in quantized if name.endswith(".weight")}
    found = [Weight(name, elements, True) for name, elements in quantized.items()]
    for name, parameter in model.named_parameters():
        counted = parameter.dim() > 1 and not name.endswith("bias")
        if counted and name not in quantized and name.rpartition(".")[0] not in modules_done:
            found.append(Weight(name, parameter.numel(), False))
    rows = model.get_input_embeddings().num_embeddings
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}

    text_part = _text_part(model)

    def counts(name: str) -> bool:
        if not name.startswith(text_part):
            return False
        outside_layers = LAYER_NUMBER.search(name) is None
        return name.rpartition(".")[0] not in embeddings and not (outside_layers and rows in shapes.get(name, ()))

    return count_weights(weight for weight in found if counts(weight.name))


def _text_part(model: Any) -> str:
    """What the names of the weights that read text begin with, in a model for images and text; else empty."""
    config = getattr(model, "config", None)
    if config is None or config.get_text_config() is config:
        return ""
    decoder, embedding = model.get_decoder(), model.get_input_embeddings()
    if decoder is None or not any(module is embedding for module in decoder.modules()):
        return ""
    return next((f"{name}." for name, module in model.named_modules() if module is decoder and name), "")


def _embedding_modules(model: Any) -> set[str]:
    """Names of the modules that are embeddings or the output head."""
    from torch.nn import Embedding

    heads = [head for head in (_output_head(model), model.get_input_embeddings()) if head is not None]
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, Embedding) or any(module is head for head in heads)
    }


def _output_head(model: Any) -> Any:
    try:
        return model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None  # encoders without a head


def require_quantized(directory: Path, method: str, found: QuantizedShare) -> QuantizedShare:
    """Refuse a model without any quantised weight.

    Raises:
        NothingQuantizedError: naming the weights that were left.
    """
    if found.quantized:
        return found
    raise NothingQuantizedError(
        f"{directory} claims to be quantised with {method}, but none of its weights is (left in full precision: "
        f"{named_left(found.left)}): use a quantisation that knows these layers, or evaluate the unquantised model."
    )


def partly(found: Mapping[str, Any] | None) -> str | None:
    """What is said of a model too little of which is quantised; None where there is nothing to say.

    Args:
        found: `QuantizedShare.plain`, as it stands in a record.
    """
    if not found or found["share"] >= LEAST_SHARE:
        return None
    return (
        f"only {found['share']:.1%} of {found['weights']:,} weights of layers are quantised; left in full precision: "
        f"{named_left(found['left'])}"
    )


def named_left(left: Mapping[str, int]) -> str:
    """The largest weights that are not quantised, for messages: ``a.*.b (1,024), ...``."""
    largest = sorted(left.items(), key=lambda pair: -pair[1])[:MOST_NAMED]
    names = [f"{name} ({elements:,})" for name, elements in largest]
    return ", ".join(names) + (f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else "")
