"""What a judge of two answers is asked, and what is read in its reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Message
from pytest_slmsec.tasks.pair_judging import ASKED, points_of, question
from pytest_slmsec.tasks.registry import tasks

ITEM = Item("c-1", "Where {first}?", "x", system="Be brief.", shots=(Message("user", "On db-1?"),
            Message("assistant", "Yes.")))  # fmt: skip


def test_the_judge_sees_the_conversation_and_both_answers_in_order():
    request = question(ITEM, "in {second}", "on [Answer B]", "new first")
    (turn,) = request.messages
    parts = turn.content.split("\n\n")
    assert parts[1:4] == ["[User]\nOn db-1?", "[Assistant]\nYes.", "[User]\nWhere {first}?"]
    assert parts[4:] == [
        "[Answer A]\nin {second}\n[End of answer A]", "[Answer B]\non [Answer B]\n[End of answer B]", ASKED
    ]  # fmt: skip
    assert request.id == "c-1:new first"


@pytest.mark.parametrize(
    ("reply", "points"),
    [
        ("A", 1.0), ("**B**", 0.0), ("[[C]]", 0.5), ("The better answer is A.", 1.0), ("Verdict: B", 0.0),
        ("Answer A is better.", 1.0), ("B is clearly the best.", 0.0), ("I prefer answer B because it is full.", 0.0),
        ("", None), ("Both help.", None), ("A is better. No, B is better.", None), ("D", None),
    ],
)  # fmt: skip
def test_a_reply_is_read_where_it_commits_to_one_letter(reply, points):
    assert points_of(reply) == points


@given(st.text(max_size=200))
def test_any_reply_is_read(reply):
    assert points_of(reply) in (1.0, 0.0, 0.5, None)


def test_free_answers_about_security_are_judged_in_pairs():
    found = {name for name, task in tasks().items() if task.judged_in_pairs}
    assert found == {"secchat-iio", "secchat-turn", "hackmentor-seed", "hackmentor-dialogue", "hackmentor-turn"}
