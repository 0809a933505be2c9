"""The tokenizer and chat template inside a GGUF file, with the methods of a transformers tokenizer that are used here.

It is used if there is no Hugging Face tokenizer beside the file. llama.cpp tokenises texts and recognises special
tokens in them; transformers renders the template in its sandbox.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.engines.llamacpp.context import LlamaModel
from pytest_slmsec.engines.llamacpp.gguf_file import TOKENS, GgufFile
from pytest_slmsec.engines.llamacpp.library import import_llama
from pytest_slmsec.engines.prompting.chat_template import DEFAULT_NAME

TEMPLATE = "tokenizer.chat_template"
PREFIX = "tokenizer."
TOKEN_TYPES = "tokenizer.ggml.token_type"
CONTROL, USER_DEFINED = 3, 4
"""Types of tokens (``llama.h``)."""
NO_TOKEN = -1


class GgufTokenizer:
    """Tokenises and detokenises with the vocabulary of a loaded model.

    Attributes:
        chat_template: the file's; a mapping from names to templates if it has several; None without any.
        name_or_path: the path of the file.
        bos_token, eos_token, bos_token_id, eos_token_id: texts and ids of these tokens, or None.
        all_special_tokens: texts of the control tokens. sha256: identity of vocabulary, merges and rules.
    """

    def __init__(self, model: LlamaModel, file: GgufFile) -> None:
        self._lib = import_llama()
        self._vocab = model.vocab
        self._path = file.path
        self._tokens: Sequence[str] = file.metadata[TOKENS]
        self.name_or_path = str(file.path)
        self.chat_template = chat_template_of(file)
        self.bos_token_id = self._special(self._lib.llama_vocab_bos)
        self.eos_token_id = self._special(self._lib.llama_vocab_eos)
        self.bos_token = self._text(self.bos_token_id)
        self.eos_token = self._text(self.eos_token_id)
        kinds: Sequence[int] = file.metadata.get(TOKEN_TYPES) or ()
        self._added = {self._tokens[at]: at for at, kind in enumerate(kinds) if kind in (CONTROL, USER_DEFINED)}
        self.all_special_tokens = [token for token, at in self._added.items() if kinds[at] == CONTROL]
        rules = {
            key: value
            for key, value in file.metadata.items()
            if key.startswith(PREFIX) and not key.startswith(TEMPLATE)
        }
        self.sha256 = sha256_json(rules)

    def get_added_vocab(self) -> dict[str, int]:
        """Control tokens and those that were added by the model's makers, with their ids."""
        return dict(self._added)

    @property
    def ends(self) -> frozenset[int]:
        """Every token id that ends a text, as llama.cpp decides it."""
        is_end = self._lib.llama_vocab_is_eog
        return frozenset(token for token in range(len(self._tokens)) if is_end(self._vocab, token))

    def __call__(
        self, texts: str | Sequence[str], add_special_tokens: bool = True, return_attention_mask: bool = False
    ) -> dict[str, Any]:
        """``{"input_ids": ...}``: the ids of one text, or a list of ids for each of several texts."""
        if isinstance(texts, str):
            return {"input_ids": self._cut(texts, add_special_tokens)}
        return {"input_ids": [self._cut(text, add_special_tokens) for text in texts]}

    def get_vocab(self) -> dict[str, int]:
        """From the text of each token to its id."""
        return {token: at for at, token in enumerate(self._tokens)}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of tokens. Bytes that are not UTF-8 become U+FFFD."""
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        size = 16 * len(tokens) + 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            n = self._lib.llama_detokenize(self._vocab, ids, len(tokens), buffer, size, False, not skip_special_tokens)
            if n >= 0:
                return buffer.raw[:n].decode("utf-8", "replace")
            size = -n

    def apply_chat_template(
        self, turns: Sequence[Mapping[str, Any]], tokenize: bool, add_generation_prompt: bool, **variables: Any
    ) -> str:
        """The conversation rendered by the template.

        Raises:
            jinja2.TemplateError: the template refuses the conversation.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        template = self.chat_template[DEFAULT_NAME] if isinstance(self.chat_template, dict) else self.chat_template
        rendered: Any = render_jinja_template(
            conversations=[[dict(turn) for turn in turns]],
            chat_template=str(template),
            add_generation_prompt=add_generation_prompt,
            bos_token=self.bos_token or "",
            eos_token=self.eos_token or "",
            **variables,
        )
        return str(rendered[0][0])

    def _cut(self, text: str, special: bool) -> list[int]:
        raw = text.encode("utf-8")
        room = len(raw) + 8
        ids = (ctypes.c_int32 * room)()
        n = self._lib.llama_tokenize(self._vocab, raw, len(raw), ids, room, special, True)
        if n < 0:
            raise ModelError(f"{self._path}: llama.cpp cannot cut a text of {len(raw)} bytes into tokens.")
        return list(ids[:n])

    def _special(self, which: Any) -> int | None:
        found = int(which(self._vocab))
        return None if found == NO_TOKEN else found

    def _text(self, token: int | None) -> str | None:
        return None if token is None else self._tokens[token]


def chat_template_of(file: GgufFile) -> str | dict[str, str] | None:
    """The chat template in the metadata: one, or a mapping from names to templates, or None.

    Source: gguf-py writes the default as ``tokenizer.chat_template`` and others as ``tokenizer.chat_template.NAME``.
    """
    default = file.metadata.get(TEMPLATE)
    prefix = f"{TEMPLATE}."
    named = {key.removeprefix(prefix): str(text) for key, text in file.metadata.items() if key.startswith(prefix)}
    if default or not named:
        return str(default) if default else None
    return named


def check_tokens(file: GgufFile, tokenizer: Any) -> None:
    """Refuse a Hugging Face tokenizer that is not the file's: ordinary tokens must have the same ids.

    Added tokens are not compared, because converters write blanks in them in different ways; they may also lie beyond
    the tokens of the file, and a prompt that holds such a one is an error (`prompting.without_embedding`).

    Raises:
        ModelError: a token has another id; the message names the first one.
    """
    tokens = file.metadata[TOKENS]
    added = set(tokenizer.get_added_vocab())
    for token, at in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
        there = tokens[at] if at < len(tokens) else None
        if there != token and token not in added:
            told = f"{there!r} in the file" if there is not None else f"beyond the {len(tokens)} of the file"
            raise ModelError(
                f"{file.path}: the tokenizer beside it has {token!r} as token {at}, which is {told}: tokenizer and "
                "weights do not belong together; fetch both from one place, or name the .gguf file itself."
            )
