"""ROUGE-L of long answers, by the rules of SEvenLLM."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.rouge_l import best_of_each, rouge_l, score_text, sentences, words

EN = Item("i", "?", "The worm spreads by mail. Patch the server.")
ZH = Item("i", "?", "蠕虫通过邮件传播。请修补服务器。")
EPSILON = pytest.approx(1.0, abs=1e-6)  # the package adds 1e-8 to a denominator


def test_english_sentences_end_before_a_blank_but_not_after_abbreviations():
    text = "It hit e.g. banks. Dr. Hale paid! Why? Nobody knows"
    assert sentences(text, "en") == ["It hit e.g. banks.", "Dr. Hale paid!", "Why?", "Nobody knows"]


def test_chinese_sentences_keep_their_mark_and_blank_ones_are_dropped():
    assert sentences("木马传播。 真的吗？！\n请更新", "zh") == ["木马传播。", "真的吗？", "请更新"]


def test_chinese_words_are_parted_by_blanks():
    assert words("恶意软件感染了服务器。").split() == ["恶意软件", "感染", "了", "服务器", "。"]


def test_reference_and_answer_have_the_places_that_upstream_gives_them():
    """Of several longest common subsequences the package takes one by the order of its arguments."""
    assert rouge_l("b a", "a b. a") == EPSILON
    assert rouge_l("a b. a", "b a") == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("text", ["...", ".", "", "...."])
def test_a_text_without_sentences_scores_nothing(text):
    assert rouge_l(text, "a word") == rouge_l("a word", text) == 0.0


def test_long_texts_without_full_stops_do_not_exhaust_the_stack():
    before = sys.getrecursionlimit()
    assert rouge_l("word " * 30, "other " * 1500 + "word") > 0
    assert sys.getrecursionlimit() == before


def test_english_is_scored_as_a_whole_and_chinese_by_sentence():
    swapped = "Patch the server. The worm spreads by mail."
    assert score_text(EN, Output(swapped), Mode.STRICT, "en").value == EPSILON
    half = score_text(ZH, Output("请修补服务器。"), Mode.STRICT, "zh")
    assert half.value == pytest.approx((1.0 + best_of_each(ZH.gold, "请修补服务器。", "zh")[0]) / 2, abs=1e-6)
    assert 0.5 <= half.value < 0.8


def test_version_1_counts_the_sentences_that_are_met_at_one_fifth():
    found = score_text(EN, Output("Patch the server at once."), Mode.OFFICIAL, "en")
    assert found.parts == {"hit_rate_v1": 0.5}
    assert not found.correct
    assert score_text(EN, Output("The worm spreads fast. Patch it, the server."), Mode.STRICT, "en").correct


@pytest.mark.parametrize(("item", "language"), [(EN, "en"), (ZH, "zh")])
def test_an_empty_answer_is_unparsed_and_nothing(item, language):
    for mode in Mode:
        found = score_text(item, Output(""), mode, language)
        assert (found.value, found.parsed, found.correct, found.parts) == (0.0, False, False, {"hit_rate_v1": 0.0})
    assert score_text(item, Output(" "), Mode.OFFICIAL, language).parsed
    assert not score_text(item, Output(" \n"), Mode.STRICT, language).parsed


@given(st.text(max_size=60) | st.text("ab.。！ \n", max_size=40), st.sampled_from([(EN, "en"), (ZH, "zh")]))
def test_every_text_has_a_score_between_0_and_1(text, case):
    item, language = case
    found = score_text(item, Output(text), Mode.STRICT, language)
    assert 0.0 <= found.value <= 1.0
    assert 0.0 <= found.parts["hit_rate_v1"] <= 1.0


def test_the_dictionary_is_kept_in_our_own_cache(tmp_path, monkeypatch):
    from pytest_slmsec.scoring import rouge_l as module

    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path))
    module._jieba.cache_clear()
    try:
        assert words("木马").split() == ["木马"]
        assert [path.name for path in (tmp_path / "jieba").iterdir()] == ["jieba.cache"]
    finally:
        module._jieba.cache_clear()


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path, monkeypatch, capfd):
    from pytest_slmsec.scoring import rouge_l as module

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path / "file"))
    module._jieba.cache_clear()
    try:
        assert words("木马").split() == ["木马"]
        assert capfd.readouterr() == ("", "")
    finally:
        module._jieba.cache_clear()
