"""Content identities: what an answer depends on, as SHA-256 hex digests.

Two answers have the same key exactly when the same weights, tokenizer, chat template, prompt and decoding made them, so
a stored answer is never reused after any of these changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_slmsec.core.items import Generate, Item, Request

CHUNK_BYTES = 1 << 20


def sha256_text(text: str) -> str:
    """Digest of `text` as UTF-8; lone surrogates keep their code points, so every str has one."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_json(value: Any) -> str:
    """Digest of plain data in canonical JSON (sorted keys, no blanks)."""
    return sha256_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def sha256_files(paths: Iterable[Path]) -> str:
    """Digest over the contents of files, in the order of their names; names count, folders do not."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        total.update(f"{path.name}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def sha256_file(path: Path) -> str:
    """Digest of one file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def answer_key(model_sha256: str, request: Request) -> str:
    """Key of the answer that a model gives to a request.

    Args:
        model_sha256: identity of the loaded model (`model_key`).
        request: what is asked. Its id does not count: the same prompt has the same answer; nor do hints to the engine.
    """
    return sha256_json([model_sha256, type(request).__name__, _asked(request)])


def sampling_seed(request: Generate) -> int:
    """The seed (64 bits) of the draws of a sampled request: it depends on all that is asked, and on nothing else, so
    that a text is the same in any batch."""
    return int(sha256_json(_asked(request))[:16], 16)


def _asked(request: Request) -> dict[str, Any]:
    """What an answer depends on; temperature and seed only where tokens are drawn."""
    asked = asdict(request)
    drawn = isinstance(request, Generate) and request.sampled
    for name in ("id", "shared_chars", *(() if drawn else ("temperature", "seed"))):
        asked.pop(name, None)
    return asked


def model_key(parts: Mapping[str, str]) -> str:
    """Identity of a loaded model from the digests of its weights, tokenizer and template and its dtype and engine."""
    return sha256_json(dict(parts))


def item_key(item: Item) -> str:
    """Identity of an item: what is asked, what can be chosen, and what is right. Ids may differ, this not."""
    raw = [list(item.contexts)] if item.raw else []
    texts = [item.question, list(item.options)] if item.options else []
    shots = [[list(turn) for turn in item.shots]] if item.shots else []
    asked = [item.system, item.prompt, list(item.choices), list(item.labels), item.gold, *raw, *texts, *shots]
    return sha256_json(asked)


def items_key(items: Sequence[Item]) -> str:
    """Identity of an ordered set of items."""
    return sha256_json([item_key(item) for item in items])
