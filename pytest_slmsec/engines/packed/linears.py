"""Linear layers whose weights oneDNN has laid out in advance, for processors.

torch lays the weights of a linear layer out anew for oneDNN, or not at all, at each product. Done once, when the model
is loaded, that leaves the product itself: in fp32 1.1 to 2.4 times faster, in bf16 1.02 to 2 times, the more the fewer
rows (`benchmarks/speed/linears.py`). The plain weights are given up, so no memory is spent. The operators are torch's
own, made for its compiler and not public: where they are missing or say something else, layers stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from pytest_slmsec.engines.common.loading import first_line

LINES_OF_TEXT, LINES_OF_HEAD = 512, 32
"""Rows of the products that the layouts are made for; others run as well."""
PROBED_ROWS = 8
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""Largest difference to a plain product, as a share of its largest value; other dtypes are left alone."""
TROUBLE = (RuntimeError, AttributeError, NotImplementedError, MemoryError)
"""What torch raises where the operators, or the instructions they need, are not there."""
Product = Callable[[Tensor], Tensor]
PACKED = "oneDNN, laid out in advance"


class PackedWeight:
    """A matrix laid out for products with about `rows` rows.

    Args:
        weight: [outputs, inputs], fp32 or bf16, on the CPU. bias: [outputs] or None.

    Raises:
        RuntimeError, AttributeError, NotImplementedError: this torch, or this processor, has no such product.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows)
        self._bias = None if bias is None else bias.detach()

    def __call__(self, rows: Tensor) -> Tensor:
        """rows @ weight.T + bias, [..., inputs] to [..., outputs]."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return found

    def plain(self) -> Tensor:
        """The matrix as it was."""
        plain: Tensor = self._weight.to_dense()
        return plain


class PackedLinear(nn.Module):
    """A linear layer over a packed weight, which is no parameter: it stays in its dtype and where it is.

    A copy of it is a plain layer again.

    Args:
        layer: what it stands for. rows: of the products it is made for.

    Attributes:
        unpacked: how often its weights were asked for, each time as a plain matrix made anew.
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
        """The weights as a plain matrix, made for the caller ([outputs, inputs])."""
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
    """Lay out the linear layers of a model on the CPU, in place; of its head too, where it shares nothing.

    Returns:
        What the record says: how the layers compute, or why they stay as they are.
    """
    head = model.get_output_embeddings()
    dtype = next(model.parameters()).dtype
    if (why := _refusal(next(model.parameters()).device, dtype)) is not None:
        return why
    known: dict[tuple[object, ...], bool] = {}
    changed = 0
    for parent, name in list(_candidates(model)):
        layer = getattr(parent, name)  # not kept: the plain weights of each go before the next is laid out
        if layer is head and layer.weight.dtype != torch.float32:
            continue  # it computes in fp32, from a copy of its own
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
    return PACKED if changed else f"plain: no layer {'agreed' if known else 'is an ordinary one'}"


def unpack_linears(model: Any, only_read: bool = False) -> None:
    """Undo `pack_linears`; `only_read`: of layers whose weights the model has looked at while it ran."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, PackedLinear) and (layer.unpacked or not only_read):
                setattr(parent, name, layer.plain())


def packed_weight(weight: Tensor, bias: Tensor | None, rows: int) -> PackedWeight | None:
    """A packed matrix, or None where that cannot be had or does not agree with a plain product."""
    if _refusal(weight.device, weight.dtype) is not None:
        return None
    try:
        made = PackedWeight(weight, bias, rows)
        agrees = _agrees(made, lambda rows: nn.functional.linear(rows, weight, bias), weight)
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
    """Parent and name of layers that are nothing but torch's own, share no weight and are watched by nothing else."""
    owners = Counter(id(one) for module in model.modules() for one in module._parameters.values() if one is not None)
    layers = Counter(id(child) for parent in model.modules() for child in parent.children())
    for parent in model.modules():
        adapter = isinstance(parent, nn.ModuleDict)  # parts of an adapter, whose weights are looked at in each step
        for name, layer in () if adapter else parent.named_children():
            if name != "base_layer" and _ordinary(layer) and owners[id(layer.weight)] == layers[id(layer)] == 1:
                yield parent, name


def _ordinary(layer: nn.Module) -> TypeGuard[nn.Linear]:
    if type(layer) is not nn.Linear or not isinstance(layer._parameters.get("weight"), nn.Parameter):
        return False
    hooks = layer._forward_hooks or layer._forward_pre_hooks
    plain = type(layer.weight.data) is torch.Tensor and layer.weight.dtype in TOLERANCE
    return plain and not hooks and not hasattr(layer, "_hf_hook") and "forward" not in layer.__dict__


def _agrees(packed: Product, plain: Product, weight: Tensor) -> bool:
    """Whether two products with a weight say the same of random rows.

    A matrix whose values are not finite gives the same trouble in both.
    """
    draw = torch.Generator().manual_seed(0)
    probe = torch.randn(PROBED_ROWS, weight.shape[1], generator=draw).to(weight.dtype)
    expected = plain(probe)
    largest = expected.abs().max().item()
    off = (packed(probe) - expected).abs().max().item()
    return not largest < float("inf") or off <= TOLERANCE[expected.dtype] * max(largest, 1e-6)
