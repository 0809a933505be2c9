"""Numbers as the page writes them."""

import pytest

from pytest_slmsec.reports.page.numbers import seconds_text


@pytest.mark.parametrize(("seconds", "text"), [
    (None, "-"), (0.0123, "12.3 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (12.34, "12.3 s"), (1234.5, "1,234 s"),
    (999.6, "1,000 s"),
])  # fmt: skip
def test_times_have_three_digits_that_count(seconds, text):
    assert seconds_text(seconds) == text
