"""Keys of answers and items."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.identity import (
    answer_key,
    item_key,
    items_key,
    model_key,
    sampling_seed,
    sha256_file,
    sha256_files,
    sha256_json,
    sha256_text,
)
from pytest_slmsec.core.items import Choose, Generate, Item, Message

ASK = Generate("cti-mcq-00001", (Message("user", "Which port is used by SSH?"),), max_new_tokens=8)


def test_the_id_does_not_count_but_all_that_changes_an_answer_does():
    key = answer_key("model", ASK)
    assert answer_key("model", replace(ASK, id="other", shared_chars=9)) == key
    changed = [
        answer_key("other model", ASK),
        answer_key("model", replace(ASK, max_new_tokens=9)),
        answer_key("model", replace(ASK, stop=("\n",))),
        answer_key("model", replace(ASK, messages=(Message("user", "Which port is used by ssh?"),))),
        answer_key("model", Choose(ASK.id, ASK.messages, ("22", "23"))),
    ]
    assert len({key, *changed}) == 6


def test_keys_of_journals_that_were_stored_before_there_was_a_temperature_stay_valid():
    assert answer_key("model", ASK) == "26b7b761f2f8ccce24178093465c2b46ec610473af2899c90df178dda898449a"
    assert answer_key("model", Choose(ASK.id, ASK.messages, ("22", "23"))) == (
        "0308e4a4fdba1cf53bf71af88558baa596df04d4c88f736ca518d0fbfdcd643a"
    )


def test_temperature_and_seed_count_where_tokens_are_drawn():
    sampled = replace(ASK, temperature=0.7)
    asked = [ASK, sampled, replace(sampled, temperature=0.8), replace(sampled, seed=1)]
    assert len({answer_key("model", one) for one in asked}) == 4
    assert len({sampling_seed(one) for one in asked[1:]}) == 3
    assert answer_key("model", replace(ASK, seed=1)) == answer_key("model", ASK)
    assert sampling_seed(replace(sampled, id="other")) == sampling_seed(sampled)


def test_a_model_is_its_parts():
    assert model_key({"weights": "a", "template": "b"}) == model_key({"template": "b", "weights": "a"})
    assert model_key({"weights": "a", "template": "b"}) != model_key({"weights": "b", "template": "a"})


def test_an_item_is_what_is_asked_and_what_is_right():
    item = Item("a", "2 + 2?", "4")
    assert item_key(item) == item_key(replace(item, id="b", origin="row 7"))
    assert item_key(item) != item_key(replace(item, gold="5"))
    example = (Message("user", "1 + 1?"), Message("assistant", "2"))
    assert item_key(item) != item_key(replace(item, shots=example))
    assert replace(item, shots=example, system="Add.").messages() == (
        Message("system", "Add."), *example, Message("user", "2 + 2?")
    )  # fmt: skip


@given(st.text(), st.text())
def test_different_texts_have_different_digests(one, other):
    assert (sha256_text(one) == sha256_text(other)) == (one == other)
    assert (sha256_json({"x": one}) == sha256_json({"x": other})) == (one == other)


def test_files_count_by_name_and_content(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    both = sha256_files([tmp_path / "b", tmp_path / "a"])
    assert both == sha256_files([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").write_text("3")
    assert both != sha256_files([tmp_path / "a", tmp_path / "b"])


def test_digests_are_those_of_sha256sum(tmp_path):
    # printf abc | sha256sum; printf '{"a":1,"b":2}' | sha256sum
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_text("abc")
    assert sha256_text("abc") == sha256_file(tmp_path / "abc") == abc
    assert sha256_json({"b": 2, "a": 1}) == sha256_text('{"a":1,"b":2}')
    assert sha256_json("é") == sha256_text('"\\u00e9"')


def test_a_set_of_items_is_its_items_in_order():
    one, other = Item("a", "2 + 2?", "4"), Item("b", "3 + 3?", "6")
    assert items_key([one, other]) != items_key([other, one])
    assert items_key([one, other]) != items_key([one, replace(other, gold="7")])
    assert items_key([one]) == sha256_json([item_key(one)])


def test_each_text_that_a_model_sees_makes_another_item():
    item = Item("a", "2 + 2?", "A", choices=("4", "5"), labels=("A", "B"), options=("4", "5"), question="2 + 2?")
    raw = replace(item, raw=True, contexts=("x", "y"))
    changed = [
        replace(item, prompt="2+2?"),
        replace(item, system="Add."),
        replace(item, choices=("4", "6")),
        replace(item, labels=("A", "C")),
        replace(item, options=("4", "6")),
        replace(item, question="2+2?"),
        raw,
        replace(raw, contexts=("x", "z")),
    ]
    assert len({item_key(one) for one in (item, *changed)}) == 9
