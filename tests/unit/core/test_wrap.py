"""Text for a terminal."""

import pytest

from pytest_slmsec.core.wrap import folded


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, "n0"),
        (3, "n0, n1, n2"),
        (4, "n0, n1, n2, n3"),
        (5, "n0, n1, n2 and 2 more"),
        (2003, "n0, n1, n2 and 2,000 more"),
    ],
)
def test_of_many_names_the_first_few_are_shown(n, expected):
    assert folded([f"n{row}" for row in range(n)], 3) == expected
