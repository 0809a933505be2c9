"""What to say about a model name that is not known: near names, or the known quantisations."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from pytest_slmsec.core.model_registry import Registry
from pytest_slmsec.core.models import GGUF_MAGIC, is_place

NEAR, MOST_NEAR = 0.5, 4
"""Least similarity of a proposed name (ratio of difflib), and the largest number of proposals."""


def unknown_model(name: str, stem: str, registry: Registry, known: Collection[str], option: str) -> str:
    """The message about a name that is not known.

    Args:
        name, option: as written, and where. stem: the name without its adapter.
        registry, known: names of known models; known quantisations and dtypes.
    """
    base = _base_of(stem, registry)
    if base is not None:
        quant = stem.removeprefix(base + "-")
        near = _either(f"{base}-{one}" for one in _nearest(quant, known))
        hint = f" (did you mean {near}?)" if near else ""
        return f"{option}={name}: {quant!r} is no known quantisation{hint}; known: {', '.join(known)}."
    if Path(stem).is_file():
        return f"{option}={name}: {stem} is a file, but no GGUF file (it does not begin with {GGUF_MAGIC.decode()})."
    if os.sep in stem or stem.startswith("."):
        return (
            f"{option}={name}: there is no directory {stem}; name one with config.json and *.safetensors in it, or a "
            "GGUF file."
        )
    quant = next((f"-{one}" for one in sorted(known, key=len, reverse=True) if stem.endswith(f"-{one}")), "")
    near = _either(f"{one}{quant}" for one in _nearest(stem.removesuffix(quant), registry))
    hint = f"; did you mean {near}?" if near else "."
    return (
        f"{option}={name}: no such model{hint} `slmsec list` shows the known names; "
        "a local directory or hf:org/name works too."
    )


def _base_of(stem: str, registry: Registry) -> str | None:
    """The longest known model or path such that `stem` is it, a hyphen and something more; None where there is none."""
    known = [base for base in registry if stem.startswith(base + "-")]
    places = [stem[:at] for at, char in enumerate(stem) if char == "-" and at and is_place(Path(stem[:at]))]
    return max([*known, *places], key=len, default=None)


def _nearest(text: str, names: Iterable[str]) -> list[str]:
    """Up to `MOST_NEAR` proposals: the names that begin with `text`, or else those most similar to it."""
    names = list(names)
    longer = [name for name in names if text and name.startswith(text)]
    if longer:
        return longer[:MOST_NEAR]
    ratios = {name: difflib.SequenceMatcher(None, text, name).ratio() for name in names}
    best = max(ratios.values(), default=0.0)
    return [name for name, ratio in ratios.items() if ratio == best][:MOST_NEAR] if best >= NEAR else []


def _either(names: Iterable[str]) -> str:
    """``a, b or c``."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} or {last}" if first else last
