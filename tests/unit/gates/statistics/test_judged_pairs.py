"""A judge's gate: both orders of each pair, and judges that cannot be trusted."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.judge_habits import Judged, from_plain, habits
from pytest_slmsec.gates.statistics.judged_pairs import families, judged_gate, pairs_of
from pytest_slmsec.gates.statistics.result import Verdict


def both_orders(number, points, other=None, judge="judge", lengths=(9, 9)):
    """The verdicts on one item: `points` of the candidate where it stood first, and `other` where it stood second."""
    new, old = lengths
    back = points if other is None else other
    item = f"item {number}"
    return [Judged(item, item, judge, "new", "old", points, "n", "o", new, old, "raw"),
            Judged(item, item, judge, "old", "new", 1 - back, "o", "n", old, new, "raw")]  # fmt: skip


def judged(*pairs, **options):
    return [verdict for number, pair in enumerate(pairs) for verdict in both_orders(number, *pair, **options)]


def test_orders_that_agree_give_1_or_0_and_others_one_half():
    found = pairs_of(judged((1.0,), (0.0,), (0.5,), (1.0, 0.0), (1.0, 0.5)), "new", "old")
    assert [(pair.points, pair.consistent) for pair in found] == [
        (1.0, True), (0.0, True), (0.5, True), (0.5, False), (0.5, False)
    ]  # fmt: skip


@given(st.lists(st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]), min_size=2, max_size=20))
def test_a_judge_that_sees_no_difference_gives_exactly_one_half(pairs):
    """A model against itself: whatever place the judge prefers, turning the order turns the verdict."""
    found = judged_gate(judged(*pairs), "new", "old", 0.05)
    assert (found.details["win_share"], found.estimate) == (0.5, 0.0)


def decided(wins, losses, ties=0):
    rows = [(1.0,)] * wins + [(0.0,)] * losses + [(0.5,)] * ties
    random.Random(1).shuffle(rows)
    return judged(*rows)


@pytest.mark.parametrize(
    ("wins", "losses", "verdict"),
    [(400, 300, Verdict.PASS), (250, 450, Verdict.FAIL), (320, 380, Verdict.INCONCLUSIVE)],
)
def test_the_win_share_decides(wins, losses, verdict):
    found = judged_gate(decided(wins, losses, 100), "new", "old", 0.05)
    assert found.verdict is verdict
    assert found.details["win_share"] == pytest.approx((wins + 50) / 800)


def test_items_of_one_cluster_count_for_less():
    alone = decided(400, 300, 100)
    joint = [verdict._replace(cluster=f"{verdict.points if verdict.first == 'new' else 1 - verdict.points} "
                              f"{int(verdict.item[5:]) % 10}") for verdict in alone]  # fmt: skip
    widths = [found.upper - found.lower for found in
              (judged_gate(rows, "new", "old", 0.05) for rows in (alone, joint))]  # fmt: skip
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (judged(*[(1.0,)] * 300, *[(0.0,)] * 200, *[(1.0, 0.0)] * 200), "29 % of the pairs got another verdict"),
        (judged(*[(1.0,)] * 400, *[(0.0,)] * 300, judge="hf:org/New-7B"), "hf:org/New-7B is of the family of new"),
        (judged(*[(0.5,)] * 700), "judge-constant: all 1400 verdicts are the same"),
        (judged(*[(1.0, 0.0)] * 700), "judge-prefers-first: the first answer won 100 %"),
        (judged(*[(1.0,)] * 700, lengths=(90, 9)), "judge-prefers-longer: the longer answer won 100 %"),
    ],
)
def test_a_judge_that_cannot_be_trusted_decides_nothing(rows, reason):
    found = judged_gate(rows, "new", "old", 0.05)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any(reason in sentence for sentence in found.reasons)


def test_a_few_verdicts_show_no_habit():
    assert habits(judged(*[(1.0, 0.0)] * 14)) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("llama-13b-lora-iio", {"llama"}), ("hf:Qwen/Qwen3-4B", {"qwen"}), ("openai:phi3", {"phi"}), ("7b", {"7b"}),
        ("hf:meta/Meta-Llama-3-8B", {"llama"}), ("vicuna-13b", {"llama"}), ("./runs/umpire-2", {"umpire"}),
        ("hf:x/DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
    ],
)  # fmt: skip
def test_the_families_in_a_name(name, found):
    assert families(name) == found


def test_equal_answers_are_a_tie_that_shows_nothing_of_the_judge():
    rows = [verdict._replace(first_sha256="same", second_sha256="same") for verdict in judged(*[(1.0, 0.0)] * 700)]
    found = judged_gate(rows, "new", "old", 0.05)
    assert (found.verdict, found.details["win_share"], found.details["inconsistent"]) == (Verdict.PASS, 0.5, 0.0)


def test_a_reply_that_is_no_verdict_is_inconsistent():
    rows = [verdict._replace(points=None) for verdict in judged(*[(1.0,)] * 100)]
    found = judged_gate(rows, "new", "old", 0.05)
    assert (found.verdict, found.details["win_share"], found.details["inconsistent"]) == (
        Verdict.INCONCLUSIVE, 0.5, 1.0
    )  # fmt: skip
    assert found.reasons[-1] == "200 of the judge's 200 replies are no verdict."


def test_a_verdict_survives_json_and_damage_is_told():
    one = judged((1.0,))[0]
    plain = json.loads(json.dumps(one.to_plain()))
    assert from_plain(plain, one.item, one.cluster, one.judge) == one
    for damage in ({**plain, "points": 2}, {**plain, "raw": None}, {}, None):
        with pytest.raises(CompareError, match="Item item 0: a stored verdict of the judge judge is damaged"):
            from_plain(damage, one.item, one.cluster, one.judge)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            judged((1.0,))[:1],
            "Item item 0: each pair needs one verdict in either order, and there are 1 with",
        ),
        (judged((1.0,)) * 2, "there are 4 with new first"),
        ([judged((1.0,))[0], judged((1.0,))[1]._replace(first_sha256="x")], "the two orders show different answers"),
        ([], "There are no verdicts on pairs of new and old"),
    ],
)
def test_incomplete_pairs_are_refused(rows, message):
    with pytest.raises(CompareError, match=message):
        judged_gate(rows, "new", "old", 0.05)
