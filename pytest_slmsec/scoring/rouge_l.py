"""Long answers against a reference text by ROUGE-L, as SEvenLLM-Bench scores them (Ji et al. 2024, arXiv 2405.03446;
upstream repository `CSJianYang/SEevenLLM`).

Version 2 (2026, `code/score/f1_rougel`): English, ROUGE-L f of the whole texts; Chinese, for each sentence of the
reference the best ROUGE-L f of any sentence of the answer, averaged. Version 1 (2024, `get_score_rougeL.py`): the share
of reference sentences that some sentence of the answer meets with ROUGE-L f >= 0.2.

ROUGE is the package `rouge` 1.0.1 with reference and answer in swapped places, as upstream calls it. It splits texts at
full stops and counts each word once; other implementations give other numbers. Chinese words are those of `jieba`.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import fsum
from typing import Any, Literal

from pytest_slmsec.core.errors import MissingExtraError
from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.scoring.base import Mode

Language = Literal["en", "zh"]

EXTRA = "sevenllm"
HIT_FROM = 0.2
HIT_RATE = "hit_rate_v1"
SPARE_FRAMES = 1000

# The blank in "It ran. Then it stopped.", not those in "e.g. this" or "Mr. Smith".
_ENGLISH_BREAK = re.compile(r"(?<!\w\.\w.)(?<![A-Z][a-z]\.)(?<=\.|\?|!)\s")
# "攻击开始。" of "攻击开始。随后停止。".
_CHINESE_SENTENCE = re.compile(r"[^。！？]+[。！？]?")


def sentences(text: str, language: Language) -> list[str]:
    """The sentences of a text, without blank ones, split as upstream splits them."""
    parts = _CHINESE_SENTENCE.findall(text) if language == "zh" else _ENGLISH_BREAK.split(text)
    return [part.strip() for part in parts if part.strip()]


def words(sentence: str) -> str:
    """A Chinese sentence with blanks between its words."""
    return " ".join(_jieba().cut(sentence)).strip()


def rouge_l(reference: str, answer: str) -> float:
    """ROUGE-L f of two texts whose words are parted by blanks, a share of 1.

    Where the package finds no sentence in one of them, as in ``...``, the score is 0; upstream ends with an error.
    """
    if not reference.strip(".") or not answer.strip("."):
        return 0.0
    with _deep_recursion(len(reference.split()) + len(answer.split())):
        # The package calls its first argument the hypothesis: the places are swapped here, as upstream does.
        return float(_rouge().get_scores(reference, answer)[0]["rouge-l"]["f"])


def best_of_each(reference: str, answer: str, language: Language) -> list[float]:
    """For each sentence of the reference, the best ROUGE-L f of any sentence of the answer; 0 if that has none."""
    wanted, given = sentences(reference, language), sentences(answer, language)
    if language == "zh":
        wanted, given = [words(one) for one in wanted], [words(one) for one in given]
    return [max((rouge_l(one, other) for other in given), default=0.0) for one in wanted]


def score_text(item: Item, output: Output, mode: Mode, language: Language) -> Score:
    """ROUGE-L of version 2; part ``hit_rate_v1`` is version 1.

    An answer counts as right when it meets every sentence of the reference in the sense of version 1. An empty answer
    is unparsed and scores 0 (official Chinese scoring leaves it out).
    """
    text = output.text or ""
    parsed = bool(text.strip() if mode is Mode.STRICT else text)
    best = best_of_each(item.gold, text, language)
    value = rouge_l(item.gold, text) if language == "en" else fsum(best) / max(len(best), 1)
    hits = sum(found >= HIT_FROM for found in best) / max(len(best), 1)
    return Score(value, parsed, hits == 1.0, None, {HIT_RATE: hits})


@cache
def _rouge() -> Any:
    try:
        from rouge import Rouge
    except ImportError as error:
        raise MissingExtraError("Scoring SEvenLLM-Bench", "rouge", EXTRA) from error
    return Rouge(metrics=["rouge-l"])


@cache
def _jieba() -> Any:
    """A tokenizer with the package's own dictionary. It keeps the parsed dictionary in our cache, where the package
    would take whatever lies in the temporary folder of all users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escapes in its source
            import jieba
    except ImportError as error:
        raise MissingExtraError("Scoring Chinese texts", "jieba", EXTRA) from error
    logging.getLogger("jieba").setLevel(logging.CRITICAL)
    tokenizer = jieba.Tokenizer()
    folder = cache_dir() / "jieba"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        pass  # the dictionary is then parsed anew, which takes a second
    tokenizer.tmp_dir = str(folder)
    return tokenizer


@contextmanager
def _deep_recursion(depth: int) -> Iterator[None]:
    """The package walks back along a common subsequence by recursion, a call a word of both texts."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, depth + SPARE_FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
