"""The attention function of this package, registered with transformers once.

What a token may attend to is known by what is being fed: a tile of questions, or one step of running answers. Linear
layers, quantised or not, have no part in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor

NAME = "slmsec_packed"
KeysAndValues = dict[int, tuple[Tensor, Tensor]]
"""By layer: keys and values, each [1, key-value heads, tokens, head size]."""
REFUSED_OPTIONS = ("softcap", "s_aux")
"""What some architectures ask of their attention beyond scaling; scaled_dot_product_attention cannot do it."""


class NotPackable(Exception):
    """The model asks for an attention that a packed tile cannot have; says which."""


class InWork(Protocol):
    """What is being fed to the model."""

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Attention of one layer.

        Args:
            query: [rows, heads, tokens, head size]; key, value: [rows, key-value heads, tokens, head size].
            window: tokens that the layer looks back at most, or None for all.

        Returns:
            [rows, heads, tokens, head size].
        """


_in_work: ContextVar[InWork] = ContextVar("slmsec_in_work")


@contextmanager
def working_on(work: InWork) -> Iterator[None]:
    """Attention is that of this tile or step."""
    token = _in_work.set(work)
    try:
        yield
    finally:
        _in_work.reset(token)


def register() -> None:
    """Make the attention function known to transformers, and no mask with it: where there is none, none is made.

    Source: transformers 5.23, ``masking_utils.py`` (`_preprocess_mask_arguments`).
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None,
    scaling: float | None = None, dropout: float = 0.0, **options: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention of one layer over what is in work; see `InWork.attend`.

    Returns:
        [rows, tokens, heads, head size].

    Raises:
        NotPackable: the layer asks for more than scaled dot products.
    """
    for name in REFUSED_OPTIONS:
        if options.get(name) is not None:
            raise NotPackable(f"its attention uses {name}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = getattr(module, "layer_idx", -1)
    out = _in_work.get().attend(layer, query, key, value, scale, options.get("sliding_window"))
    return out.transpose(1, 2), None
