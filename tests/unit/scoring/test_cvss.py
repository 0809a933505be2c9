"""CVSS vectors in answers and the distance of their base scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cvss import METRICS, base_score, official_vector, score_vector, strict_vector

HIGH = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8
CLICK = "AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"  # 8.8
vectors = st.tuples(*(st.sampled_from(values) for values in METRICS.values())).map(
    lambda values: "/".join(f"{name}:{value}" for name, value in zip(METRICS, values, strict=True))
)


def test_base_scores_of_the_specification():
    assert base_score("CVSS:3.1/" + HIGH) == 9.8
    assert base_score("CVSS:3.0/" + CLICK) == 8.8
    assert base_score(HIGH) is None


@pytest.mark.parametrize(
    "text",
    [
        CLICK,
        "CVSS:3.1/" + CLICK,
        "CVSS: 3.1/" + CLICK,
        CLICK.lower(),
        f"**{CLICK}**.",
        f"First CVSS:3.1/{HIGH}, but a user must click, so\nCVSS:3.1/{CLICK}",
        f"CVSS:3.1/{CLICK}\nwhere AV:N/AC:L/PR:N/UI:X/S:U/C:H/I:H/A:H would be illegal",
        "AC:L/AV:N/PR:N/UI:R/S:U/C:H/I:H/A:H",
        f"CVSS:3.1/{CLICK}/E:P",
    ],
)
def test_strict_takes_the_last_legal_vector_and_does_not_mind_what_stands_around_it(text):
    assert strict_vector(text) == CLICK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unaut0000000000000",
        "The base score is 7.5.",
        "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "AV:N/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
        "AV:10/AC:10/PR:10/UI:10/S:10/C:10/I:10/A:10",
    ],
)
def test_an_incomplete_illegal_or_broken_vector_is_none(text):
    assert strict_vector(text) is None


@given(vectors, st.sampled_from(["{}", "CVSS:3.1/{}", "So it is\n**CVSS:3.1/{}**", "CVSS: 3.1/{}"]))
def test_a_rendered_vector_comes_back_and_has_a_score(vector, form):
    text = form.format(vector)
    assert strict_vector(text) == official_vector(text) == vector
    assert 0.0 <= base_score("CVSS:3.0/" + vector) <= 10.0


@given(st.text())
def test_any_text_is_scored_between_zero_and_ten(text):
    item = Item("v-1", "?", "CVSS:3.1/" + HIGH)
    for mode in Mode:
        assert 0.0 <= score_vector(item, Output(text=text), mode).value <= 10.0


@given(st.text("AVCPRUISHNL:/ \n", max_size=80))
def test_text_made_of_vector_characters_never_raises(text):
    found = strict_vector(text)
    assert found is None or base_score("CVSS:3.1/" + found) is not None
    assert score_vector(Item("v-1", "?", "CVSS:3.1/" + HIGH), Output(text=text), Mode.OFFICIAL).value <= 10.0


def test_the_score_is_the_distance_and_unparsed_is_the_worst():
    item = Item("v-1", "?", "CVSS:3.1/" + HIGH)
    near = score_vector(item, Output(text=CLICK), Mode.STRICT)
    same = score_vector(item, Output(text="cvss:3.1/" + HIGH.lower()), Mode.STRICT)
    none = score_vector(item, Output(text="high"), Mode.STRICT)
    assert near.value == pytest.approx(1.0)
    assert (near.correct, near.parts["exact_vector"]) == (False, 0.0)
    assert (same.value, same.correct, same.parts["exact_vector"]) == (0.0, True, 1.0)
    assert (none.value, none.parsed, none.correct) == (10.0, False, False)


def test_an_equal_score_by_another_vector_is_no_exact_vector():
    item = Item("v-1", "?", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N")
    score = score_vector(item, Output(text="AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"), Mode.STRICT)
    assert (score.value, score.correct) == (0.0, False)


def test_official_refuses_what_the_package_refuses():
    item = Item("v-1", "?", "CVSS:3.1/" + HIGH)
    assert not score_vector(item, Output(text="AV:Network/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Mode.OFFICIAL).parsed
    assert score_vector(item, Output(text=f"so CVSS:3.1/{HIGH}"), Mode.OFFICIAL).value == 0.0
