"""Scorers of alerts, logs, goods and short texts: letters in JSON, classes, templates, fields, codes, words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring import json_letters, log_template, named_class, soc_fields, squad_text, tariff_code
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.class_counts import class_extras, class_parts
from pytest_slmsec.scoring.metrics import CLASS_ACCURACY, EXACT_TEMPLATE


def score(scorer, gold, text, mode=Mode.STRICT, **meta):
    return scorer(Item("i", "?", gold, meta=meta), Output(text=text), mode)


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        ('{"correct_answers": ["A", "C"]}', ["A", "C"], ["A", "C"]),
        ('I think.\n```json\n{"correct_answers": ["C", "A"]}\n```', ["C", "A"], ["A", "C"]),
        ('{"note": 1} {"correct_answers": ["A"]}', None, ["A"]),
        ('First {"correct_answers": ["B"]}, better {"correct_answers": ["A"]}', ["B"], ["A"]),
        ('<json_object>{"correct_answers": ["A"]}</json_object>.', ["A"], ["A"]),
        ("so $\\boxed{A, C}$", ["A", "C"], ["A", "C"]),
        ('{"correct_answers": ["A. Audit", "c"]}', ["A. Audit", "c"], ["A", "C"]),
        ("{correct_answers: [A]}", None, ["A"]),
        ("Answer: A, C", None, ["A", "C"]),
        ("{" * 3000, None, None),
        ("", None, None),
    ],
)
def test_letters_of_an_object(text, official, strict):
    assert json_letters.official_answers(text) == official
    assert json_letters.strict_answers(text) == strict


def test_overlap_counts_beside_the_exact_set():
    found = score(json_letters.score_json_letters, "A,B", '{"correct_answers": ["A", "C"]}')
    assert (found.value, found.parts) == (0.0, {"jaccard": pytest.approx(1 / 3)})
    assert json_letters.jaccard(["A", "A"], ["A"]) == 0.5  # a letter given twice, as upstream counts
    assert json_letters.jaccard([], []) == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("normal", "normal"),
        ("**Abnormal**.", "abnormal"),
        ("Answer: abnormal", "abnormal"),
        ("The log line is abnormal because the disk fails.", "abnormal"),
        ("It is not normal, it is abnormal.", "abnormal"),
        ("Normal\n\nNothing abnormal is to be seen.", "normal"),
        ("It may be normal or abnormal.", None),
        ("I cannot say", None),
    ],
)
def test_a_class_that_is_named(text, said):
    assert named_class.named_class(text, ("normal", "abnormal")) == said


@pytest.mark.parametrize(
    ("text", "said"), [("异常", "异常"), ("这条日志是正常的。", "正常"), ("答案是异常", "异常"), ("正常或异常", None)]
)
def test_a_class_that_is_named_in_chinese(text, said):
    assert named_class.named_class(text, ("正常", "异常")) == said


def test_classes_of_several_words():
    classes = ("disk failure", "disk full")
    assert named_class.named_class("The fault is: Disk_Full", classes) == "disk full"
    assert named_class.named_class("disk", classes) is None


def test_balanced_accuracy_and_f1():
    pairs = [("bad", "bad"), ("bad", "good"), ("good", "good"), ("good", "good"), ("good", None)]
    scores = [Score(float(g == s), s is not None, g == s, s, class_parts(g, s, "bad")) for g, s in pairs]
    found = class_extras(scores)
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["F1"] == pytest.approx(2 / 3)  # of the class that is looked for
    macro = [
        Score(s.value, s.parsed, s.correct, None, class_parts(g, a)) for s, (g, a) in zip(scores, pairs, strict=True)
    ]
    assert class_extras(macro)["F1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_model_that_says_one_class_has_half_the_balanced_accuracy():
    golds = ["normal"] * 27 + ["abnormal"]
    scores = [score(named_class.score_class, gold, "normal", classes=("normal", "abnormal")) for gold in golds]
    result = CLASS_ACCURACY.aggregate(scores, Mode.STRICT)
    assert (result.value, result.extras["balanced_accuracy"]) == (27 / 28, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "door <*> opened by <*>",
        "door  <*> opened by <*>\n\nThe variables are numbers.",
        "Template: `door <*> opened by <*>`",
        "Here it is:\n```\ndoor <*> opened by <*>\n```",
        "**Log template:** door <*> opened by <*>",
        "模板：door <*> opened by <*>",
    ],
)
def test_a_template_in_its_usual_forms(text):
    assert score(log_template.score_template, "door <*> opened by <*>", text).correct


def test_how_near_a_template_is():
    found = score(log_template.score_template, "door <*> opened", "door 7 opened")
    assert (found.correct, found.parts["edit_similarity"]) == (False, pytest.approx(1 - 3 / 15))


def test_grouping_asks_for_the_same_lines_not_for_the_same_words():
    def line(gold, text):
        return score(log_template.score_template, f"t{gold}", text, group=gold)

    renamed = [line(0, "a"), line(0, "a"), line(1, "b")]
    assert log_template.grouping_accuracy(renamed) == 1.0
    split = [line(0, "a"), line(0, "c"), line(1, "b")]
    assert log_template.grouping_accuracy(split) == pytest.approx(1 / 3)
    joined = [line(0, "a"), line(0, "a"), line(1, "a")]
    assert log_template.grouping_accuracy(joined) == 0.0
    assert "group" not in EXACT_TEMPLATE.aggregate(renamed, Mode.STRICT).extras


ALERT = "Threat Type: SQL Injection -- UNION\nMITRE Technique ID: T1190 (Exploit)\nSeverity: CRITICAL\n"


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        (ALERT, (1, 1, 1), (1, 1, 1)),
        (ALERT.replace("Threat Type", "THREAT_TYPE").replace("Severity:", "severity ="), (1, 1, 1), (1, 1, 1)),
        ("**Threat Type:** SQLi\n**Severity:** Critical", (1, 0, 0), (1, 1, 0)),
        ("Threat Type: XSS\n### Input: next\nSeverity: CRITICAL", (0, 0, 0), (0, 0, 0)),
        ("Threat Type: SQL Injection", (1, 0, 0), (1, 0, 0)),  # the authors' script ends with an error here
        ("", (0, 0, 0), (0, 0, 0)),
    ],
)
def test_fields_of_an_alert(text, official, strict):
    for mode, expected in zip((Mode.OFFICIAL, Mode.STRICT), (official, strict), strict=True):
        found = score(soc_fields.score_alert, "SQL INJECTION", text, mode, severity="CRITICAL", technique="T1190")
        assert (found.value, found.parts["severity"], found.parts["technique"]) == expected


def test_a_label_of_no_category_adds_no_class_of_its_own():
    found = score(soc_fields.score_alert, "XSS", "Threat Type: Moon Dust", severity="LOW", technique="")
    assert found.extracted == "MOON DUST"
    assert {name for name in found.parts if name.startswith("said:")} == {"said:OTHER"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Answer: 0901.21.00.10", "0901210010"),
        ("0901210010", "0901210010"),
        ("Heading 0901, so the HS code is 0901 2100 10. It cost 2000.50.", "0901210010"),
        ("Not 0902.10.10.15.\n**Answer:** 090121", "090121"),
        ("about 12 kg of coffee", None),
    ],
)
def test_a_tariff_code(text, code):
    assert tariff_code.stated_code(text) == code


def test_the_levels_of_a_code():
    found = score(tariff_code.score_code, "0901210010", "Answer: 0901.21.00.55")
    assert found.value == 0.0
    assert found.parts == {"six_digits": 1.0, "four_digits": 1.0, "two_digits": 1.0}


@pytest.mark.parametrize(
    ("gold", "said", "em", "f1"),
    [
        ("the Harbour Board", "harbour board.", 1.0, 1.0),
        ("harbour board", "the old harbour board", 0.0, 0.8),
        ("harbour board", "nobody", 0.0, 0.0),
        ("", "", 1.0, 1.0),
        ("", "a word", 0.0, 0.0),
    ],
)
def test_exact_match_and_f1_of_words(gold, said, em, f1):
    assert (squad_text.exact(gold, said), squad_text.word_f1(gold, said)) == (em, pytest.approx(f1))


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        ("The answer is grey granite.", 0.0, 1.0),
        ("grey granite\nbecause the text says so", 0.0, 1.0),
        ("Grey Granite", 1.0, 1.0),
        ("Unanswerable.", 0.0, 0.0),
    ],
)
def test_the_nearest_of_several_answers_counts(text, official, strict):
    found = [score(squad_text.score_words, "g", text, mode, answers=["granite", "grey granite"]) for mode in Mode]
    assert [one.value for one in found] == [official, strict]


@pytest.mark.parametrize("text", ["unanswerable", "Unanswerable.", "No answer", "", "The question cannot be answered."])
def test_that_there_is_no_answer(text):
    found = score(squad_text.score_words, "unanswerable", text, answers=[], kind="unanswerable")
    assert (found.value, found.parts["EM:unanswerable"]) == (1.0, 1.0)


SCORERS = {
    json_letters.score_json_letters: {},
    named_class.score_class: {"classes": ("normal", "abnormal")},
    log_template.score_template: {"group": 1},
    soc_fields.score_alert: {"severity": "LOW", "technique": ""},
    tariff_code.score_code: {},
    squad_text.score_words: {"answers": ["x"]},
}


@given(st.text(max_size=300), st.sampled_from(list(SCORERS)), st.sampled_from(list(Mode)))
def test_any_text_has_a_score(text, scorer, mode):
    assert score(scorer, "A", text, mode, **SCORERS[scorer]).value in (0.0, 1.0)
