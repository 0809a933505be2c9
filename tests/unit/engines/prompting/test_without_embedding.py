"""A tokenizer with tokens that the model has no embedding for."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.prompting.without_embedding import WithoutEmbedding, check_vocabulary

DIRECTORY = Path("my-model")


@pytest.fixture
def tokenizer():
    """Three words, and a token that was added behind them with the id 3."""
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2}, unk_token="a"))
    found = PreTrainedTokenizerFast(tokenizer_object=words)
    found.add_tokens(["<image>"])
    return found


def test_an_added_token_may_lie_beyond_the_embedding(tokenizer):
    check_vocabulary(DIRECTORY, tokenizer, 4)
    check_vocabulary(DIRECTORY, tokenizer, 3)


def test_the_tokenizer_of_another_model_is_refused(tokenizer):
    with pytest.raises(ModelError, match=r"ids up to 2, but the model embeds only 2 tokens.*fetch both from one place"):
        check_vocabulary(DIRECTORY, tokenizer, 2)


def test_a_prompt_with_such_a_token_is_refused_and_the_record_says_so(tokenizer):
    checker = WithoutEmbedding(tokenizer, 3)
    assert checker.why("item", [[0, 1, 2]]) is None
    assert checker.why("item", [[0], [3]]).startswith("item: its prompt holds <image>, token 3 of the tokenizer")
    (note,) = checker.notes()
    assert note.startswith("the model embeds 3 tokens and its tokenizer has 1 more (<image>)")
    assert WithoutEmbedding(tokenizer, None).notes() == []


def test_a_template_that_writes_such_a_token_is_one_error_at_load(tokenizer):
    checker = WithoutEmbedding(tokenizer, 3)
    checker.check_template("my-model", [0, 1])
    with pytest.raises(ModelError, match="my-model: the chat template writes <image>, token 3 of the tokenizer, and"):
        checker.check_template("my-model", [0, 3])
