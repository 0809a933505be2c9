"""Border tasks over small files in their form, and our own items."""

import importlib.util
import json
from collections import Counter
from decimal import Decimal

import pytest

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.border import TASKS
from pytest_slmsec.tasks.border_post.customs import duty

BY_NAME = {task.name.removeprefix("border-"): task for task in TASKS}
CARD = ["I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"]
VISUAL = {"surname": "ERIKSSON", "given names": "ANNA MARIA", "document number": "D23145890", "nationality": "UTO",
          "date of birth": "1974-08-12", "sex": "F", "date of expiry": "2012-04-15"}  # fmt: skip
DOCUMENT = {"kind": "TD1", "zone": CARD, "today": "2011-05-04"}
NOTE = {"template": "t", "text": "The van X-1 was seen.", "entities": [{"type": "vehicle", "text": "the van X-1"}],
        "threat": False}  # fmt: skip
TARIFF = {"goods": "spirits", "unit": "bottles", "free": 2, "duty": 2.5}
CUSTOMS = {"table": [TARIFF], "carried": {"spirits": 7}, "age": 30, "travellers": 1}
MESSAGE = {"situation": "s", "language": "fr", "intent": "visa", "text": "Combien de jours ?"}
REPORT = {"event": "smuggling", "date": "2030-01-10", "time": "19:38", "crossing": "Port Senna", "lane": 4,
          "travellers": 6, "vehicle": "lorry", "goods": ["perfume"], "action": "arrested"}  # fmt: skip
INCIDENT = {"wording": "w", "text": "It happened.", "report": REPORT}


def load(folder, name, *rows):
    path = folder / "border" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return BY_NAME[name].load(folder)


def own(name):
    return BY_NAME[name].load(fixtures_dir() / "data")


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        ({"question": "field", "field": "given names"}, "ANNA MARIA"),
        ({"question": "field", "field": "date of birth"}, "1974-08-12"),
        ({"question": "check digit", "damage": None}, "none"),
        ({"question": "check digit", "damage": "document number",
          "zone": [CARD[0].replace("D231", "D232"), *CARD[1:]]}, "document number"),
        ({"question": "visual zone", "visual": VISUAL}, "none"),
        ({"question": "visual zone", "visual": {**VISUAL, "sex": "M"}}, "sex"),
        ({"question": "expiry"}, "no"),
        ({"question": "expiry", "today": "2012-04-15"}, "no"),  # valid on the last day
        ({"question": "expiry", "today": "2012-04-16"}, "yes"),
    ],
)  # fmt: skip
def test_the_gold_answer_about_a_document_is_computed(tmp_path, row, gold):
    (item,) = load(tmp_path, "document", {**DOCUMENT, **row})
    assert item.gold == gold
    assert item.prompt.startswith("Machine-readable zone of an identity card (TD1)")
    assert item.meta["category"] == f"TD1 {row['question']}"


@pytest.mark.parametrize(
    ("age", "travellers", "bottles", "crowns"),
    [(30, 1, 7, "12.5"), (30, 2, 7, "7.5"), (16, 1, 7, "17.5"), (17, 1, 7, "12.5"), (30, 1, 3, "0"), (30, 1, 4, "5.0")],
)
def test_duty_is_owed_beyond_the_allowance_and_from_five_crowns(age, travellers, bottles, crowns):
    assert duty([TARIFF], {"spirits": bottles}, age, travellers) == Decimal(crowns)


def test_items_that_belong_together_name_their_cluster(tmp_path):
    assert load(tmp_path, "triage", MESSAGE)[0].meta["cluster"] == "s"
    assert load(tmp_path, "entities", NOTE)[0].meta["cluster"] == "t"
    assert load(tmp_path, "report", INCIDENT)[0].meta["cluster"] == "w"


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("document", {**DOCUMENT, "question": "expiry", "zone": [CARD[0][1:], *CARD[1:]]},
         r"document\.jsonl, record 1, field 'zone': line 1 has 29 characters and a TD1 zone has 30; correct the row"),
        ("document", {**DOCUMENT, "question": "expiry", "zone": [CARD[0].replace("<", " "), *CARD[1:]]},
         r"line 1 holds ' ' at place 2"),
        ("document", {**DOCUMENT, "question": "expiry", "zone": [CARD[0], CARD[1].replace("1204", "1299"), CARD[2]]},
         r"field 'zone': it holds a date that the calendar does not have"),
        ("document", {**DOCUMENT, "question": "expiry", "today": "May"}, r"field 'today': 'May' is no date such as"),
        ("document", {**DOCUMENT, "question": "colour"}, r"field 'question': 'colour' is none of field, check digit"),
        ("document", {**DOCUMENT, "question": "check digit", "damage": "date of birth"},
         r"field 'damage': the row says 'date of birth' and the check digits show none"),
        ("document", {**DOCUMENT, "question": "visual zone", "visual": {**VISUAL, "sex": "M", "surname": "X"}},
         r"field 'visual': the zone must be intact .* it differs in surname, sex"),
        ("triage", {**MESSAGE, "language": "de"}, r"field 'language': 'de' is none of en, es, fr, ar, zh"),
        ("triage", {**MESSAGE, "text": " "}, r"field 'text': the text is empty"),
        ("entities", {**NOTE, "threat": "no"}, r"field 'threat': 'no' is neither true nor false"),
        ("entities", {**NOTE, "entities": {}}, r"field 'entities': '\{\}' is no list"),
        ("entities", {**NOTE, "entities": [{"type": "vehicle", "text": "the bus"}]},
         r"field 'entities\[0\]\.text': it does not stand in the text"),
        ("entities", {**NOTE, "entities": [{"type": "ship", "text": "van"}]}, r"it is none of person, document"),
        ("customs", {**CUSTOMS, "carried": {"spirits": -1}}, r"'carried.spirits': '-1' is no whole number of at least"),
        ("customs", {**CUSTOMS, "table": []}, r"field 'table': the table is empty"),
        ("customs", {**CUSTOMS, "carried": {"spirits": 1, "gold": 3}}, r"'carried': the table has no duty on 'gold'"),
        ("customs", {**CUSTOMS, "table": [{**TARIFF, "duty": float("nan")}]}, r"duty': 'nan' is no rate"),
        ("customs", {**CUSTOMS, "travellers": 0}, r"field 'travellers': '0' is no whole number of at least 1"),
        ("customs", {**CUSTOMS, "table": [{**TARIFF, "duty": "2"}]}, r"field 'table\[0\]\.duty': '2' is no rate"),
        ("report", {**INCIDENT, "report": {**REPORT, "lane": "4"}}, r"field 'report': it does not meet the schema"),
        ("report", {**INCIDENT, "report": {**REPORT, "colour": "red"}}, r"it does not meet the schema"),
    ],
)  # fmt: skip
def test_bad_input_names_file_record_field_and_remedy(tmp_path, name, row, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, name, row)


# Our own items.


@pytest.mark.parametrize("name", BY_NAME)
def test_own_items_are_as_many_as_stated_differ_and_their_gold_answers_are_right(name):
    task, items = BY_NAME[name], own(name)
    assert len(items) == task.n_items == len({item.prompt for item in items})
    for mode in Mode:
        scores = [task.scorer(item, Output(item.gold), mode) for item in items]
        assert all(score.correct and score.parsed for score in scores)
        assert task.metric.aggregate(scores, mode).value == 1.0


@pytest.mark.parametrize(
    ("name", "share"),
    [("document", 0.125), ("triage", 0.125), ("entities", 0.25), ("customs", 0.167), ("report", 0.217)],
)
def test_the_best_constant_answer_scores_what_the_manual_says(name, share):
    items = own(name)
    best = BY_NAME[name].constant(items, Mode.STRICT)
    assert best[1] == pytest.approx(share, abs=5e-4)
    scores = [BY_NAME[name].scorer(item, Output(best[0]), Mode.STRICT).value for item in items]
    assert sum(scores) / len(scores) == pytest.approx(best[1])


def test_every_situation_is_told_in_five_languages_and_every_intent_eight_times():
    items = own("triage")
    languages = Counter(item.meta["cluster"] for item in items)
    assert (len(languages), set(languages.values())) == (64, {5})
    assert set(Counter(item.gold for item in items).values()) == {40}
    assert len({json.loads(line)["text"] for line in (fixtures_dir() / "data/border/triage.jsonl").open()}) == 320


def test_the_worst_language_stands_beside_the_score():
    task, items = BY_NAME["triage"], own("triage")
    scores = [task.scorer(item, Output(item.gold if item.meta["category"] != "Arabic" else "none"), Mode.STRICT)
              for item in items]  # fmt: skip
    result = task.metric.aggregate(scores, Mode.STRICT)
    assert (result.value, result.extras["worst_language"], result.extras["language=Arabic"]) == (0.8, 0.0, 0.0)
    assert result.extras["language=Chinese"] == 1.0


def test_sixty_notes_have_no_entity_and_half_of_the_notes_tell_of_a_threat():
    golds = [json.loads(item.gold) for item in own("entities")]
    assert sum(not gold["entities"] for gold in golds) == 60
    assert 100 <= sum(gold["threat"] for gold in golds) <= 140


def test_documents_are_issued_by_utopia_and_questions_come_equally_often():
    items = own("document")
    assert set(Counter(item.meta["category"] for item in items).values()) == {40}
    assert all("UTO" in item.prompt.splitlines()[1] for item in items)


def test_the_script_writes_the_files_that_are_here(tmp_path):
    path = fixtures_dir() / "border" / "make_items.py"
    spec = importlib.util.spec_from_file_location("make_border_items", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.write_all(tmp_path)
    for name in BY_NAME:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (
            fixtures_dir() / "data" / "border" / f"{name}.jsonl"
        ).read_bytes()
