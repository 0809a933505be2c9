"""GGUF through llama.cpp: the base's weights bit for bit, then `llama_model_quantize`.

The result is a directory with ``model.gguf`` and the base's tokenizer. No importance matrix is used, so there is no
calibration. llama.cpp chooses the type of each tensor: a ``q4_k_m`` has some tensors in Q6_K, and rows whose length is
no multiple of 256 fall back to a type with blocks of 32. The manifest lists the types of all tensors.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.causal_lm.transformers_ import load_config
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.llamacpp.context import LlamaModel
from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf
from pytest_slmsec.engines.llamacpp.library import complaints, import_gguf, import_llama, n_threads, reason
from pytest_slmsec.engines.llamacpp.vocabulary import GgufTokenizer
from pytest_slmsec.engines.prompting.without_embedding import check_vocabulary
from pytest_slmsec.quantize.gguf_vocabulary import write_vocabulary
from pytest_slmsec.quantize.gguf_weights import check_architecture, write_configuration, write_weights
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.through_transformers import copy_support

FILE = "model.gguf"
FILE_TYPES: Mapping[str, str] = {
    "f16": "LLAMA_FTYPE_MOSTLY_F16",
    "q8_0": "LLAMA_FTYPE_MOSTLY_Q8_0",
    "q6_k": "LLAMA_FTYPE_MOSTLY_Q6_K",
    "q5_k_m": "LLAMA_FTYPE_MOSTLY_Q5_K_M",
    "q4_k_m": "LLAMA_FTYPE_MOSTLY_Q4_K_M",
    "q4_k_s": "LLAMA_FTYPE_MOSTLY_Q4_K_S",
    "q3_k_m": "LLAMA_FTYPE_MOSTLY_Q3_K_M",
    "q2_k": "LLAMA_FTYPE_MOSTLY_Q2_K",
}
"""llama.cpp's name for each quantisation."""
PROBES = (
    "Failed logon for ADMIN$ from 10.0.0.7:4444 at 2024-05-01T12:00:00Z, 3,000 times; it's odd.",
    "CVE-2024-12345  CWE-79\r\n\tif (x == NULL) { return -1; }\n\n\n  }",
    "We'll see, don't we? THEY'RE here; 50% of $1,234.56 (approx.)",
    "naïve Größe Ωμέγα приклад 漏洞利用 👩‍💻",
    'powershell -enc SQBFAFgA==; cmd.exe /c "whoami /all" && certutil -urlcache -f http://example.org/a.bin',
)
K_BLOCK = 256
"""Weights in a block of the k-quants; rows that do not divide into such blocks get another type."""


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> dict[str, Any]:
    """Convert and quantise `base` into `out`, with the tokenizer and the configuration beside it.

    Args:
        rows: not used; this method needs no calibration.

    Returns:
        For the manifest: types of the tensors and their counts, bits per weight, and where llama.cpp fell back.

    Raises:
        QuantizeError: the base is no Llama, or llama.cpp could not quantise it.
        MissingExtraError: a package is missing.
    """
    checkpoint = read_checkpoint(base)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix=".slmsec-gguf-", dir=out.parent) as scratch:
        whole = Path(scratch) / FILE
        settings.report(f"{recipe.quant}: writing the weights as GGUF", 0.0)
        convert(checkpoint, whole)
        differing = differing_tokens(whole, load_tokenizer(base))
        settings.report(f"{recipe.quant}: quantising", 0.5)
        _quantise(whole, out / FILE, recipe.quant)
    copy_support(base, out)
    return _facts(out / FILE, recipe.quant) | {"probe_texts": len(PROBES), "probe_texts_cut_differently": differing}


def convert(checkpoint: Checkpoint, path: Path) -> None:
    """Write a Llama as a GGUF file that holds its weights bit for bit.

    Raises:
        QuantizeError: it is of another architecture, or its tokenizer cannot be converted.
    """
    gguf, config = import_gguf(), load_config(checkpoint)
    check_architecture(checkpoint, config)
    tokenizer = load_tokenizer(checkpoint.directory)
    check_vocabulary(checkpoint.directory, tokenizer, config.vocab_size)
    writer = gguf.GGUFWriter(path, "llama")
    try:
        writer.add_name(checkpoint.directory.name)
        writer.add_file_type(_file_type(checkpoint))
        write_configuration(writer, config)
        write_vocabulary(writer, checkpoint.directory, tokenizer, config.vocab_size)
        write_weights(writer, checkpoint, config)
    finally:
        writer.close()


def differing_tokens(path: Path, tokenizer: Any) -> int:
    """Number of the texts `PROBES` that the GGUF file's tokenizer splits differently from the Hugging Face tokenizer.

    Evaluations here use the Hugging Face tokenizer; other programs that run the file use the one inside it.
    """
    model = LlamaModel(path, None)
    own = GgufTokenizer(model, read_gguf(path))
    try:
        return sum(own(text)["input_ids"] != list(tokenizer(text)["input_ids"]) for text in PROBES)
    finally:
        model.close()


def _file_type(checkpoint: Checkpoint) -> int:
    """llama.cpp's number for weights that are stored like most of the base's."""
    most = Counter(checkpoint.tensors.values()).most_common(1)[0][0]
    names = {"F32": "LLAMA_FTYPE_ALL_F32", "F16": "LLAMA_FTYPE_MOSTLY_F16", "BF16": "LLAMA_FTYPE_MOSTLY_BF16"}
    return int(getattr(import_llama(), names.get(most, "LLAMA_FTYPE_GUESSED")))


def _quantise(whole: Path, out: Path, quant: str) -> None:
    lib = import_llama()
    params = lib.llama_model_quantize_default_params()
    params.ftype = getattr(lib, FILE_TYPES[quant])
    params.nthread = n_threads()
    params.allow_requantize = False
    with complaints() as lines:
        status = lib.llama_model_quantize(str(whole).encode(), str(out).encode(), params)
        if status:
            raise QuantizeError(f"llama.cpp could not quantise to {quant} ({reason(lines)}).")


def _facts(path: Path, quant: str) -> dict[str, Any]:
    file = read_gguf(path)
    narrow = [tensor for tensor in file.tensors if len(tensor.shape) > 1 and tensor.shape[0] % K_BLOCK]
    fallback = {tensor.name: tensor.kind for tensor in narrow} if "_k" in quant else {}
    return {
        "tensor_types": file.kinds,
        "bits_per_weight": round(file.bits_per_weight, 3),
        "fallback": {
            "why": f"rows not divisible by {K_BLOCK}",
            "tensors": len(fallback),
            "types": sorted(set(fallback.values())),
        }
        if fallback
        else None,
        "importance_matrix": None,
    }
