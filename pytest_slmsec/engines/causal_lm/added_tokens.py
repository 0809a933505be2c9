"""Tokens that an adapter was trained with and its base does not have.

Before such a training the tokenizer gets new tokens and the embedding new rows; peft stores the rows with the adapter.
Both are repeated here, as peft's `AutoPeftModel` and lm-evaluation-harness do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quiet import quiet

PREFIX = "base_model.model."
"""What peft puts in front of the names of a model's own weights."""


def stored_rows(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Rows of the embedding or output head that an adapter stores; None where it stores neither.

    Args:
        shapes: names and shapes of the adapter's tensors.
    """
    modules = [module for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module is not None]
    names = [name for name, module in model.named_modules() if any(module is one for one in modules)]
    found = [shapes[key][0] for key in (f"{PREFIX}{name}.weight" for name in names) if key in shapes]
    return max(found, default=None)


def resize(model: Any, directory: Path, rows: int) -> int:
    """Give a model's embedding and output head the rows that its adapter was trained with.

    New rows that the adapter does not store get the mean of the others: a fixed value, and close to where training
    begins.

    Returns:
        The number of rows added; negative where rows were cut off.

    Raises:
        ModelError: the embedding cannot be resized.
    """
    before = int(model.get_input_embeddings().num_embeddings)
    if rows == before:
        return 0
    try:
        with quiet(), torch.no_grad():
            model.resize_token_embeddings(rows, mean_resizing=False)
            for module in (model.get_input_embeddings(), model.get_output_embeddings()):
                if module is not None and rows > before:
                    module.weight[before:] = module.weight[:before].float().mean(dim=0).to(module.weight.dtype)
    except Exception as error:
        raise ModelError(
            f"{directory}: the adapter was trained with {rows} tokens where its base embeds {before}, and the "
            f"embedding cannot be resized ({first_line(error)}): use the unquantised base."
        ) from error
    return rows - before


def add_tokens(tokenizer: Any, own: Any, rows: int) -> list[str]:
    """Add the tokens of an adapter's tokenizer to its base's, under the same ids.

    Args:
        tokenizer: the base's; it is changed. own: the adapter's. rows: of the embedding; tokens beyond are not added.

    Returns:
        The added tokens.

    Raises:
        ModelError: the base's tokenizer would give a token another id, or the chat template of the adapter needs a
            token that the embedding has no row for.
    """
    known = tokenizer.get_vocab()
    new = sorted((at, token) for token, at in own.get_vocab().items() if token not in known)
    missing = [token for at, token in new if at >= rows and token in str(own.chat_template or "")]
    if missing:
        raise ModelError(
            f"the chat template of the adapter uses {missing[0]!r}, for which neither the base nor the adapter has an "
            f"embedding (it has {rows} rows): save the adapter with its embedding (save_embedding_layers=True)."
        )
    added = [(at, token) for at, token in new if at < rows]
    for at, token in added:
        details = own.added_tokens_decoder.get(at, token)
        tokenizer.add_tokens([details], special_tokens=bool(getattr(details, "special", False)))
        if tokenizer.convert_tokens_to_ids(token) != at:
            raise ModelError(
                f"the tokenizer of the adapter has {token!r} as id {at}, which the tokenizer of the base cannot give "
                "it: they are of different models; name the base that the adapter was made for."
            )
    return [token for _, token in added]
