"""Perturbations of words: typing_slips and unicode_tricks."""

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span
from pytest_slmsec.perturb.unicode_tricks import LOOKALIKES, UNSEEN, defang
from pytest_slmsec.perturb.variants import TEXT_KINDS

TEXT = "The attacker moved from the mail server to the file server by a stolen account"


def changed(kind, text=TEXT, n=1, item="item-1"):
    return TEXT_KINDS[kind](text, [Span(0, len(text))], Seed(item, kind, n))


@pytest.mark.parametrize("kind", sorted(set(TEXT_KINDS) - {"defang"}))
def test_a_kind_changes_the_text_and_the_same_seed_changes_it_alike(kind):
    assert changed(kind) != TEXT
    assert changed(kind) == changed(kind)
    assert len({changed(kind, n=n) for n in (1, 2, 3)}) == 3


def test_texts_are_the_same_bytes_in_another_process_with_another_hash_seed():
    code = (
        "from pytest_slmsec.perturb.variants import TEXT_KINDS\nfrom pytest_slmsec.perturb.seeds import Seed\n"
        f"from pytest_slmsec.perturb.spans import Span\ntext = {TEXT!r}\n"
        "print(ascii([TEXT_KINDS[k](text, [Span(0, len(text))], Seed('item-1', k, 1)) for k in TEXT_KINDS]))"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert found == {ascii([changed(kind) for kind in TEXT_KINDS]) + "\n"}


def test_a_slip_keeps_the_first_letter_and_nearly_the_length():
    words = zip(TEXT.split(), changed("typo").split(), strict=True)
    different = [(before, after) for before, after in words if before != after]
    assert len(different) == 1  # one in ten of the nine words of four letters or more
    for before, after in different:
        assert before[0] == after[0]
        assert abs(len(before) - len(after)) <= 1


def test_case_has_four_forms_and_no_fifth():
    found = [changed("case", n=n) for n in range(1, 6)]
    assert {text.casefold() for text in found} == {TEXT.casefold()}
    assert TEXT.upper() in found
    assert TEXT.lower() in found
    assert found[4] == TEXT


def test_other_blanks_keep_the_words():
    assert changed("space").split() == TEXT.split()


def test_lookalikes_are_cyrillic_letters_of_the_same_shape():
    for latin, cyrillic in LOOKALIKES.items():
        assert unicodedata.name(chr(latin)).startswith("LATIN")
        assert unicodedata.name(chr(cyrillic)).startswith("CYRILLIC")
    back = {cyrillic: latin for latin, cyrillic in LOOKALIKES.items()}
    assert changed("homoglyph").translate(back) == TEXT


def test_characters_without_width_are_all_that_is_added():
    text = changed("zerowidth")
    assert "".join(letter for letter in text if letter not in UNSEEN) == TEXT
    assert all(unicodedata.category(letter) == "Cf" for letter in UNSEEN)


@pytest.mark.parametrize(
    "text",
    ["see http://evil.example/a.php and 10.0.4.7:8080", "mail from x@bad.example.com, or https://198.51.100.7/x"],
)
def test_addresses_are_defanged_in_each_of_three_ways(text):
    found = {changed("defang", text, n) for n in (1, 2, 3)}
    assert len(found) == 3
    for one in found:
        assert re.sub("hxxp", "http", re.sub(r"\[\.\]|\(\.\)|\[dot\]", ".", one), flags=re.I) == text
        assert "http" not in one
    assert changed("defang", text, 4) == text


@pytest.mark.parametrize("text", ["version 4.4 of the tool", "the end. The next one", "rundll32.exe ran", "CWE-79."])
def test_what_is_no_address_is_not_defanged(text):
    assert changed("defang", text) == text


@given(text=st.text(max_size=60), item=st.text(min_size=1, max_size=8), n=st.integers(1, 5),
       start=st.integers(0, 60), length=st.integers(0, 60))  # fmt: skip
def test_only_free_parts_change_whatever_the_text(text, item, n, start, length):
    start = min(start, len(text))
    free = Span(start, min(start + length, len(text)))
    for kind, change in TEXT_KINDS.items():
        after = change(text, [free], Seed(item, kind, n))
        assert after.startswith(text[:start])
        assert after.endswith(text[free.end :])


def test_defanging_reads_the_free_parts_only():
    text = "10.0.0.1 and 10.0.0.2"
    assert defang(text, [Span(9, len(text))], Seed("x", "defang", 1)).startswith("10.0.0.1 and 10")
