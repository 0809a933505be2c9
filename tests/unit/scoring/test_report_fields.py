"""Reports in JSON, and entities with a flag."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.named_entities import score_entities
from pytest_slmsec.scoring.report_fields import fields_of, meets, score_report

SCHEMA = {"properties": {"lane": {"type": "integer"}, "event": {"type": "string", "enum": ["fine", "theft"]},
                         "goods": {"type": "array", "items": {"type": "string"}}}}  # fmt: skip
GOLD = {"lane": 4, "event": "theft", "goods": ["seeds", "cheese"]}
ITEM = Item("i", "?", json.dumps(GOLD), meta={"schema": SCHEMA})
ENTITIES = [{"type": "person", "text": "Ilka Moran"}, {"type": "place", "text": "Quay 12"}]
NOTE = Item("i", "?", json.dumps({"entities": ENTITIES, "threat": True}))
CALM = Item("i", "?", json.dumps({"entities": [], "threat": False}))


def score(answer, item=ITEM, mode=Mode.STRICT):
    return score_report(item, Output(answer if isinstance(answer, str) else json.dumps(answer)), mode)


def entities(answer, item=NOTE, mode=Mode.STRICT):
    return score_entities(item, Output(answer if isinstance(answer, str) else json.dumps(answer)), mode)


def test_a_field_is_its_name_and_value_and_the_order_of_a_list_does_not_count():
    assert fields_of(GOLD) == ["lane=4", "event=theft", "goods=seeds", "goods=cheese"]
    assert score({**GOLD, "goods": ["cheese", "Seeds "]}).correct
    assert score({"lane": "theft", "event": 4}).value == 0.0


def test_f1_of_the_fields_and_the_schema_stand_side_by_side():
    found = score({**GOLD, "event": "robbery"})
    assert (found.value, found.parsed, found.correct, found.parts) == (0.75, True, False, {"schema": 0.0})
    as_text = score({**GOLD, "lane": "4"})
    assert (as_text.value, as_text.correct, as_text.parts) == (1.0, False, {"schema": 0.0})


@pytest.mark.parametrize(
    "report",
    [[], {**GOLD, "lane": True}, {**GOLD, "goods": [1]}, {**GOLD, "more": 1}, {"lane": 4}, {**GOLD, "goods": "seeds"}],
)
def test_what_does_not_meet_the_schema(report):
    assert meets(GOLD, SCHEMA)
    assert not meets(report, SCHEMA)


def test_words_and_fences_may_surround_a_report_in_strict_mode():
    text = f"Here it is:\n```json\n{json.dumps(GOLD)}\n```"
    assert score(text).correct
    assert not score(text, mode=Mode.OFFICIAL).parsed
    nothing = score("I cannot.")
    assert (nothing.value, nothing.parsed, nothing.parts) == (0.0, False, {"schema": 0.0})


def test_an_entity_is_its_type_and_text():
    full = entities({"entities": ENTITIES[::-1], "threat": True})
    assert (full.value, full.correct, full.parts) == (1.0, True, {"threat": 1.0})
    assert entities({"entities": [{"type": "place", "text": "Ilka Moran"}], "threat": True}).value == 0.0
    assert entities({"entities": ENTITIES[:1], "threat": True}).value == pytest.approx(2 / 3)
    assert entities({"entities": ENTITIES * 2, "threat": True}).value == pytest.approx(2 / 3)


def test_the_flag_is_a_number_of_its_own():
    found = entities({"entities": ENTITIES, "threat": "yes"})
    assert (found.value, found.correct, found.parts) == (1.0, False, {"threat": 0.0})


def test_a_note_without_entities_is_met_by_an_empty_list_only():
    assert entities({"entities": [], "threat": False}, CALM).correct
    assert entities({"entities": ["x"], "threat": False}, CALM).value == 0.0
    for unread in ("none", "[]", {"threat": False}, {"entities": "none"}):
        assert not entities(unread, CALM).parsed


@given(st.text(max_size=60) | st.text('{}[]":,entitiestx', max_size=40))
def test_every_text_has_a_score(text):
    for mode in Mode:
        assert 0.0 <= score(text, mode=mode).value <= 1.0
        assert 0.0 <= entities(text, mode=mode).value <= 1.0
