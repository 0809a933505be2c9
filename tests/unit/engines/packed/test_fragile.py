"""Choices that hang on numeric noise are counted, and on demand settled in fp32."""

import pytest
import torch

from pytest_slmsec.core.items import Choose, Message
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.packed.fragile import FragileItems, margin_nats

ASKED = [Choose(f"q{n}", (Message("user", f"Line {n}: a failed logon"),), (" A", " B", " C")) for n in range(12)]


def test_the_margin_is_between_the_two_best():
    assert margin_nats(ChoiceScores((-3.0, -1.0, -1.5), (False,) * 3)) == 0.5
    assert margin_nats(ChoiceScores((-3.0,), (False,))) == float("inf")


def test_fragile_choices_get_their_fp32_log_probabilities_and_the_others_keep_theirs(tiny, load):
    exact = load(tiny).run(ASKED).outputs
    plain, settled = load(tiny, "bf16"), load(tiny, "bf16", rescore_fragile=True)
    before = plain.run(ASKED).outputs
    limit = 2 * plain.info.extra["deviation_nats"]
    fragile = [margin_nats(ChoiceScores(output.choice_logprobs, ())) < limit for output in before]
    batch = settled.run(ASKED)
    for is_fragile, rough, fine, found in zip(fragile, before, exact, batch.outputs, strict=True):
        if is_fragile:
            # weights rounded to bf16 are the same model in fp32 arithmetic, so near the fp32 model, not equal to it
            assert found.choice_logprobs != rough.choice_logprobs
            assert found.choice_logprobs == pytest.approx(fine.choice_logprobs, abs=0.5)
        else:
            assert found.choice_logprobs == rough.choice_logprobs
    assert bool(batch.notes) == any(fragile)
    assert settled.info.extra["fragile"] == "rescored in fp32"


def test_the_record_says_why_they_are_only_counted(tiny, load):
    assert "already runs in fp32" in load(tiny, rescore_fragile=True).info.extra["fragile"]
    assert "packed path" in load(tiny, "bf16", rescore_fragile=True, packing=False).info.extra["fragile"]


class QuantLinear(torch.nn.Linear):
    pass


def test_quantised_layers_have_no_fp32_form():
    model = torch.nn.Sequential(QuantLinear(4, 4, dtype=torch.bfloat16))
    assert "quantised" in FragileItems.refusal(model)
