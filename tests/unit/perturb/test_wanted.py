"""What ``--slmsec-perturb`` may say."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.perturb.variants import TEXT_KINDS
from pytest_slmsec.perturb.wanted import KINDS, Wanted, read_wanted


def test_kinds_with_and_without_a_number():
    assert read_wanted("typo:2, case,options:3") == (Wanted("typo", 2), Wanted("case", 1), Wanted("options", 3))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tpyo", "there is no kind 'tpyo'; did you mean typo?"),
        ("Homoglyphs:2", "there is no kind 'Homoglyphs'; did you mean homoglyph?"),
        ("rot13", "there is no kind 'rot13'; known: typo, case"),
        ("typo:0", "typo:0 must end in a whole number from 1 to 100, such as typo:2"),
        ("typo:-1", "typo:-1 must end in"),
        ("typo:", "typo: must end in"),
        ("typo:1.5", "typo:1.5 must end in"),
        ("typo:101", "typo:101 must end in"),
        ("typo:" + "9" * 5000, "must end in"),
        ("typo:²", "must end in"),
        ("typo,case,typo:2", "typo is named twice; write typo:2"),
        (" , ", "names no kind"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_names_the_part(text, says):
    with pytest.raises(UsageError, match="--slmsec-perturb=") as caught:
        read_wanted(text)
    assert says in str(caught.value)


def test_all_kinds_of_words_are_kinds():
    assert set(TEXT_KINDS) | {"template", "options", "inject"} == set(KINDS)
