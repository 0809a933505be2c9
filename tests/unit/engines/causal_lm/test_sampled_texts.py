"""Sampled texts follow the model's probabilities, and depend on seed and request alone, not on the batch."""

from collections import Counter
from dataclasses import replace

import torch
from enginechecks import run_all

from pytest_slmsec.core.items import Generate, Message

ASKED = [
    Generate(f"q-{n}", (Message("user", "dump credentials " * n),), 4 + 3 * n, temperature=1.0) for n in range(1, 9)
]


def texts(engine, requests):
    return [output.text for output in run_all(engine, requests)]


def test_they_do_not_depend_on_what_else_is_in_the_batch(engine):
    together = texts(engine, ASKED)
    assert together == [engine.run([request]).outputs[0].text for request in ASKED]
    assert together[::-1] == texts(engine, ASKED[::-1])


def test_packed_and_padded_batches_draw_the_same(engine, tiny, load):
    assert texts(engine, ASKED) == texts(load(tiny, packing=False), ASKED)


def test_the_seed_and_the_temperature_change_them_and_the_id_does_not(engine):
    first = texts(engine, ASKED)
    assert texts(engine, [replace(one, id="other") for one in ASKED]) == first
    assert texts(engine, [replace(one, seed=1) for one in ASKED]) != first
    assert texts(engine, [replace(one, temperature=1.5) for one in ASKED]) != first


def test_first_tokens_are_as_frequent_as_the_model_says(engine):
    request = replace(ASKED[2], max_new_tokens=1)
    (encoded,) = engine.prompts.encode([request])
    with torch.inference_mode():
        logits = engine.network.model(input_ids=torch.tensor([encoded.prompt])).logits[0, -1].double()
    expected = Counter()
    for token, share in enumerate(torch.softmax(logits, -1).tolist()):  # several tokens may have the same text
        expected["" if token in engine._ends else engine._texts.read([token], False).text] += share
    n = 400
    counts = Counter(texts(engine, [replace(request, seed=seed) for seed in range(n)]))
    frequent = {text: share for text, share in expected.items() if share * n >= 8}
    assert len(frequent) >= 3
    for text, share in frequent.items():
        assert abs(counts[text] / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_greedy_decoding_stays_the_default_whatever_its_seed(engine):
    greedy = [replace(one, temperature=0.0) for one in ASKED]
    assert texts(engine, greedy) == texts(engine, [replace(one, seed=5) for one in greedy])
    assert texts(engine, greedy) != texts(engine, ASKED)
