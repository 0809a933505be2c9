"""Reads the header of a GGUF file and checks it against the file before llama.cpp loads it.

llama.cpp ends the whole process on some damaged files, so as much as possible is checked here. Source of the layout:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.llamacpp.file_kinds import check_generates

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4
LONGEST_KEY = 65535
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
FORMATS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", "", "", "<Q", "<q", "<d")
"""struct's formats of value types 0 to 12; 8 is a string, 9 an array."""
STRING, ARRAY = 8, 9
TOKENS = "tokenizer.ggml.tokens"
SPECIAL_IDS = tuple(f"tokenizer.ggml.{name}_token_id" for name in ("bos", "eos", "unknown", "padding", "eot"))
EMBEDDING = "token_embd.weight"


class Damaged(ValueError):
    """The file is damaged. The message is the end of a sentence that begins with its path."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a GGUF file.

    Attributes:
        shape: elements in each dimension, the row length first. kind: storage type, such as ``Q4_K``.
        offset, n_bytes: bytes from the start of the tensor data, and size in bytes.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A GGUF file with a valid header and all of its tensors.

    Attributes:
        metadata: all keys and values; arrays are tuples.
    """

    path: Path
    metadata: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]

    @property
    def architecture(self) -> str:
        """The architecture by llama.cpp's name: ``llama``, ``qwen2``."""
        return str(self.metadata["general.architecture"])

    @property
    def kinds(self) -> dict[str, int]:
        """Number of tensors of each storage type, the most frequent first."""
        return dict(Counter(tensor.kind for tensor in self.tensors).most_common())

    @property
    def bits_per_weight(self) -> float:
        """Bits of all tensors, scales included, divided by the number of their elements."""
        elements = sum(math.prod(tensor.shape) for tensor in self.tensors)
        return 8 * sum(tensor.n_bytes for tensor in self.tensors) / max(elements, 1)


def read_gguf(path: Path) -> GgufFile:
    """Read the header of one file and check it against the file's size.

    Raises:
        ModelError: the file is no GGUF file, is incomplete or damaged, is no language model, or its vocabulary does not
            fit its weights.
        MissingExtraError: the package gguf is not installed.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size < len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
                raise Damaged('is no GGUF file: it does not begin with "GGUF"')
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, data)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Damaged as error:
        raise ModelError(f"{path} {error}: fetch or make it again.") from error


def shards(path: Path) -> tuple[Path, ...]:
    """All files of a model that is split (``x-00001-of-00003.gguf``), or the one file.

    Raises:
        ModelError: a file is missing, or a file other than the first was named.
    """
    found = SHARD.fullmatch(path.name)
    if found is None:
        return (path,)
    names = [f"{found['stem']}-{n:05d}-of-{found['count']}.gguf" for n in range(1, int(found["count"]) + 1)]
    if path.name != names[0]:
        raise ModelError(f"{path} is a part of a split model: name its first part, {names[0]}.")
    parts = tuple(path.with_name(name) for name in names)
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise ModelError(
            f"{path.parent} lacks {missing[0]} ({len(missing)} of {len(parts)} parts of the model are missing): "
            "fetch the model again."
        )
    return parts


class _Reader:
    """Reads values one after the other, and never beyond the end of the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.place

    def number(self, form: str) -> Any:
        size = struct.calcsize(form)
        self._need(size)
        (value,) = struct.unpack_from(form, self._data, self.place)
        self.place += size
        return value

    def count(self, least_bytes: int) -> int:
        """A number of values of at least `least_bytes` each. More than fit into the file means that it is damaged."""
        found = int(self.number("<Q"))
        if found * least_bytes > self.left:
            raise Damaged(f"is cut short or damaged: it announces {found} values where {self.left} bytes are left")
        return found

    def text(self) -> str:
        size = self.count(1)
        raw = self._data[self.place : self.place + size]
        self.place += size
        return raw.decode("utf-8", "surrogateescape")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY and depth == 0:
            return self._array()
        if kind >= len(FORMATS) or not FORMATS[kind]:
            raise Damaged(f"is damaged: it holds a value of the unknown type {kind}")
        return self.number(FORMATS[kind])

    def _array(self) -> tuple[Any, ...]:
        kind = int(self.number("<I"))
        form = FORMATS[kind] if kind < len(FORMATS) else ""
        if not form:
            return tuple(self.value(kind, 1) for _ in range(self.count(8)))
        size = struct.calcsize(form)
        count = self.count(size)
        values = struct.unpack_from(f"<{count}{form[1]}", self._data, self.place)
        self.place += count * size
        return values

    def _need(self, size: int) -> None:
        if size > self.left:
            raise Damaged(f"is cut short: it ends at byte {len(self._data)}, within its header")


def _read(path: Path, data: mmap.mmap) -> GgufFile:
    reader = _Reader(data)
    reader.place = len(MAGIC)
    version = int(reader.number("<I"))
    if version not in VERSIONS:
        old = "an old or big-endian version of the format" if version not in range(1, 100) else f"version {version}"
        raise Damaged(f"is written in {old}, which cannot be read here; known are versions 2 and 3")
    n_tensors, n_keys = int(reader.number("<Q")), int(reader.number("<Q"))
    if n_tensors * 24 + n_keys * 13 > reader.left:
        raise Damaged(f"is cut short or damaged: it announces {n_keys} keys and {n_tensors} tensors in "
                      f"{len(data)} bytes")  # fmt: skip
    metadata: dict[str, Any] = {}
    for _ in range(n_keys):
        key = reader.text()
        if key in metadata or len(key) > LONGEST_KEY:
            raise Damaged(f"is damaged: the key {key[:60]!r} stands twice or is too long")
        metadata[key] = reader.value(int(reader.number("<I")))
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise Damaged(f"is damaged: its general.alignment is {alignment!r}, no power of two")
    tensors = tuple(_tensor(reader, alignment) for _ in range(n_tensors))
    _check_places(tensors, -(-reader.place // alignment) * alignment, len(data))
    check_generates(path, metadata)
    _check_metadata(metadata, tensors)
    return GgufFile(path, metadata, tensors)


def _tensor(reader: _Reader, alignment: int) -> TensorInfo:
    name = reader.text()
    n_dimensions = int(reader.number("<I"))
    if not 1 <= n_dimensions <= MOST_DIMENSIONS:
        raise Damaged(f"is damaged: its tensor {name[:60]!r} has {n_dimensions} dimensions")
    shape = tuple(int(reader.number("<Q")) for _ in range(n_dimensions))
    kind, offset = int(reader.number("<I")), int(reader.number("<Q"))
    if kind not in _sizes():
        raise Damaged(f"holds {name[:60]!r} in the type {kind}, which is unknown here (damaged, or newer than gguf)")
    label, block, n_bytes = _sizes()[kind]
    if not all(shape) or shape[0] % block or offset % alignment:
        raise Damaged(f"is damaged: its tensor {name[:60]!r} of type {label} has the shape {shape} at offset {offset}")
    return TensorInfo(name, shape, label, offset, math.prod(shape) // block * n_bytes)


@cache
def _sizes() -> dict[int, tuple[str, int, int]]:
    """From the number of a tensor type to its name, weights a block and bytes a block."""
    from pytest_slmsec.engines.llamacpp.library import import_gguf

    sizes: Mapping[Any, tuple[int, int]] = import_gguf().GGML_QUANT_SIZES
    return {int(kind): (str(kind.name), *size) for kind, size in sizes.items()}


def _check_places(tensors: Sequence[TensorInfo], start: int, size: int) -> None:
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise Damaged("is damaged: two of its tensors have the same name")
    end = max((start + tensor.offset + tensor.n_bytes for tensor in tensors), default=start)
    if end > size:
        lost = sum(start + tensor.offset + tensor.n_bytes > size for tensor in tensors)
        raise Damaged(f"is cut short: it has {size} bytes where its header says {end}, so {lost} of its "
                      f"{len(tensors)} tensors are not there in full (an interrupted download or copy?)")  # fmt: skip


def _check_metadata(metadata: Mapping[str, Any], tensors: Sequence[TensorInfo]) -> None:
    """Check that the vocabulary fits the weights. Later files of a split model have no vocabulary."""
    if metadata.get("split.no", 0):
        return
    if not isinstance(metadata.get("general.architecture"), str):
        raise Damaged("does not say its architecture (general.architecture)")
    context = metadata.get(f"{metadata['general.architecture']}.context_length", 1)
    if not isinstance(context, int) or context < 1:
        raise Damaged(f"is damaged: its context length is {context!r}")
    tokens = metadata.get(TOKENS)
    if not isinstance(tokens, tuple) or not tokens or not isinstance(tokens[0], str):
        raise Damaged(f"has no vocabulary ({TOKENS}), so it is no language model that can be asked by itself")
    rows = next((tensor.shape[-1] for tensor in tensors if tensor.name == EMBEDDING), len(tokens))
    if rows != len(tokens):
        raise Damaged(f"has a vocabulary of {len(tokens)} tokens, but embeds {rows}: tokenizer and weights do not "
                      "belong together")  # fmt: skip
    wrong = [key for key in SPECIAL_IDS if not _is_id(metadata.get(key, 0), len(tokens))]
    for key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
        if len(metadata.get(key, tokens)) != len(tokens):
            wrong.append(key)
    if wrong:
        raise Damaged(f"is damaged: its {wrong[0]} does not fit its vocabulary of {len(tokens)} tokens")


def _is_id(value: Any, size: int) -> bool:
    return isinstance(value, int) and (0 <= value < size or value == 0xFFFFFFFF)
