"""Undoes what a library replaces in transformers for the whole process."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

LOADING = ("transformers.conversion_mapping", "transformers.modeling_utils")
"""Where transformers says how the weights of a checkpoint become those of a model, and where it looks that up."""


@contextmanager
def transformers_unchanged(config: Any) -> Iterator[None]:
    """Put back, behind a block, every name that the block replaces in the modules of one architecture.

    gptqmodel replaces the classes of fused experts (Mixtral, OLMoE, ...) by ones with a linear layer for each expert,
    and how their weights are found in a checkpoint. A model of the same architecture that is loaded later, such as the
    unquantised base, would not find its weights. A model that was loaded keeps its own classes.

    Source: defuser 0.0.28, ``defuser.py`` (`replace_fused_blocks`).

    Args:
        config: of the model, as transformers reads it.
    """
    architectures = {type(part).__module__ for part in (config, config.get_text_config())}
    names = (*LOADING, *(name.replace("configuration_", "modeling_") for name in sorted(architectures)))
    before = [(module, dict(vars(module))) for module in map(importlib.import_module, filter(find_spec, names))]
    try:
        yield
    finally:
        for module, found in before:
            vars(module).update(found)
