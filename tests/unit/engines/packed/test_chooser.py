"""Packed scoring gives what the model itself gives, whatever else is in the tile."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from architectures import GROUPED, PACKABLE, made

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.packed.attention import NotPackable
from pytest_slmsec.engines.packed.check import checked_model
from pytest_slmsec.engines.packed.chooser import PackedChooser
from pytest_slmsec.engines.packed.linears import pack_linears
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.path import PackedPath
from pytest_slmsec.engines.prompting.encoded import Encoded
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.engines.prompting.sharing import SharedPrefixes
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find


def questions(n, shared=20, longest=60):
    draw = random.Random(3)

    def some(count):
        return tuple(draw.randrange(97) for _ in range(count))

    prefix = some(shared)
    asked = []
    for _ in range(n):
        prompt = prefix + some(draw.randrange(1, longest))
        choices = tuple((5,) * (k % 2) + some(draw.randrange(1, 4)) for k in range(4))
        asked.append(Encoded(prompt, choices, len(prompt), shared=shared))
    return asked


@torch.inference_mode()
def plain(model, one):
    values = []
    for choice in one.choices:
        logprobs = model(torch.tensor([one.prompt + choice])).logits[0].float().log_softmax(-1)
        values.append(sum(logprobs[len(one.prompt) - 1 + k, token].item() for k, token in enumerate(choice)))
    return values


@pytest.mark.parametrize("name", PACKABLE)
def test_packed_equals_one_plain_forward_a_choice(name):
    model = made(PACKABLE[name])
    packed, deviation = checked_model(model, 128)
    chooser = PackedChooser(packed)
    assert deviation < 1e-3
    asked = questions(9, longest=30)
    for one, got in zip(asked, chooser.choose(asked), strict=True):
        assert got.logprobs == pytest.approx(plain(model, one), abs=1e-3)


@pytest.mark.parametrize("laid_out", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_order_selection_and_budget_change_no_bit(dtype, laid_out):
    model = made(PACKABLE["Llama"], dtype)
    if laid_out:
        pack_linears(model)
    packed, _ = checked_model(model, 128)
    chooser = PackedChooser(packed)
    asked = questions(30)
    whole = chooser.choose(asked)
    order = random.Random(1).sample(range(30), 30)
    assert chooser.choose([asked[index] for index in order]) == [whole[index] for index in order]
    assert chooser.choose(asked[4:7]) == whole[4:7]
    for batch in chooser.plan(asked, budget_tokens=256):
        assert chooser.choose([asked[index] for index in batch]) == [whole[index] for index in batch]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_embedded_model_scores_a_question_alone_as_it_does_in_any_company(dtype, load):
    engine = load(Path(parse_model("tinysec", shipped_registry(), ()).location), dtype)
    task = find_task("cti-mcq-choice")
    dataset = find(task, "fixture", True)
    requests = [replace(task.request(item, Mode.STRICT), shared_chars=dataset.shared_chars) for item in dataset.items]
    requests = requests[:70]
    whole = engine.run(requests).outputs
    order = random.Random(1).sample(range(len(requests)), len(requests))
    assert engine.run([requests[index] for index in order]).outputs == tuple(whole[index] for index in order)
    assert engine.run(requests[3:40]).outputs == whole[3:40]
    assert engine.run(requests[7:8]).outputs == whole[7:8]


def test_greedy_says_whether_the_model_would_write_the_choice():
    model = made(PACKABLE["Llama"])
    (one,) = questions(1)
    with torch.inference_mode():
        best = model(torch.tensor([one.prompt])).logits[0, -1].argmax().item()
    asked = Encoded(one.prompt, ((best,), ((best + 1) % 97,)), len(one.prompt))
    assert PackedChooser(PackedModel(model, 128)).choose([asked])[0].greedy == (True, False)


def test_the_suites_own_questions_feed_hardly_a_token_twice():
    """Of 320 questions by letter, at most two tokens in a hundred are padding or repeated."""
    task = find_task("cti-mcq-choice")
    dataset = find(task, "fixture", True)
    tinysec = parse_model("tinysec", shipped_registry(), ())
    prompts = Prompts(load_tokenizer(Path(tinysec.location)))
    marks = SharedPrefixes(prompts)
    requests = [replace(task.request(item, Mode.STRICT), shared_chars=dataset.shared_chars) for item in dataset.items]
    asked = [marks.mark(*pair) for pair in zip(requests, prompts.encode(requests), strict=True)]
    packed = PackedModel(made(transformers.LlamaConfig(**GROUPED | {"vocab_size": 1536})), 512)
    PackedChooser(packed).choose(asked)
    assert packed.counts.fed / packed.counts.needed <= 1.02


def test_tokens_fed_stay_within_two_percent_of_those_needed():
    packed = PackedModel(made(PACKABLE["Llama"]), 512)
    asked = questions(400, shared=64, longest=200)
    PackedChooser(packed).choose(asked)
    assert packed.counts.fed / packed.counts.needed <= 1.02


def test_a_question_longer_than_a_tile_is_scored_like_any_other():
    model = made(PACKABLE["Llama"])
    asked = questions(3, longest=300)
    long = max(asked, key=lambda one: len(one.prompt))
    assert len(long.prompt) > 64
    got = PackedChooser(PackedModel(model, 64)).choose(asked)[asked.index(long)]
    assert got.logprobs == pytest.approx(plain(model, long), abs=1e-3)


def test_the_model_is_left_as_it_was():
    model = made(PACKABLE["Llama"])
    before = model.config._attn_implementation
    PackedChooser(PackedModel(model, 128)).choose(questions(2))
    assert model.config._attn_implementation == before


def test_the_smallest_sliding_window_is_the_longest_packed_text():
    packed, _ = checked_model(made(transformers.MistralConfig(**GROUPED, sliding_window=48)), 128)
    assert packed.longest == 48


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 1e4,
         "original_max_position_embeddings": 64},
        {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4, "original_max_position_embeddings": 64},
    ],
    ids=lambda rope: rope["rope_type"],
)  # fmt: skip
def test_texts_that_would_move_the_positions_of_others_are_not_packed(rope):
    config = transformers.LlamaConfig(**GROUPED | {"max_position_embeddings": 64}, rope_parameters=rope)
    model, _ = checked_model(made(config), 256)
    path = PackedPath(model, 0.0, 8192, 8192)
    short, long = (Encoded((5,) * n, ((7,),), n) for n in (40, 80))
    assert path.accepts(short)
    assert not path.accepts(long)
    assert not path.accepts(short, new_tokens=40)


def test_a_batch_of_answers_has_two_for_each_slot_longest_first():
    model, _ = checked_model(made(PACKABLE["Llama"]), 256)
    path = PackedPath(model, 0.0, 8192, running_tokens=100)
    assert path.plan_answers([10, 50, 40, 30, 20], most_rows=64) == [[1, 2, 3, 4], [0]]  # 50 and 40: two at a time
    assert path.plan_answers([10, 50, 40, 30, 20], most_rows=3) == [[1, 2, 3], [4, 0]]
    assert path.plan_answers([500], most_rows=64) == [[0]]


def test_one_long_answer_leaves_room_for_as_many_short_ones_as_fit_beside_it():
    model, _ = checked_model(made(PACKABLE["Llama"]), 256)
    path = PackedPath(model, 0.0, 8192, running_tokens=100)
    tokens = [60, *[10] * 9]
    assert path.plan_answers(tokens, most_rows=64) == [[*range(10)]]  # five at a time: 60 and four of 10
    model.device = torch.device("cuda")  # there, all slots take as much memory as the longest
    assert path.plan_answers(tokens, most_rows=64) == [[0, 1], [*range(2, 10)]]


def test_the_cache_has_at_most_three_places_for_each_token_that_may_run():
    model, _ = checked_model(made(PACKABLE["Llama"]), 256)
    path = PackedPath(model, 0.0, 8192, running_tokens=100)
    assert len(path.plan_answers([90, *[1] * 19], most_rows=64)[0]) == 2 * 3  # 3 slots of 90 places


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (transformers.Gemma2Config(**GROUPED, head_dim=8), "softcap"),
        (transformers.BloomConfig(vocab_size=97, hidden_size=32, n_layer=2, n_head=4), "."),
        (transformers.MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=2, state_size=4), "."),
    ],
)
def test_a_model_that_cannot_be_packed_says_why(config, why):
    with pytest.raises(NotPackable, match=why):
        checked_model(made(config), 128)
