"""Every reader takes time proportional to the length of an answer, whatever a looping model writes.

A reader that takes quadratic time needs four times as long for twice the text; one that is linear twice. The ratio of
one machine in one moment is compared, not a time.
"""

import gc
import time
from functools import partial

import pytest

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
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.refusal import score_false_refusal
from pytest_slmsec.scoring.single_letter import score_choice
from pytest_slmsec.scoring.soc_fields import score_alert
from pytest_slmsec.scoring.squad_text import score_words
from pytest_slmsec.scoring.stated_name import stated_name
from pytest_slmsec.scoring.tariff_code import score_code
from pytest_slmsec.scoring.threat_actor import score_actor

HALF, WHOLE = 500_000, 1_000_000
RATIO = 3.3
AT_ONCE_S = 0.25
"""A reading that takes less than this is fast enough, and too short for a ratio."""
REPEATED = (
    "\n", " \n", "\r\n", "(", "[", "{", '{"a":', '"', "0", "7", "A", "A) ", "answer ", "the answer is ",
    "Answer: A\n", "so ", "is the best ", "\u0301\u0316", "\ufdfa", "<|im_end|>", "\\boxed{", "> ", "~~a", "&#1",
    "Question:",
    "\u7b54\u6848", "CWE-",
    "CWE-79 ", "AV:N/", "AV: ", "T1059\n", "T1059, ", "not benign ", "I cannot ", "ANSWER", "ANSWER\n", "threat actor ",
    "APT",
    "1, ", "\ud800", "M1038 ", "abnormal ", "Severity: ", "```x\n", "0901.21",
)  # fmt: skip
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


READERS = {
    **{f"{scorer.__name__}-{mode.value}": partial(scored, scorer, mode) for scorer in SCORERS for mode in Mode},
    **{f"{function.__name__}": function for function in (plain_text, layer1_digit, said, stated_verdict)},
    **{f"read_answer-{mode.value}": partial(read, mode) for mode in Mode},
    "strict_number": strict_number,
    "stated_name": partial(stated_name, names=("none", "A"), mode=Mode.STRICT),
}


def seconds(reader, piece, chars):
    """CPU seconds of one reading. The garbage collector, which looks at what all other tests left behind, stands
    still."""
    text = piece * (chars // len(piece))
    gc.disable()
    try:
        start = time.process_time()
        reader(text)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("name", READERS)
def test_a_megabyte_of_anything_takes_twice_as_long_as_half_of_it(name):
    slow = {}
    for piece in REPEATED:
        whole = seconds(READERS[name], piece, WHOLE)
        if whole > AT_ONCE_S:
            half = min(seconds(READERS[name], piece, HALF) for _ in range(2))
            slow[piece] = (min(whole, seconds(READERS[name], piece, WHOLE)), half)
    assert {piece: times for piece, times in slow.items() if times[0] > RATIO * times[1]} == {}
