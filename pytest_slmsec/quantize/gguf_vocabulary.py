"""Write a Hugging Face tokenizer into a GGUF file.

Two sorts are converted: byte-level BPE (llama.cpp's ``gpt2``), and BPE over text with blanks written as ``▁`` and bytes
as a last resort (SentencePiece; llama.cpp's ``llama``). llama.cpp has the splitting of words before BPE built in under
names; the name is found by the rules of tokenizer.json. Source: llama.cpp, ``src/llama-vocab.cpp``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.llamacpp.library import import_gguf

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = "ByteLevel"
SPLITS: Mapping[tuple[str, ...], str] = {
    ("words",): "gpt-2",
    ("digits", "words"): "smollm",
    (LLAMA_3, "bytes"): "llama-bpe",
    (QWEN_2, "bytes"): "qwen2",
}
"""The steps of a pre-tokenizer to llama.cpp's name for them."""
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
UNUSED = "[PAD{}]"
PROBE = "text"


def write_vocabulary(writer: Any, directory: Path, tokenizer: Any, n_vocab: int) -> None:
    """Tokens, merges, special tokens and chat template.

    Args:
        writer: `gguf.GGUFWriter`. tokenizer: transformers'. n_vocab: rows of the embedding; ids without a token are
            filled up as unused.

    Raises:
        QuantizeError: it is of another sort.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    model = rules.get("model", {})
    if model.get("type") != "BPE":
        raise _refused(directory, f"a tokenizer of the sort {model.get('type', 'unknown')}")
    tokens = _tokens(tokenizer, n_vocab)
    if model.get("byte_fallback"):
        _write_sentencepiece(writer, rules, tokens)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_split_name(directory, rules.get("pre_tokenizer")))
        writer.add_token_merges([" ".join(merge) for merge in _merges(model)])
    writer.add_token_list(tokens)
    writer.add_token_types(_types(tokens, tokenizer, rules.get("added_tokens", ()), n_vocab))
    _write_special(writer, tokenizer, n_vocab)
    _write_template(writer, tokenizer.chat_template)


def _write_sentencepiece(writer: Any, rules: Mapping[str, Any], tokens: Sequence[str]) -> None:
    """llama.cpp joins the pair with the highest score first; the merges of tokenizer.json stand in that order."""
    merges = _merges(rules["model"])
    ranks = {left + right: -float(rank) for rank, (left, right) in reversed(list(enumerate(merges, 1)))}
    lowest = -float(len(merges) + 1)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_scores([ranks.get(token, lowest) for token in tokens])
    writer.add_add_space_prefix(_puts_blank_first(rules))


def _puts_blank_first(rules: Mapping[str, Any]) -> bool:
    steps = [*_steps(rules.get("normalizer")), *_steps(rules.get("pre_tokenizer"))]
    return any(
        (step["type"] == "Prepend" and step.get("prepend") == BLANK)
        or (step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        for step in steps
    )


def _steps(part: Any) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, in order."""
    if part is None:
        return []
    inner = part.get("normalizers", part.get("pretokenizers"))
    return [part] if inner is None else [step for one in inner for step in _steps(one)]


def _split_name(directory: Path, pre_tokenizer: Any) -> str:
    steps = tuple(_step_name(step) for step in _steps(pre_tokenizer))
    if steps not in SPLITS:
        raise _refused(directory, f"a tokenizer that splits words by rules of its own ({', '.join(steps) or 'none'})")
    return SPLITS[steps]


def _step_name(step: Mapping[str, Any]) -> str:
    if step["type"] == BYTE_LEVEL and not step.get("add_prefix_space"):
        return "words" if step.get("use_regex", True) else "bytes"
    if step["type"] == "Digits" and step.get("individual_digits"):
        return "digits"
    if step["type"] == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return str(step["pattern"].get("Regex", "a text"))
    return str(step["type"])


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Older files write a merge as one text, newer ones as a pair."""
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"])
    return [(left, right) for left, right in pairs]


def _tokens(tokenizer: Any, n_vocab: int) -> list[str]:
    by_id = {at: token for token, at in tokenizer.get_vocab().items()}
    return [by_id.get(at, UNUSED.format(at)) for at in range(n_vocab)]


def _types(tokens: Sequence[str], tokenizer: Any, added: Sequence[Mapping[str, Any]], n_vocab: int) -> list[int]:
    kinds = import_gguf().TokenType
    known = set(tokenizer.get_vocab().values())
    special = {int(one["id"]): bool(one["special"]) for one in added}
    found = []
    for at in range(n_vocab):
        if at not in known:
            kind = kinds.UNUSED
        elif at == tokenizer.unk_token_id:
            kind = kinds.UNKNOWN
        elif at in special:
            kind = kinds.CONTROL if special[at] else kinds.USER_DEFINED
        else:
            kind = kinds.BYTE if BYTE.fullmatch(tokens[at]) else kinds.NORMAL
        found.append(int(kind))
    return found


def _write_template(writer: Any, template: str | Mapping[str, str] | None) -> None:
    """One template, or several by name."""
    if isinstance(template, Mapping):
        writer.add_chat_template([{"name": name, "template": text} for name, text in template.items()])
    elif template:
        writer.add_chat_template(template)


def _write_special(writer: Any, tokenizer: Any, n_vocab: int) -> None:
    """Ids of special tokens, without those that the model has no embedding for."""
    for token, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.unk_token_id, writer.add_unk_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if token is not None and token < n_vocab:
            add(token)
    probe = tokenizer(PROBE)["input_ids"]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and probe[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(tokenizer.eos_token_id is not None and probe[-1] == tokenizer.eos_token_id)


def _refused(directory: Path, what: str) -> QuantizeError:
    return QuantizeError(
        f"{directory} has {what}, which is not converted to GGUF here: convert the model with llama.cpp's "
        "convert_hf_to_gguf.py and name the file (--model=./MODEL.gguf)."
    )
