"""The attention function of this package, registered with transformers under the name `NAME`.

It passes queries, keys and values to the handler of what is being fed: a tile of questions, or one step of the running
answers. The handler knows which tokens may attend to which. No other layer of the model changes.
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
"""Options that some architectures pass to their attention and scaled_dot_product_attention has not: a soft cap of the
scores, attention sinks."""


class NotPackable(Exception):
    """The model needs an attention that packed tiles do not offer; the message says which."""


class AttentionHandler(Protocol):
    """Computes the attention of what is being fed to the model."""

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Attention of one layer.

        Args:
            query: [rows, heads, tokens, head size]; key, value: [rows, key-value heads, tokens, head size].
            window: how many tokens back the layer may attend (its sliding window), or None for all.

        Returns:
            [rows, heads, tokens, head size].
        """


_handler: ContextVar[AttentionHandler] = ContextVar("slmsec_attention_handler")


@contextmanager
def using_attention(handler: AttentionHandler) -> Iterator[None]:
    """Let `handler` compute the attention of the forward passes inside the block."""
    token = _handler.set(handler)
    try:
        yield
    finally:
        _handler.reset(token)


def register() -> None:
    """Register the attention function with transformers, and no mask function: then transformers builds no mask.

    Source: transformers 5.23, ``masking_utils.py`` (`_preprocess_mask_arguments`).
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None,
    scaling: float | None = None, dropout: float = 0.0, **options: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention of one layer, computed by the current handler; see `AttentionHandler.attend`.

    Returns:
        [rows, tokens, heads, head size].

    Raises:
        NotPackable: the layer needs one of `REFUSED_OPTIONS`.
    """
    for name in REFUSED_OPTIONS:
        if options.get(name) is not None:
            raise NotPackable(f"its attention uses {name}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = getattr(module, "layer_idx", -1)
    out = _handler.get().attend(layer, query, key, value, scale, options.get("sliding_window"))
    return out.transpose(1, 2), None
