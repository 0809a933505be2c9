"""Answers generated in slots are those of the model itself, whatever runs beside them."""

import random

import pytest
import torch
from architectures import PACKABLE, made
from random_rows import rows

from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.packed.generator import ContinuousBatchGenerator
from pytest_slmsec.engines.packed.model import PackedModel

ENDS = (2,)


@torch.inference_mode()
def plain(model, row):
    tokens = []
    while len(tokens) < row.limit:
        tokens.append(model(torch.tensor([[*row.prompt, *tokens]])).logits[0, -1].argmax().item())
        if tokens[-1] in ENDS or row.stopped(tokens):
            break
    return tokens


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize("shared", [0, 17])
def test_slots_write_what_the_model_writes_alone(name, shared):
    model = made(PACKABLE[name])
    asked = rows(11, shared, limit=10)
    ContinuousBatchGenerator(PackedModel(model, 128), slots=3).generate(asked, ENDS)
    assert [row.tokens for row in asked] == [plain(model, row) for row in asked]


@pytest.mark.parametrize("slots", [1, 4, 32])
def test_the_number_of_slots_and_the_order_change_no_text(slots):
    model = PackedModel(made(PACKABLE["Llama"]), 128)
    asked, again = rows(20, 9), rows(20, 9)
    ContinuousBatchGenerator(model, slots=7).generate(asked, ENDS)
    order = random.Random(1).sample(range(20), 20)
    ContinuousBatchGenerator(model, slots=slots).generate([again[index] for index in order], ENDS)
    assert [row.tokens for row in again] == [row.tokens for row in asked]


def test_short_answers_beside_long_ones_stay_the_same():
    """Long and short texts stand in different parts of the slots, which attend to different numbers of tokens."""
    model, draw = made(PACKABLE["Llama"]), random.Random(2)
    asked = [Row([draw.randrange(5, 90) for _ in range(n)], 6, lambda tokens: False) for n in (150, *[20] * 10, 90)]
    ContinuousBatchGenerator(PackedModel(model, 512)).generate(asked, ())
    assert [row.tokens for row in asked] == [plain(model, row)[:6] for row in asked]


def test_every_row_stops_by_its_own_rule():
    model = made(PACKABLE["Llama"])
    free = rows(6)
    ContinuousBatchGenerator(PackedModel(model, 128)).generate(free, ENDS)
    third = {tuple(row.prompt): row.tokens[:3] for row in free}
    stopped = rows(6, stops=lambda tokens: tokens[:3] in third.values())
    ContinuousBatchGenerator(PackedModel(model, 128)).generate(stopped, ENDS)
    for one, other in zip(stopped, free, strict=True):
        assert one.tokens == other.tokens[:3]
        assert one.ended or len(one.tokens) == one.limit or one.tokens[-1] in ENDS


def test_a_finished_slot_is_refilled_at_once():
    """One row of 27 tokens and nine of 3 in two slots: nine follow one another while the long one runs."""
    model = PackedModel(made(PACKABLE["Llama"]), 512)
    asked = [Row([5 + k], 27 if k == 0 else 3, lambda tokens: False) for k in range(10)]
    before = model.counts.fed
    ContinuousBatchGenerator(model, slots=2, drafted=0).generate(asked, ())
    assert sum(len(row.tokens) for row in asked) == 54
    # A tile of prompts gives every first token; 18 steps feed both slots; then the long row has 8 steps to itself.
    assert model.counts.fed - before == 512 + 18 * 2 + 8


def test_a_prompt_longer_than_a_tile_and_one_that_fills_it():
    model = made(PACKABLE["Llama"])
    draw = random.Random(2)
    asked = [Row([draw.randrange(3, 97) for _ in range(n)], 4, lambda tokens: False) for n in (150, 128, 1)]
    ContinuousBatchGenerator(PackedModel(model, 128), slots=2).generate(asked, ENDS)
    assert [row.tokens for row in asked] == [plain(model, row) for row in asked]


def test_logits_that_are_not_finite_end_their_row_only():
    model = made(PACKABLE["Llama"])
    with torch.no_grad():
        model.model.embed_tokens.weight[50] = float("nan")
    asked = [
        Row([50], 4, lambda tokens: False),
        Row([7, 8], 4, lambda tokens: False),
        Row([9], 4, lambda tokens: False),
    ]
    ContinuousBatchGenerator(PackedModel(model, 128), slots=1).generate(asked, (50,))
    assert [row.finite for row in asked] == [False, True, True]
    assert asked[2].tokens == plain(model, asked[2])
