"""What is fed where, when choices are packed."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.packed.layout import LONE_STEP_TOKENS, needed_tokens, pack, segment, tile_tokens
from pytest_slmsec.engines.prompting.encoded import Encoded

TOKENS = st.integers(0, 5)
CHOICES = st.lists(st.lists(TOKENS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=5).map(tuple)
PROMPTS = st.lists(TOKENS, min_size=1, max_size=8).map(tuple)


def test_a_question_by_letter_feeds_its_prompt_and_nothing_else():
    laid = segment(Encoded((7, 8, 9), ((1,), (2,), (3,), (4,))))
    assert laid.tokens == (7, 8, 9)
    assert laid.reads == (((2, 1),), ((2, 2),), ((2, 3),), ((2, 4),))


def test_choices_that_begin_alike_share_a_branch_and_last_tokens_are_not_fed():
    laid = segment(Encoded((7, 8), ((1, 2, 3), (1, 2, 4), (1, 5))))
    assert laid.tokens == (7, 8, 1, 2)  # 1 behind the prompt, 2 behind 1; 3, 4 and 5 are only read
    assert laid.parents == (1, 2)
    assert laid.positions() == [0, 1, 2, 3]
    assert laid.reads == (((1, 1), (2, 2), (3, 3)), ((1, 1), (2, 2), (3, 4)), ((1, 1), (2, 5)))


def test_siblings_stand_at_the_same_position():
    laid = segment(Encoded((7,), ((1, 9), (2, 9))))
    assert laid.tokens == (7, 1, 2)
    assert laid.positions() == [0, 1, 1]


def test_only_counted_tokens_are_read():
    assert segment(Encoded((7,), ((1, 2, 3),), scored=(1,))).reads == (((2, 3),),)


def test_the_shared_prefix_is_left_out_but_counts_for_positions():
    laid = segment(Encoded((5, 6, 7, 8), ((1,),), shared=3))
    assert (laid.shared, laid.tokens, laid.positions()) == ((5, 6, 7), (8,), [3])


def test_a_prompt_that_is_all_prefix_keeps_one_token_of_its_own():
    assert segment(Encoded((5, 6), ((1,),), shared=2)).tokens == (6,)


@given(PROMPTS, CHOICES)
def test_every_token_of_every_choice_is_read_behind_exactly_what_precedes_it(prompt, choices):
    laid = segment(Encoded(prompt, choices))

    def text_behind(at):
        return prompt[: at + 1] if at < laid.own else (*text_behind(laid.parents[at - laid.own]), laid.tokens[at])

    for choice, reads in zip(choices, laid.reads, strict=True):
        assert [token for _, token in reads] == list(choice)
        assert [text_behind(at) for at, _ in reads] == [prompt + choice[:n] for n in range(len(choice))]
    assert len(set(map(text_behind, range(len(laid.tokens))))) == len(laid.tokens)  # nothing is fed twice


@given(st.lists(st.integers(1, 700), max_size=60), st.sampled_from([128, 512]))
def test_every_segment_stands_in_one_tile_and_no_tile_overflows(lengths, tile):
    tiles = pack(lengths, tile)
    assert sorted(index for members in tiles for index in members) == list(range(len(lengths)))
    for members in tiles:
        total = sum(lengths[index] for index in members)
        assert total <= tile or len(members) == 1
        assert tile_tokens(total, tile) >= total


@given(st.lists(st.integers(1, 120), min_size=200, max_size=400))
def test_many_questions_fill_their_tiles(lengths):
    fed = sum(tile_tokens(sum(lengths[i] for i in members), 512) for members in pack(lengths, 512))
    assert fed < sum(lengths) + 512 + 0.01 * sum(lengths)  # the last tile, and hardly a gap before it


@given(st.lists(st.integers(1, 120), min_size=10, max_size=200))
def test_a_batch_of_whole_tiles_keeps_its_tiles_when_it_is_packed_again(lengths):
    tiles = pack(lengths, 512)
    batch = [index for members in tiles[:3] for index in members]
    assert len(pack([lengths[index] for index in batch], 512)) <= len(tiles[:3])


@given(st.integers(1, 5000))
def test_the_tile_of_a_question_depends_on_nothing_else(length):
    alone = tile_tokens(length, 512)
    assert alone == 512 if length <= 512 else alone - length < LONE_STEP_TOKENS


def test_a_prefix_is_needed_once():
    asked = [Encoded((1, 2, 3, n), ((5,), (6,)), shared=3) for n in range(4)]
    assert needed_tokens([segment(one) for one in asked]) == 3 + 4
