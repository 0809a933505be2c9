"""The test at load whether a model can be packed: packed against plain log-probabilities, alone and with others."""

from __future__ import annotations

import random
from typing import Any

import torch

from pytest_slmsec.engines.decoding.check import TOLERANCE_NATS
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.network import embedded_tokens
from pytest_slmsec.engines.packed.attention import NotPackable
from pytest_slmsec.engines.packed.chooser import PackedChooser
from pytest_slmsec.engines.packed.layout import LONE_STEP_TOKENS
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.prompting.encoded import Encoded

SHARED, OWN, BRANCHES = 12, 9, (1, 2, 3, 3)
SEED = 0


def checked_model(model: Any, tile_tokens: int | None = None) -> tuple[PackedModel, float]:
    """The model ready for packing, and the largest difference to its plain log-probabilities, in nats.

    Args:
        tile_tokens: tokens of a tile, or None for the device's default.

    Raises:
        NotPackable: the difference is too large, or the attention of the model cannot be replaced; says why.
    """
    try:
        made = PackedModel(model, LONE_STEP_TOKENS)  # small tiles need little memory, for large models
        chooser = PackedChooser(made)
        first, second = _probe(model, SEED), _probe(model, SEED + 1)
        packed = chooser.choose([first, second])
        alone = chooser.choose([first])
    except NotPackable:
        raise
    except Exception as error:  # an architecture may fail in any way when its attention is replaced
        raise NotPackable(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if alone != packed[:1]:
        raise NotPackable("a question's log-probabilities depend on what else is in its tile")
    deviation = max(_deviation(model, one, got) for one, got in zip((first, second), packed, strict=True))
    dtype = next(model.parameters()).dtype
    if not deviation <= TOLERANCE_NATS.get(dtype, TOLERANCE_NATS[torch.bfloat16]):
        raise NotPackable(f"packed and plain log-probabilities differ by {deviation:.3g} nats in {dtype}")
    checked = PackedModel(model, tile_tokens, made.head)
    checked.longest = made.longest
    return checked, deviation


def _probe(model: Any, seed: int) -> Encoded:
    """A question of random tokens after a shared prefix, with choices of 1 to 3 tokens, two of which begin alike."""
    draw = random.Random(seed)
    vocabulary = embedded_tokens(model)
    shared = [random.Random(SEED).randrange(vocabulary) for _ in range(SHARED)]
    own = [draw.randrange(vocabulary) for _ in range(OWN + seed)]
    choices = [[draw.randrange(vocabulary) for _ in range(length)] for length in BRANCHES]
    choices[-1][:2] = choices[-2][:2]
    return Encoded((*shared, *own), tuple(map(tuple, choices)), SHARED + len(own), shared=SHARED)


@torch.inference_mode()
def _deviation(model: Any, one: Encoded, got: ChoiceScores) -> float:
    """Largest difference to plain forward passes, one for each choice, without a cache; in nats."""
    device = next(model.parameters()).device
    differences: list[float] = []
    for choice, packed in zip(one.choices, got.logprobs, strict=True):
        ids = torch.tensor([[*one.prompt, *choice]], device=device)
        logprobs = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
        at = len(one.prompt) - 1
        plain = sum(logprobs[at + step, token].item() for step, token in enumerate(choice))
        differences.append(abs(plain - packed))
    return max(differences)
