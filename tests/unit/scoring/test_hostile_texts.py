"""Every reader takes time proportional to the length of an answer, whatever a looping model writes.

`tests/growth.py` compares the time of a text with that of an eighth of it.

Strict readers look at `LONGEST_READ` characters of a longer text, so they are compared below that length, and read a
megabyte of the few texts that differ in kind. Official readers, and what comes before that cut, read 150,000
characters of all, and a megabyte of these few.
"""

import re
from functools import partial

import pytest
from growth import grows_faster_than_text

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.answer_marker import score_marked_letter
from pytest_slmsec.scoring.athena import (
    score_athena_actor,
    score_athena_cwe,
    score_athena_letter,
    score_athena_mitigations,
    score_athena_technique,
    score_athena_vector,
)
from pytest_slmsec.scoring.attack_help import layer1_digit, said, stated_verdict
from pytest_slmsec.scoring.attack_techniques import score_techniques
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cvss import score_vector
from pytest_slmsec.scoring.cwe import score_cwe
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.exact_number import strict_number
from pytest_slmsec.scoring.json_letters import score_json_letters
from pytest_slmsec.scoring.leaf_values import read_answer
from pytest_slmsec.scoring.letter_set import score_letter_set, score_opseval, score_seceval
from pytest_slmsec.scoring.letters import score_letter
from pytest_slmsec.scoring.log_template import score_template
from pytest_slmsec.scoring.named_class import score_class
from pytest_slmsec.scoring.normalise import LONGEST_READ, plain_text
from pytest_slmsec.scoring.refusal import score_false_refusal
from pytest_slmsec.scoring.single_letter import score_choice
from pytest_slmsec.scoring.soc_fields import score_alert
from pytest_slmsec.scoring.squad_text import score_words
from pytest_slmsec.scoring.stated_name import stated_name
from pytest_slmsec.scoring.tariff_code import score_code
from pytest_slmsec.scoring.threat_actor import score_actor

MEGABYTE = 1_000_000
LARGE = 150_000
BELOW_THE_CUT = 10_000
AT_ONCE_S = {MEGABYTE: 0.5, LARGE: 0.06, BELOW_THE_CUT: 0.06}
"""A reading that takes less than this is fast enough, and too short for a ratio."""
REPEATED = (
    "\n", " \n", "\r\n", "(", "[", "{", '{"a":', '"', "0", "7", "A", "A) ", "answer ", "the answer is ",
    "Answer: A\n", "so ", "is the best ", "\u0301\u0316", "\ufdfa", "<|im_end|>", "\\boxed{", "> ", "~~a", "&#1",
    "Question:",
    "\u7b54\u6848", "CWE-",
    "CWE-79 ", "AV:N/", "AV: ", "T1059\n", "T1059, ", "not benign ", "I cannot ", "ANSWER", "ANSWER\n", "threat actor ",
    "APT",
    "1, ", "\ud800", "<think>", "| A |\n|---|\n", "not a but ",
    "M1038 ", "abnormal ", "Severity: ", "```x\n", "0901.21",
)  # fmt: skip
DIFFERENT = ("\n", "{", "\u0301\u0316", "A) ", "CWE-79 ")
"""Texts that differ in kind: line breaks, objects, combining characters, labels, names."""
ITEM = Item("i", "?", "A", meta={
    "known": ["wizard spider", "apt29"],
    "classes": ["normal", "abnormal"],
    "severity": "HIGH",
    "technique": "T1059",
    "answers": ["granite"],
    **{mode.value: {"correct": ["apt29"], "plausible": ["apt29"]} for mode in Mode},
})  # fmt: skip
SCORERS = (
    score_letter, score_choice, score_letter_set, score_seceval, score_opseval, score_marked_letter, score_cwe,
    score_vector,
    score_techniques, score_actor, score_false_refusal, score_exact, score_athena_actor, score_athena_cwe,
    score_athena_letter, score_athena_mitigations, score_athena_technique, score_athena_vector, score_json_letters,
    score_template, score_class, score_alert, score_words, score_code,
)  # fmt: skip


def scored(scorer, mode, text):
    return scorer(ITEM, Output(text), mode)


def read(mode, text):
    return read_answer(text, mode)


SAME_READING = (score_letter, score_seceval, score_opseval, score_marked_letter, score_athena_letter,
                score_athena_cwe, score_athena_technique, score_athena_vector, score_athena_actor, score_choice,
                score_json_letters)  # fmt: skip
"""Scorers whose strict mode calls the reading of another one of `SCORERS`, with little work of its own."""
SAME_IN_BOTH_MODES = (score_letter_set, score_class, score_alert)


CUT = {
    **{f"{scorer.__name__}-strict": partial(scored, scorer, Mode.STRICT) for scorer in SCORERS},
    **{function.__name__: function for function in (layer1_digit, stated_verdict)},
    "read_answer-strict": partial(read, Mode.STRICT),
    "strict_number": strict_number,
    "stated_name": partial(stated_name, names=("none", "A"), mode=Mode.STRICT),
}
WHOLE = {
    **{
        f"{scorer.__name__}-official": partial(scored, scorer, Mode.OFFICIAL)
        for scorer in SCORERS
        if scorer not in SAME_IN_BOTH_MODES
    },
    **{function.__name__: function for function in (plain_text, said)},
    "read_answer-official": partial(read, Mode.OFFICIAL),
}


def too_slow(reader, pieces, chars):
    """The pieces whose reading takes more than proportional time."""
    return [piece for piece in pieces if grows_faster_than_text(reader, piece, chars, AT_ONCE_S[chars])]


@pytest.mark.parametrize("name", WHOLE)
def test_the_time_of_a_whole_reading_is_proportional_to_the_text(name):
    assert too_slow(WHOLE[name], REPEATED, LARGE) == []
    assert too_slow(WHOLE[name], DIFFERENT, MEGABYTE) == []


@pytest.mark.parametrize("name", CUT)
def test_the_time_of_a_strict_reading_is_proportional_to_the_text(name):
    assert BELOW_THE_CUT < LONGEST_READ
    if name not in {f"{scorer.__name__}-strict" for scorer in SAME_READING}:
        assert too_slow(CUT[name], REPEATED, BELOW_THE_CUT) == []
    assert too_slow(CUT[name], DIFFERENT, MEGABYTE) == []


def test_a_reader_that_takes_quadratic_time_is_noticed():
    assert too_slow(re.compile(r"\n*x").findall, ["\n"], BELOW_THE_CUT) == ["\n"]
