import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinymodel import CHATML, build_tokenizer

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.finetune.encode import IGNORED, Encoder
from pytest_slmsec.finetune.rows import TrainingRow

PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}</s>{% endif %}"
)
"""As Phi-3 writes it: behind the end of turn stand a line break and the end of text."""


def row(answer="Port 22.", asked="Which port has SSH?"):
    return TrainingRow("t.jsonl, line 1", (Message("user", asked), Message("assistant", answer)))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Tokenizers by the form of their template."""
    root = tmp_path_factory.mktemp("tokenizers")
    for name, template in (("chatml", CHATML), ("phi", PHI), ("plain", None)):
        (root / name).mkdir()
        build_tokenizer(root / name, template=template)
    found = {name: load_tokenizer(root / name) for name in ("chatml", "phi", "plain")}
    return {**found, "tinysec": load_tokenizer(fixtures_dir() / "tinysec" / "model")}


@pytest.fixture(params=["chatml", "phi", "plain", "tinysec"])
def tokenizer(request, tokenizers):
    return tokenizers[request.param]


def test_the_token_that_ends_a_turn_is_the_templates(tokenizers):
    ends = {name: t.convert_ids_to_tokens(Encoder(t, {t.eos_token_id}).end_of_turn) for name, t in tokenizers.items()}
    assert ends == {"chatml": "<|end|>", "phi": "<|end|>", "plain": "</s>", "tinysec": "<|end|>"}


def test_only_the_answer_is_trained_and_the_prompt_is_as_it_is_asked_later(tokenizer):
    encoder = Encoder(tokenizer, {tokenizer.eos_token_id})
    found = encoder.encode(row())
    asked = Prompts(tokenizer).encode([Generate("x", (Message("user", "Which port has SSH?"),), 8)])[0].prompt
    assert found.ids[: len(asked)] == asked
    assert found.labels[: len(asked)] == (IGNORED,) * len(asked)
    assert found.labels[len(asked) :] == found.ids[len(asked) :]
    assert "Port 22." in tokenizer.decode([label for label in found.labels if label != IGNORED])


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40))
def test_every_rows_labels_end_in_the_end_of_turn(tokenizers, text):
    for tokenizer in tokenizers.values():
        encoder = Encoder(tokenizer, {tokenizer.eos_token_id})
        found = encoder.encode(row(text))
        assert found.ids[-1] == encoder.end_of_turn
        assert found.labels[-1] in ((encoder.end_of_turn,) if text.strip() else (IGNORED,))
        assert len(found.ids) == len(found.labels)


def test_the_pad_token_is_none_that_ends_a_text(tokenizers):
    for tokenizer in tokenizers.values():
        encoder = Encoder(tokenizer, {tokenizer.eos_token_id})
        assert encoder.pad_id() == tokenizer.pad_token_id
        assert encoder.pad_id() not in encoder.ends


def test_a_pad_token_that_ends_a_text_is_replaced(tmp_path):
    build_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.pad_token = tokenizer.eos_token
    encoder = Encoder(tokenizer, {tokenizer.eos_token_id})
    assert tokenizer.convert_ids_to_tokens(encoder.pad_id()) == "<pad>"


def test_a_tokenizer_without_any_token_for_padding_is_refused(tmp_path):
    build_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.pad_token = tokenizer.eos_token
    pad = tokenizer.convert_tokens_to_ids("<pad>")
    with pytest.raises(FinetuneError, match="no token for padding but those that end a text"):
        Encoder(tokenizer, {tokenizer.eos_token_id, pad}).pad_id()


class TestLongRows:
    @pytest.fixture
    def encoder(self, tokenizers):
        return Encoder(tokenizers["tinysec"], {1})

    def test_they_are_left_out_and_listed(self, encoder):
        found = encoder.encode_all([row(), row("long " * 50)], 40, "drop", False)
        assert len(found.rows) == 1
        assert found.dropped[0].startswith("t.jsonl, line 1 (")
        assert "tokens)" in found.dropped[0]

    def test_they_are_an_error_where_that_is_asked_for(self, encoder):
        with pytest.raises(FinetuneError, match=r"1 row \(t\.jsonl, line 1 .*longer than max_length = 40"):
            encoder.encode_all([row(), row("long " * 50)], 40, "error", False)

    def test_a_cut_row_still_ends_in_the_end_of_turn(self, encoder):
        found = encoder.encode_all([row("long " * 50)], 40, "cut", False)
        assert len(found.rows[0].ids) == 40
        assert found.rows[0].labels[-1] == encoder.end_of_turn
        assert len(found.cut) == 1

    def test_a_row_whose_prompt_fills_the_length_is_an_error_unless_allowed(self, encoder):
        rows = [row(), row(asked="long " * 50)]
        with pytest.raises(FinetuneError, match="nothing of the answer would be trained"):
            encoder.encode_all(rows, 40, "cut", False)
        found = encoder.encode_all(rows, 40, "cut", True)
        assert (len(found.rows), found.unlabelled) == (1, ("t.jsonl, line 1",))

    def test_an_empty_answer_is_an_error_unless_allowed(self, encoder):
        with pytest.raises(FinetuneError, match="it is empty"):
            encoder.encode_all([row(), row("")], 40, "drop", False)
        assert len(encoder.encode_all([row(), row(" ")], 40, "drop", True).rows) == 1

    def test_no_row_left_is_an_error(self, encoder):
        with pytest.raises(FinetuneError, match="No row is left to train: 1 are longer"):
            encoder.encode_all([row()], 4, "drop", False)
