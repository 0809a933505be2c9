"""What counts as broken, and what only as worse."""

import math

import pytest
import torch

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.items import Generate, Message, Output
from pytest_slmsec.engines.common.base import Batch, Timing
from pytest_slmsec.quantize.verify import Behaviour, answers, compare, garbled

VOCABULARY, POSITIONS = 64, 500
TEXTS = tuple(f"answer {n}: isolate host {n * 7}" for n in range(6))


def logits(seed, scale):
    return torch.randn(POSITIONS, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * scale


def behaviour(values, answers=TEXTS):
    return Behaviour(values.log_softmax(-1), answers)


BASE = logits(0, 4.0)


class Shortest:
    """Batches of two, the shortest prompts first; an answer repeats its prompt."""

    def plan(self, requests):
        order = sorted(range(len(requests)), key=lambda at: len(requests[at].messages[0].content))
        return [order[start : start + 2] for start in range(0, len(order), 2)]

    def run(self, requests):
        assert len(requests) <= 2
        outputs = tuple(Output(text=request.messages[0].content) for request in requests)
        return Batch(outputs, Timing(1.0, len(outputs)))


def test_answers_are_asked_in_the_batches_of_the_engine_and_stay_in_order():
    texts = ("a long prompt", "a", "middle", "longer", "short")
    assert answers(Shortest(), [Generate(text, (Message("user", text),), 8) for text in texts]) == texts


def test_a_model_is_its_own_copy():
    figures = compare(behaviour(BASE), behaviour(BASE))
    assert figures.mean_kl_nats == pytest.approx(0, abs=1e-6)
    assert figures.same_top_rate == 1.0
    assert figures.warnings == ()


def test_a_uniform_guess_has_the_divergence_that_is_named_for_it():
    figures = compare(behaviour(BASE), behaviour(0.999 * BASE))
    entropy = torch.distributions.Categorical(logits=BASE).entropy().mean().item()
    assert figures.uniform_kl_nats == pytest.approx(math.log(VOCABULARY) - entropy, abs=1e-4)


def test_much_worse_is_accepted_with_its_figures():
    figures = compare(behaviour(BASE), behaviour(0.5 * BASE + logits(1, 2.0)))
    assert figures.mean_kl_nats > 0.3
    assert figures.same_top_rate < 0.9


def test_random_weights_are_refused():
    with pytest.raises(QuantizeError, match=r"over 500 next tokens .*a uniform guess: .*most frequent token"):
        compare(behaviour(BASE), behaviour(logits(2, 0.5)))


def test_logits_that_are_not_finite_are_refused():
    values = BASE.clone()
    values[3, 5] = float("nan")
    with pytest.raises(QuantizeError, match="not finite"):
        compare(behaviour(BASE), behaviour(values))


@pytest.mark.parametrize(
    ("answers", "sign"),
    [
        (("host \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",) * 3, "replacement characters (broken UTF-8)"),
        (("the host " * 60, "fine"), "endless repetition"),
        (("A",) * 6, "the same answer to every prompt"),
        (("", " "), "no answer at all"),
    ],
)
def test_signs_of_damage_are_named_unless_the_base_shows_them_too(answers, sign):
    assert garbled(TEXTS, answers) == (sign,)
    assert garbled(answers, answers) == ()
