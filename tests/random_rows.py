"""Answers to generate behind random prompts."""

import random

from pytest_slmsec.engines.decoding.greedy import Row


def _never(tokens):
    return False


def rows(n, shared=0, stops=_never, limit=24):
    draw = random.Random(5)
    prefix = [draw.randrange(3, 97) for _ in range(shared)]
    return [
        Row([*prefix, *(draw.randrange(3, 97) for _ in range(draw.randrange(1, 40)))], draw.randrange(1, limit), stops,
            shared=shared)
        for _ in range(n)
    ]  # fmt: skip
