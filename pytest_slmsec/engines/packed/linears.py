"""Linear layers on a CPU whose weights are prepacked for oneDNN.

oneDNN multiplies fastest with weights in a memory layout of its own. torch converts the weights at each product, or
uses them unconverted. Here they are converted once, when the model is loaded: products in fp32 are then 1.1 to 2.4
times faster, in bf16 1.02 to 2 times, most with few rows (`benchmarks/speed/linears.py`). The plain weights are freed,
so no memory is added. The operators belong to torch's compiler and are not public: a layer whose shape they do not
support, or where they give another result than a plain product, stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from pytest_slmsec.engines.common.loading import first_line

LINES_OF_TEXT, LINES_OF_HEAD = 512, 32
"""Number of rows that the layouts are optimised for; products with other numbers are correct too."""
PROBED_ROWS = 8
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""Largest difference allowed to a plain product, relative to its largest value. Other dtypes are not prepacked."""
TROUBLE = (RuntimeError, AttributeError, NotImplementedError, MemoryError)
"""Raised by torch if the operators, or the processor instructions they need, are missing."""
Product = Callable[[Tensor], Tensor]
PACKED = "oneDNN, laid out in advance"


class PackedWeight:
    """A weight matrix in oneDNN's layout for products with about `rows` rows.

    Args:
        weight: [outputs, inputs], fp32 or bf16, on the CPU. bias: [outputs] or None.

    Raises:
        RuntimeError, AttributeError, NotImplementedError: this torch or this processor does not support it.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
        self._bias = None if bias is None else bias.detach()

    def __call__(self, rows: Tensor) -> Tensor:
        """rows @ weight.T + bias, [..., inputs] to [..., outputs]."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return found

    def plain(self) -> Tensor:
        """The weights in the ordinary layout, [outputs, inputs]."""
        plain: Tensor = self._weight.to_dense()
        return plain


class PackedLinear(nn.Module):
    """A linear layer over a prepacked weight.

    The weight is not a parameter of the module, so it cannot be moved or cast. A deep copy is a plain linear layer.

    Args:
        layer: the layer it replaces. rows: number of rows that the layout is optimised for.

    Attributes:
        unpacked: how often `weight` was read; each time the plain matrix is computed anew.
    """

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        self._product = PackedWeight(layer.weight, layer.bias, rows)
        self.unpacked = 0

    def forward(self, rows: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        return self._product(rows)

    @property
    def weight(self) -> Tensor:
        """The weights in the ordinary layout ([outputs, inputs]), computed at each access."""
        self.unpacked += 1
        return self._product.plain()

    def plain(self) -> nn.Linear:
        """A plain layer with the same weights."""
        weight = self._product.plain()
        made = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        made.weight = nn.Parameter(weight, requires_grad=False)
        made.bias = self.bias
        return made.train(self.training)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Linear:
        made = self.plain()
        made.bias = None if self.bias is None else nn.Parameter(self.bias.detach().clone(), requires_grad=False)
        return made


@torch.no_grad()
def pack_linears(model: Any) -> str:
    """Prepack the linear layers of a model on the CPU, in place. The head is included unless its weights are tied.

    Returns:
        For the record: `PACKED`, or ``plain: `` and the reason.
    """
    head = model.get_output_embeddings()
    parameter = next(model.parameters())
    why = _refusal(parameter.device, parameter.dtype)
    if why is not None:
        return why
    known: dict[tuple[object, ...], bool] = {}
    changed = 0
    for parent, name in list(_candidates(model)):
        layer = getattr(parent, name)  # the only reference: its plain weights are freed before the next is prepacked
        if layer is head and layer.weight.dtype != torch.float32:
            continue  # `Head` computes in fp32, with its own copy of these weights
        rows = LINES_OF_HEAD if layer is head else LINES_OF_TEXT
        shape = (layer.in_features, layer.out_features, layer.weight.dtype, layer.bias is None, rows)
        if not known.get(shape, True):
            continue
        try:
            made = PackedLinear(layer, rows)
            known[shape] = known.get(shape) or _agrees(made, layer, layer.weight)
        except TROUBLE as error:
            unpack_linears(model)
            return f"plain: {type(error).__name__}: {first_line(error)[:120]}"
        if known[shape]:
            setattr(parent, name, made)
            changed += 1
    if changed:
        return PACKED
    return f"plain: no layer {'agreed' if known else 'is an ordinary one'}"


def unpack_linears(model: Any, only_read: bool = False) -> None:
    """Undo `pack_linears`; with `only_read` only for layers whose `weight` the model has read in a forward pass."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, PackedLinear) and (layer.unpacked or not only_read):
                setattr(parent, name, layer.plain())


def packed_weight(weight: Tensor, bias: Tensor | None, rows: int) -> PackedWeight | None:
    """A prepacked matrix, or None if that is not supported or gives another result than a plain product."""
    if _refusal(weight.device, weight.dtype) is not None:
        return None
    try:
        made = PackedWeight(weight, bias, rows)
        agrees = _agrees(made, partial(nn.functional.linear, weight=weight, bias=bias), weight)
    except TROUBLE:
        return None
    return made if agrees else None


def _refusal(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cpu":
        return f"plain: on {device.type}"
    if dtype not in TOLERANCE:
        return f"plain: in {dtype}"
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):  # type: ignore[no-untyped-call]
        return "plain: this torch has no oneDNN"
    return None


def _candidates(model: Any) -> Iterator[tuple[nn.Module, str]]:
    """Parent and name of plain `nn.Linear` layers without hooks whose weights no other layer or parent uses."""
    owners = Counter(id(one) for module in model.modules() for one in module._parameters.values() if one is not None)
    layers = Counter(id(child) for parent in model.modules() for child in parent.children())
    for parent in model.modules():
        if isinstance(parent, nn.ModuleDict):
            continue  # parts of a LoRA adapter, whose weights are read in each forward pass
        for name, layer in parent.named_children():
            if name != "base_layer" and _ordinary(layer) and owners[id(layer.weight)] == layers[id(layer)] == 1:
                yield parent, name


def _ordinary(layer: nn.Module) -> TypeGuard[nn.Linear]:
    if type(layer) is not nn.Linear or not isinstance(layer._parameters.get("weight"), nn.Parameter):
        return False
    hooks = layer._forward_hooks or layer._forward_pre_hooks
    plain = type(layer.weight.data) is torch.Tensor and layer.weight.dtype in TOLERANCE
    return plain and not hooks and not hasattr(layer, "_hf_hook") and "forward" not in layer.__dict__


def _agrees(packed: Product, plain: Product, weight: Tensor) -> bool:
    """Whether two products with a weight agree on random rows.

    A weight with values that are not finite counts as agreeing: both products are then not finite either.
    """
    draw = torch.Generator().manual_seed(0)
    probe = torch.randn(PROBED_ROWS, weight.shape[1], generator=draw).to(weight.dtype)
    expected = plain(probe)
    largest = expected.abs().max().item()
    off = (packed(probe) - expected).abs().max().item()
    return not largest < float("inf") or off <= TOLERANCE[expected.dtype] * max(largest, 1e-6)
