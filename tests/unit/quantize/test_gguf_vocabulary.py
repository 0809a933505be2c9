"""A converted tokenizer cuts every text as the Hugging Face tokenizer does."""

import json
from functools import partial

import pytest
import tinymodel
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import load_tokenizer

pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

from pytest_slmsec.engines.llamacpp.context import LlamaModel
from pytest_slmsec.engines.llamacpp.gguf_file import read_gguf
from pytest_slmsec.engines.llamacpp.vocabulary import GgufTokenizer
from pytest_slmsec.quantize.gguf_ import convert
from pytest_slmsec.quantize.gguf_vocabulary import LLAMA_3, QWEN_2

DIGITS = "port 4444 and 10.0.0.7, CVE-2024-12345; it's 3,000 events\r\n\r\n  tabs\tand   blanks  \n at the end "
TEXTS = (
    DIGITS,
    "naïve Größe 漏洞 👩‍💻 Ωμέγα",
    "<|user|>\nWhat's <s>this</s>?<|end|>\n",
    "don't we'll I'M THEY'RE",
    "x" * 70,
)
SPLITS = {
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    **{
        name: pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(rule), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        for name, rule in (("llama-bpe", LLAMA_3), ("qwen2", QWEN_2))
    },
}
SPECIAL = ["<unk>", "<s>", "</s>", "<|user|>", "<|end|>"]
CORPUS = [*tinymodel.CORPUS, *TEXTS, DIGITS]


def byte_level(split):
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = split
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def sentencepiece(puts_blank_first):
    """As Llama 2 and TinyLlama have it: blanks as ▁, bytes for what is not known."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = [normalizers.Prepend("▁")] if puts_blank_first else []
    backend.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
        limit_alphabet=60,
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    strip = [decoders.Strip(" ", 1, 0)] if puts_blank_first else []
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    # Bytes are ordinary tokens, not special ones.
    rules = json.loads(backend.to_str())
    rules["added_tokens"] = [token for token in rules["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(rules))


BACKENDS = {name: partial(byte_level, split) for name, split in SPLITS.items()} | {
    "llama": partial(sentencepiece, True),
    "llama-no-blank": partial(sentencepiece, False),
}
NAMES = list(BACKENDS)


def model_with(path, backend):
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = tinymodel.CHATML
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=448, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The Hugging Face tokenizer and the converted one, by name; made once."""
    made = {}

    def make(name):
        if name not in made:
            path = model_with(tmp_path_factory.mktemp(name), BACKENDS[name]())
            file = path / "model.gguf"
            convert(read_checkpoint(path), file)
            made[name] = load_tokenizer(path), GgufTokenizer(LlamaModel(file, None), read_gguf(file))
        return made[name]

    return make


@pytest.mark.parametrize("name", NAMES)
def test_texts_have_the_same_tokens(pair, name):
    theirs, ours = pair(name)
    for special in (True, False):
        for text in TEXTS:
            expected = theirs(text, add_special_tokens=special)["input_ids"]
            assert ours(text, add_special_tokens=special)["input_ids"] == expected, text


@pytest.mark.parametrize("name", NAMES)
def test_tokens_have_the_same_text(pair, name):
    theirs, ours = pair(name)
    for text in TEXTS[:2]:
        tokens = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.decode(tokens).lstrip() == theirs.decode(tokens).lstrip()
    tokens = theirs("<|user|>text<|end|></s>", add_special_tokens=False)["input_ids"]
    assert "<|end|>" in ours.decode(tokens)
    assert ours.decode(tokens, skip_special_tokens=True).strip() == "text"


@pytest.mark.parametrize("name", NAMES)
def test_special_tokens_and_template_are_the_same(pair, name):
    theirs, ours = pair(name)
    assert (ours.bos_token_id, ours.eos_token_id) == (theirs.bos_token_id, theirs.eos_token_id)
    assert (ours.bos_token, ours.eos_token) == (theirs.bos_token, theirs.eos_token)
    assert ours.chat_template == theirs.chat_template
    turns = [{"role": "user", "content": "Is it?"}]
    written = [one.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) for one in (theirs, ours)]
    assert written[0] == written[1]
    assert theirs.eos_token_id in ours.ends


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=("Cc",)), max_size=40))
def test_any_text_has_the_same_tokens_in_byte_level_bpe(pair, text):
    theirs, ours = pair("gpt-2")
    assert ours(text)["input_ids"] == theirs(text)["input_ids"]


def test_what_has_rules_of_its_own_is_refused(tmp_path):
    own = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(use_regex=False)]))
    with pytest.raises(QuantizeError, match=r"splits words by rules of its own \(Whitespace, ByteLevel\)"):
        convert(read_checkpoint(model_with(tmp_path / "own", own)), tmp_path / "own.gguf")
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    with pytest.raises(QuantizeError, match="a tokenizer of the sort WordLevel"):
        convert(read_checkpoint(model_with(tmp_path / "words", words)), tmp_path / "words.gguf")
