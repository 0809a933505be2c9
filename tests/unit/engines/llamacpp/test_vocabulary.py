"""The chat templates in the metadata of a GGUF file."""

from pathlib import Path

import pytest

from pytest_slmsec.engines.llamacpp.gguf_file import GgufFile
from pytest_slmsec.engines.llamacpp.vocabulary import chat_template_of

ONE, NAMED = "tokenizer.chat_template", "tokenizer.chat_template.rag"


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({ONE: "one"}, "one"),
        ({ONE: "one", NAMED: "rag", "tokenizer.chat_templates": ("rag",)}, "one"),
        ({NAMED: "rag", "tokenizer.chat_templates": ("rag",)}, {"rag": "rag"}),
        ({NAMED: "rag", f"{ONE}.default": "one"}, {"rag": "rag", "default": "one"}),
        ({ONE: ""}, None),
        ({}, None),
    ],
)
def test_the_default_template_or_those_with_names(metadata, found):
    assert chat_template_of(GgufFile(Path("model.gguf"), metadata, ())) == found
