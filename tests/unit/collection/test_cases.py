"""Ids of cases."""

import re

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.collection.ids import LONGEST_ID, model_id, safe_id
from pytest_slmsec.core.models import ModelSpec


def test_a_plain_id_stays_as_it_is():
    assert safe_id("cti-mcq-00137") == "cti-mcq-00137"


@given(st.text())
def test_any_text_becomes_a_safe_id(text):
    made = safe_id(text)
    assert re.fullmatch(r"[A-Za-z0-9_.@+=,~#-]*", made)
    assert len(made) <= LONGEST_ID


@given(st.lists(st.text(), unique=True, max_size=20))
def test_different_texts_stay_different(texts):
    assert len({safe_id(text) for text in texts}) == len(texts)


def test_a_directory_goes_by_its_last_folder():
    spec = ModelSpec("./models/my-phi-gptq4", "./models/my-phi", "gptq4", source="path", location="models/my-phi")
    assert model_id(spec) == "my-phi-gptq4"
