"""Steps that are recorded and replayed write what steps do that run anew.

A trace of torch's operators stands for a CUDA graph: like one it knows no Python, has every number frozen in it and
works on the very tensors that it was recorded with.
"""

import pytest
import torch
from architectures import PACKABLE, made
from random_rows import rows
from torch.fx.experimental.proxy_tensor import make_fx

from pytest_slmsec.engines.packed.generator import ContinuousBatchGenerator
from pytest_slmsec.engines.packed.model import PackedModel

ENDS = (2,)
NOTHING = torch.empty(0)


class Traces:
    """Records steps as traces, and counts them."""

    refused = None

    def __init__(self, after=0):
        self.after = after
        self.recorded = self.replayed = 0

    def __call__(self, step):
        self.recorded += 1
        trace = make_fx(lambda _: step())(NOTHING)

        def replay():
            self.replayed += 1
            return trace(NOTHING)

        return replay


@pytest.fixture
def traces():
    return Traces()


@pytest.mark.parametrize("shared", [0, 17])
@pytest.mark.parametrize("name", PACKABLE)
def test_recorded_steps_write_the_same_texts(name, shared, traces):
    model = PackedModel(made(PACKABLE[name]), 128)
    asked, again = rows(5, shared, limit=20), rows(5, shared, limit=20)
    ContinuousBatchGenerator(model, slots=2).generate(asked, ENDS)
    ContinuousBatchGenerator(model, slots=2, recorder=traces).generate(again, ENDS)
    assert [row.tokens for row in again] == [row.tokens for row in asked]
    assert traces.recorded < traces.replayed


def test_a_shape_is_recorded_once_until_the_cache_moves(traces):
    model = PackedModel(made(PACKABLE["Llama"]), 128)
    asked = rows(6, limit=2)
    for row in asked:
        row.prompt, row.limit = row.prompt[:3], 100
    ContinuousBatchGenerator(model, slots=6, recorder=traces).generate(asked, ENDS)
    longest = max(len(row.tokens) for row in asked)
    shrunk = len({len(row.tokens) for row in asked})
    assert traces.replayed == longest - 1
    assert traces.recorded <= shrunk + 2  # each number of slots, and the cache that grew from 64 tokens to 128


def test_a_shape_is_recorded_when_it_has_proved_to_come_often():
    model = PackedModel(made(PACKABLE["Llama"]), 128)
    asked, again = rows(6, 17), rows(6, 17)
    traces = Traces(after=8)
    ContinuousBatchGenerator(model, slots=6).generate(asked, ENDS)
    ContinuousBatchGenerator(model, slots=6, recorder=traces).generate(again, ENDS)
    assert [row.tokens for row in again] == [row.tokens for row in asked]
    assert 0 < traces.replayed < max(len(row.tokens) for row in asked) - 8


class Refusing(Traces):
    """A capture that fails: it has run the step, and what ends it fails as well."""

    def __call__(self, step):
        self.recorded += 1
        step()
        try:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        except RuntimeError:
            raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904


def test_what_cannot_be_recorded_runs_anew_and_is_tried_once():
    model = PackedModel(made(PACKABLE["Llama"]), 128)
    asked, again = rows(9, 17), rows(9, 17)
    ContinuousBatchGenerator(model, slots=4).generate(asked, ENDS)
    recorder = Refusing()
    spent = ContinuousBatchGenerator(model, slots=4, recorder=recorder).generate(again, ENDS)
    ContinuousBatchGenerator(model, slots=4, recorder=recorder).generate(rows(9, 17), ENDS)
    assert recorder.recorded == 1
    assert spent.unrecorded == "operation not permitted when stream is capturing"
    assert [row.tokens for row in again] == [row.tokens for row in asked]
