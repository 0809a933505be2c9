"""Reads how a sentence-embedding model makes one vector of its token vectors, from files of sentence-transformers.

Files: ``modules.json`` (the modules in order), ``1_Pooling/config.json``, ``sentence_bert_config.json``,
``config_sentence_transformers.json`` (https://sbert.net, `sentence_transformers.models`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.checkpoint import read_json
from pytest_slmsec.engines.encoders.kinds import MODULES

MODES: Mapping[str, Literal["mean", "cls"]] = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "mean": "mean", "cls": "cls",
}  # fmt: skip
PROMPTS = "config_sentence_transformers.json"
UNDERSTOOD = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class Pooling:
    """How the vectors of all tokens become the vector of a text.

    Attributes:
        mode: ``mean`` over all tokens, special ones included, or ``cls``: the first token's vector.
        max_tokens: longest text the model was made for, special tokens included; None if the files do not say.
        lower_case: whether texts are lower-cased before they are tokenised.
    """

    mode: Literal["mean", "cls"]
    max_tokens: int | None
    lower_case: bool = False


def read_pooling(directory: Path) -> Pooling:
    """Read the files beside the weights.

    Raises:
        ModelError: one is missing or damaged, or asks for something that is not implemented here.
    """
    modules = {_kind(module): str(module.get("path", "")) for module in _modules(directory / MODULES)}
    strange = [kind for kind in modules if kind not in UNDERSTOOD]
    if strange:
        raise ModelError(
            f"{directory / MODULES}: the module {strange[0]!r} is not understood here "
            f"(known: {', '.join(UNDERSTOOD)}): use another embedding model."
        )
    if "Transformer" not in modules or "Pooling" not in modules:
        raise ModelError(f"{directory / MODULES} names no Transformer with a Pooling after it: fetch the model again.")
    settings = _optional(directory / modules["Transformer"] / "sentence_bert_config.json")
    prompt = _optional(directory / PROMPTS).get("default_prompt_name")
    if prompt:
        raise ModelError(
            f"{directory / PROMPTS} puts the prompt {prompt!r} before every text, which is not understood here: use "
            "another embedding model."
        )
    longest = settings.get("max_seq_length")
    return Pooling(
        _mode(directory / modules["Pooling"] / "config.json"),
        int(longest) if longest else None,
        bool(settings.get("do_lower_case")),
    )


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _modules(path: Path) -> list[dict[str, Any]]:
    try:
        modules = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} is no readable JSON ({error}): fetch or write it again.") from error
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ModelError(f"{path} is no list of modules: fetch it again.")
    return modules


def _kind(module: Mapping[str, Any]) -> str:
    return str(module.get("type")).rpartition(".")[2]


def _mode(path: Path) -> Literal["mean", "cls"]:
    if not path.is_file():
        raise ModelError(
            f"{path} is missing, so it is not known how token vectors become a text's: complete the model."
        )
    config = read_json(path)
    chosen = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    chosen = chosen or [str(config.get("pooling_mode"))]
    if len(chosen) != 1 or chosen[0] not in MODES:
        raise ModelError(
            f"{path} asks for the pooling {' + '.join(chosen)}; understood are the mean of all tokens and the first "
            "token: use another embedding model."
        )
    return MODES[chosen[0]]
