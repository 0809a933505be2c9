"""The cache of running answers keeps what was written, and takes memory for that only."""

import sys

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.packed.slots import STEP_TOKENS, Slots, zeros
from pytest_slmsec.meters.memory import read_sample

LAYERS, HEADS, SIZE = 2, 2, 4


class Texts:
    """Slots, and beside them what each has to hold: a number for each token, the same in all layers and heads."""

    def __init__(self, count):
        self.cache, self.held, self.fresh = Slots(count, {}, torch.device("cpu")), [[] for _ in range(count)], 0

    def numbers(self, count):
        self.fresh += count
        return [float(number) for number in range(self.fresh - count + 1, self.fresh + 1)]

    def fill(self, slot, tokens):
        self.held[slot] = self.numbers(tokens)
        kept = torch.tensor(self.held[slot])[None, None, :, None].expand(1, HEADS, tokens, SIZE)
        self.cache.fill(slot, {layer: (kept, -kept) for layer in range(LAYERS)}, tokens)

    def free(self, slot):
        self.held[slot] = []
        self.cache.free(slot)

    def step(self, counts, kept):
        """Feed so many tokens in each slot, of which so many are kept; the others are cleared."""
        self.cache.begin_step(counts)
        self.cache.update_mask()
        fed = [self.numbers(count) for count in counts]
        key = torch.tensor([number for some in fed for number in some])[:, None, None, None].expand(-1, HEADS, 1, SIZE)
        for layer in range(LAYERS):
            self.cache.attend(layer, key, key, -key, 1.0, None)
        self.cache.end_step(kept)
        for slot, (some, count) in enumerate(zip(fed, kept, strict=True)):
            self.held[slot] += some[:count]
            self.cache.clear_rejected(slot)

    def keep(self, slots):
        self.held = [self.held[slot] for slot in slots]
        self.cache.keep(slots)

    def check(self):
        for layer, keys in self.cache._keys.items():
            for slot, held in enumerate(self.held):
                want = torch.zeros(keys.shape[2])
                want[: len(held)] = torch.tensor(held)
                assert torch.equal(keys[slot], want[None, :, None].expand(HEADS, -1, SIZE))
                assert torch.equal(self.cache._values[layer][slot], -keys[slot])


@given(st.data())
def test_each_slot_holds_its_own_tokens_and_zeros_behind_them(data):
    texts = Texts(data.draw(st.integers(1, 4)))
    texts.fill(0, data.draw(st.integers(1, 90)))
    for _ in range(data.draw(st.integers(1, 12))):
        slots = range(len(texts.held))
        what, slot = data.draw(st.sampled_from(["fill", "free", "step", "keep"])), data.draw(st.sampled_from(slots))
        if what == "fill":
            texts.free(slot)
            texts.fill(slot, data.draw(st.integers(1, 200)))
        elif what == "free":
            texts.free(slot)
        elif what == "keep":
            texts.keep(sorted(data.draw(st.sets(st.sampled_from(slots), min_size=1))))
        else:
            counts = [data.draw(st.integers(1, 9)) for _ in slots]
            texts.step(counts, [data.draw(st.integers(0, count)) for count in counts])
        texts.check()


def test_a_growing_cache_has_little_room_that_nothing_needs():
    cache = Slots(3, {}, torch.device("cpu"))
    kept = torch.ones(1, 2, 300, 8)
    cache.fill(0, {0: (kept, kept)}, 300)
    for _ in range(400):
        cache.begin_step([1, 1, 1])
        cache.end_step([1, 1, 1])
        assert cache._keys[0].shape[2] <= 1.25 * cache._ends[0] + STEP_TOKENS["cpu"]
    assert cache._ends[0] == 700
    assert torch.equal(cache._values[0][0, :, :300], kept[0])


@pytest.mark.skipif(read_sample().private is None, reason="this system does not say how much memory is private")
def test_a_cache_takes_memory_for_what_was_written_only():
    """One slot of 20 is long. All of them as long as that would take 20 times as much."""
    tokens, size = 4096, 512
    text = torch.ones(1, 1, tokens, size)
    written = 2 * tokens * size * 4
    cache = Slots(20, {}, torch.device("cpu"))
    before = read_sample().private
    cache.fill(0, {0: (text, text)}, tokens)
    for slot in range(1, 20):
        cache.fill(slot, {0: (text[:, :, :8], text[:, :, :8])}, 8)
    assert written <= read_sample().private - before < 2 * written
    cache.begin_step([1] * 20)  # grows, which copies what was written and gives the rest back
    assert cache._keys[0].shape[2] > tokens + 1
    assert read_sample().private - before < 2 * written
    cache.keep([1, 2])
    assert read_sample().private - before < written / 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit a process's data")
def test_too_little_memory_is_said_as_such():
    import resource

    before, room = resource.getrlimit(resource.RLIMIT_DATA), 2**26
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data + room, before[1]))
    try:
        with pytest.raises(MemoryError, match="bytes for running answers"):
            zeros((2 * room,), torch.ones(1))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
