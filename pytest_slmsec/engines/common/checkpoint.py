"""The files of a model directory, checked before any weight is read. Each defect is one sentence of `ModelError`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.models import is_gguf

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
SUPPORT_SUFFIXES = (".json", ".jinja", ".model", ".txt")
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""What transformers looks for first: all weights in one file, or a list of their shards."""
HEADER_LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
GPTQ_CONFIG = "quantize_config.json"
GENERATION_CONFIG = "generation_config.json"
ONNX, ONNX_DATA = "model.onnx", "model.onnx.data"
"""File names of an exported graph and of its weights."""
MANIFEST = "slmsec-manifest.json"
"""The record beside the weights of a model quantised by this project: how it was made and verified."""
LATER_SHARD = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
NAMED = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model directory whose files are complete.

    Attributes:
        directory: its path.
        config: the content of config.json.
        weights: the safetensors files that are loaded, sorted by name.
        tensors: name of every stored tensor and its safetensors dtype (``F32``, ``BF16``, ``I32``).
    """

    directory: Path
    config: Mapping[str, Any]
    weights: tuple[Path, ...]
    tensors: Mapping[str, str]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weight files on disk."""
        return sum(path.stat().st_size for path in self.weights)

    @property
    def quant_method(self) -> str | None:
        """``gptq``, ``awq``, ... for a quantised checkpoint, or None."""
        inside = self.config.get("quantization_config") or {}
        if method := inside.get("quant_method"):
            return str(method)
        return "gptq" if (self.directory / GPTQ_CONFIG).is_file() else None


def find_gguf(place: Path) -> Path | None:
    """The GGUF file of a model: `place` itself, or the one in that directory (the first of a split model). None where
    there is none, or where safetensors stand beside it.

    Raises:
        ModelError: there are several models; names them.
    """
    if not place.is_dir():
        return place if is_gguf(place) else None
    found = sorted(path for path in place.iterdir() if is_gguf(path))
    firsts = [path for path in found if not LATER_SHARD.search(path.name)]
    if not firsts or any(place.glob("*.safetensors")):
        return None
    if len(firsts) > 1:
        raise ModelError(
            f"{place} holds {len(firsts)} GGUF files ({', '.join(path.name for path in firsts[:NAMED])}"
            f"{', ...' if len(firsts) > NAMED else ''}): name the one that is meant, {place / firsts[0].name} for one."
        )
    return firsts[0]


def is_onnx(place: Path) -> bool:
    """Whether a directory holds an ONNX model: a graph, and no safetensors beside it."""
    return (place / ONNX).is_file() and not any(place.glob("*.safetensors"))


def onnx_files(directory: Path) -> tuple[Path, ...]:
    """The files of an ONNX model: the graph, and its weights where they are stored apart."""
    return tuple(path for path in (directory / ONNX, directory / ONNX_DATA) if path.is_file())


def support_files(directory: Path) -> list[Path]:
    """Configuration, tokenizer and pooling files, sorted: everything beside the weights that answers depend on."""
    found = (path for pattern in ("*", "*/*") for path in directory.glob(pattern))
    return sorted(path for path in found if path.suffix in SUPPORT_SUFFIXES and path.is_file())


def read_checkpoint(directory: Path) -> Checkpoint:
    """Check the files of a model directory and read its configuration and tensor names.

    Raises:
        ModelError: it is no directory, is empty, lacks config.json or weights, holds only pickled weights, or one of
            its safetensors files is cut short or damaged.
    """
    if not directory.is_dir():
        raise ModelError(f"{directory} is no directory: name one with config.json and *.safetensors in it.")
    if not any(directory.iterdir()):
        raise ModelError(f"{directory} is empty: it must hold config.json, a tokenizer and *.safetensors files.")
    weights = find_weights(directory)
    if (directory / "adapter_config.json").is_file():  # transformers would follow it to the base that it names
        raise ModelError(
            f"{directory} holds both a model and a LoRA adapter: move the adapter's files into a directory of their "
            "own, and name it as --model=BASE+ADAPTER."
        )
    config = read_config(directory)
    if (generation := directory / GENERATION_CONFIG).is_file():
        read_json(generation)  # transformers would pass over a damaged one, and so miss ids that end a text
    tensors: dict[str, str] = {}
    for path in weights:
        tensors.update(tensor_dtypes(path))
    return Checkpoint(directory, config, weights, tensors)


def read_config(directory: Path) -> dict[str, Any]:
    """The content of config.json.

    Raises:
        ModelError: it is missing or no JSON object, or a key that names the kind of model has a wrong type.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise ModelError(f"{directory} has no config.json, so its architecture is unknown: complete the directory.")
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path} names no architecture (`model_type` is missing or no text): fetch it again.")
    named = config.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ModelError(f"{path}: `architectures` must be a list of names and is {named!r}: fetch it again.")
    if not isinstance(config.get("quantization_config") or {}, dict):
        raise ModelError(f"{path}: `quantization_config` must be a JSON object and is none: fetch it again.")
    return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model directory.

    Raises:
        ModelError: it is no JSON object; names file and position.
    """
    try:
        value = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} is no readable JSON ({error}): fetch or write it again.") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds a JSON {type(value).__name__} where an object belongs: fetch it again.")
    return value


def find_weights(directory: Path) -> tuple[Path, ...]:
    """The safetensors files that are loaded, each weight once.

    The same weights may stand there twice: in one file and in shards, in another layout (``consolidated.safetensors``
    of Mistral) or in another dtype (``model.fp16.safetensors``). transformers loads ``model.safetensors``, else the
    shards that ``model.safetensors.index.json`` names; so is done here, and other files are not read.

    Raises:
        ModelError: there are none, a shard is missing, or the weights are only there as pickles.
    """
    single, index = directory / SINGLE, directory / INDEX
    if single.is_file():
        return (single,)
    if index.is_file():
        return _shards(index)
    indices = sorted(directory.glob("*.safetensors.index.json"))
    if indices:
        return _shards(indices[0])
    found = [path for path in sorted(directory.glob("*.safetensors")) if path.name != "adapter_model.safetensors"]
    if gone := [path for path in found if not path.is_file()]:
        raise ModelError(
            f"{gone[0]} is no file but a {'link to nothing' if gone[0].is_symlink() else 'directory'}: fetch the model "
            "again."
        )
    return tuple(found) or _no_weights(directory)


def _shards(index: Path) -> tuple[Path, ...]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise ModelError(f"{index}: `weight_map` must give a file name for each weight and does not: fetch it again.")
    names = sorted(set(places.values()))
    shards = tuple(index.parent / name for name in names)
    if missing := [path.name for path in shards if not path.is_file()]:
        raise ModelError(
            f"{index.parent} lacks {missing[0]} ({len(missing)} of {len(shards)} weight files named in {index.name} "
            "are missing): fetch the model again."
        )
    return shards or _no_weights(index.parent)


def _no_weights(directory: Path) -> tuple[Path, ...]:
    pickles = sorted(p.name for p in directory.iterdir() if p.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise ModelError(
            f"{directory} has its weights only as a pickle ({pickles[0]}), which can run code when it is opened: "
            "convert it to safetensors (load it where you trust it, then save_pretrained) and name that directory."
        )
    if is_onnx(directory):
        raise ModelError(
            f"{directory} holds an ONNX model, which is not quantised further: name the model it was made of."
        )
    if (directory / "adapter_config.json").is_file():
        raise ModelError(
            f"{directory} holds a LoRA adapter, no model: name it behind its base, --model=BASE+{directory}."
        )
    raise ModelError(
        f"{directory} has no *.safetensors weights (pickles are neither fetched nor opened): complete the directory, "
        "fetch the model again, or convert it to safetensors."
    )


def tensor_dtypes(path: Path) -> dict[str, str]:
    """Names and dtypes of the tensors in a safetensors file, read from its header only.

    The file is 8 bytes (little-endian header length), the JSON header, then the data:
    https://github.com/huggingface/safetensors#format

    Raises:
        ModelError: the header is damaged, or the file is shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")
        entries = _entries(file.read(min(length, size, MAX_HEADER_BYTES)), length)
    if entries is None:
        raise ModelError(f"{path} is no readable safetensors file (its header is damaged): fetch or make it again.")
    data_bytes = max((end for _, end in entries.values()), default=0)
    expected = HEADER_LENGTH_BYTES + length + data_bytes
    if size != expected:
        raise ModelError(
            f"{path} is damaged: it has {size} bytes where its header says {expected} (an interrupted download or "
            "copy?): fetch or make it again."
        )
    return {name: dtype for name, (dtype, _) in entries.items()}


def _entries(raw: bytes, length: int) -> dict[str, tuple[str, int]] | None:
    """Dtype of each tensor and the offset where its data ends; None where this is no valid header."""
    if len(raw) != length:
        return None
    try:
        found = [(name, entry) for name, entry in json.loads(raw).items() if name != "__metadata__"]
        return {name: (str(entry["dtype"]), int(entry["data_offsets"][1])) for name, entry in found}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
