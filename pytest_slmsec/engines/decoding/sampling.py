"""Draws tokens from the probabilities that logits give at a temperature."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Sampler:
    """The draws of one answer, from a generator of its own, so that they do not depend on other answers.

    A token is drawn by inversion: one uniform number is compared with the cumulated probabilities, in the order of the
    token ids (Devroye 1986, Non-Uniform Random Variate Generation, chapter III.2). Computed in float64 on the CPU, so
    that all devices draw the same token from the same logits.

    Args:
        temperature: what logits are divided by, above 0. seed: of the generator (PCG64).
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._random = np.random.Generator(np.random.PCG64(seed))

    def draw(self, logits: Tensor) -> int:
        """A token id. `logits`: of one position, (vocabulary,), at least one of them finite and none NaN or +inf."""
        scaled = logits.to(device="cpu", dtype=torch.float64) / self._temperature
        cumulated = torch.softmax(scaled, -1).cumsum(-1)
        at = self._random.random() * float(cumulated[-1])
        return int(torch.searchsorted(cumulated, at, right=True))
