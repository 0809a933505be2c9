"""Parts of pytest ids: items and models as text that ids, shells and file names can hold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.core.models import VLLM_PREFIX, ModelSpec

UNSAFE = re.compile(r"[^A-Za-z0-9_.@+=,#-]+")
LONGEST_ID = 100


def safe_id(text: str) -> str:
    """`text` as part of a pytest id: ASCII without brackets, colons, blanks and slashes, at most 100 characters.

    A text that had to be changed gets a digest of itself behind a `~`, so that different texts stay different.
    """
    clean = UNSAFE.sub("_", text)
    if clean == text and len(text) <= LONGEST_ID:
        return text
    return f"{clean[: LONGEST_ID - 9]}~{sha256_text(text)[:8]}"


def model_id(spec: ModelSpec) -> str:
    """The model's name in ids. Local directories (model and adapter) are shortened to their last folder."""
    if spec.source in ("replay", "server"):
        return safe_id(re.sub("[:/]+", "-", spec.name))
    if spec.name.startswith(VLLM_PREFIX):
        inner = {key: getattr(spec, key).removeprefix(VLLM_PREFIX) for key in ("name", "base")}
        return safe_id(f"vllm-{model_id(replace(spec, **inner))}")
    name = spec.name if spec.source == "hub" or spec.embedded else spec.name.replace(spec.base, Path(spec.base).name)
    if spec.adapter is not None and spec.adapter.source == "path":
        name = name.replace(f"+{spec.adapter.name}", f"+{Path(spec.adapter.name).name}")
    return safe_id(name)
