"""The weakness id that an answer states, in the forms that models write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cwe import canonical_cwe, score_cwe, strict_cwe

# {0}: the number that is meant, {1} in full-width digits; all other ids are only mentioned.
FORMS = (
    'CWE-{0}',
    'CWE‑{0}',
    'CWE–{0}',
    'CWE—{0}',
    'CWE−{0}',
    'CWE {0}',
    'CWE{0}',
    'cwe-{0}',
    'CWE_{0}',
    'CWE-0{0}',
    'CWE-00{0}',
    'CWE: {0}',
    'CWE #{0}',
    'CWE ({0})',
    'CWE[{0}]',
    'CWE No. {0}',
    'CWE ID {0}',
    'CWE-ID: CWE-{0}',
    'CWE ID is {0}',
    'CWE-**{0}**',
    '**CWE-{0}**',
    '`CWE-{0}`',
    '\\boxed{{CWE-{0}}}',
    '\\boxed{{\\text{{CWE-{0}}}}}',
    '$\\text{{CWE-{0}}}$',
    'CWE\\-{0}',
    'ＣＷＥ－{1}',
    'CWE-{0}<|im_end|>',
    'CWE-{0}</s>',
    '{{"cwe": "CWE-{0}"}}',
    '{{"cwe_id": {0}}}',
    '{{"answer": "CWE-{0}", "parent": "CWE-74"}}',
    '```json\n{{"reason": "CWE-20 is too broad", "cwe": "CWE-{0}"}}\n```',
    'Common Weakness Enumeration {0}',
    'Common Weakness Enumeration (CWE) {0}',
    'https://cwe.mitre.org/data/definitions/{0}.html',
    '{0}',
    'Answer: {0}',
    'CWE-{0}. It is a child of CWE-74.',
    'CWE-{0}. It is a child of CWE-74',
    'CWE-{0} (Cross-site scripting). Related: CWE-80, CWE-83.',
    'CWE-{0}, because the input is not neutralised. CWE-20 would be too general.',
    'CWE-{0}\n\n(Its parent is CWE-707, but CWE-{0} is more precise. Not to be confused with CWE-20.)',
    'CWE-{0}\n\nThis is not CWE-20, because the flaw is elsewhere.',
    'CWE-{0}\n\nNote: CWE-80 is similar.',
    'CWE-{0}: Improper Neutralization of Input During Web Page Generation',
    'CWE-{0}: Cross-site Scripting\n\nCWE-352 requires forged requests, which are not described.',
    'The weakness is CWE-{0}.',
    'The weakness is CWE-{0}, not CWE-20.',
    'The weakness is CWE-{0} rather than CWE-20.',
    'The weakness is CWE-{0}, a child of CWE-74.',
    'This is CWE-{0}. CWE-20 is its parent.',
    'Not CWE-20 but CWE-{0}',
    'It could be CWE-20 or CWE-89, but CWE-{0} fits better.',
    'First CWE-20, then CWE-89; the last line:\nCWE-{0}',
    'CWE-20 is about input validation in general. Scripts reach the page, so CWE-{0}',
    'The description mentions scripts. CWE-20 is too broad. Therefore, the CWE is CWE-{0}.',
    'This vulnerability maps to CWE-{0} (XSS). See also CWE-80.',
    'The vulnerability is classified as CWE-{0}. Similar to CWE-116.',
    'The answer is CWE-{0}. If the input reached a shell, it would be CWE-78.',
    'Based on the description, CWE-{0} applies. It differs from CWE-89.',
    'Final answer: **CWE-{0}**',
    'Antwort: CWE-{0}',
    '答案：CWE-{0}',
    'CWE-{0}\n\nQuestion: Next\nAnswer: CWE-20',
    '- CWE-{0}',
    '> CWE-{0}',
    'CWE-{0} is the best match. CWE-20 is a parent class.',
    'CWE-{0} - Cross-site Scripting',
    'Reasoning: CWE-20 is considered, and CWE-116 is considered.\n\nCWE-{0}',
)  # fmt: skip
MENTIONED = (20, 74, 78, 80, 83, 89, 116, 352, 707)
numbers = st.integers(1, 1999).filter(lambda number: number not in MENTIONED)
WIDE = str.maketrans({str(digit): chr(0xFF10 + digit) for digit in range(10)})


def written(form, number):
    return form.format(number, str(number).translate(WIDE))


@given(numbers, st.sampled_from(FORMS))
def test_a_right_answer_in_any_form_is_read_and_a_wrong_one_is_not(number, form):
    assert strict_cwe(written(form, number)) == f"CWE-{number}"


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    assert strict_cwe(written(form, 79)) == "CWE-79"


def test_leading_zeros_count_neither_in_the_answer_nor_in_the_gold_answer():
    assert canonical_cwe("cwe-0079") == "CWE-79"
    for gold in ("CWE-79", "CWE-079"):
        for text in ("CWE-79", "CWE-0079"):
            assert score_cwe(Item("r", "?", gold), Output(text), Mode.STRICT).correct
    assert not score_cwe(Item("r", "?", "CWE-079"), Output("CWE-79"), Mode.OFFICIAL).correct
