"""Words for a terminal."""

import pytest

from pytest_slmsec.core.wrap import counted


@pytest.mark.parametrize(
    ("n", "verb", "text"),
    [(0, "", "0 items"), (1, "", "1 item"), (2_000, "", "2,000 items"), (1, "are", "1 item is"),
     (2, "are", "2 items are"), (1, "have", "1 item has"), (1, "can", "1 item can")],
)  # fmt: skip
def test_what_is_counted_agrees_with_its_number(n, verb, text):
    assert counted(n, "item", verb) == text
