"""Where the chance of a perturbation comes from: the item, the kind and the number alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from pytest_slmsec.core.identity import sha256_json

Form = TypeVar("Form")


class Seed(NamedTuple):
    """One variant: the id of its item, the kind of perturbation, and its number from 1.

    The same seed gives the same bytes in every process and for every model.
    """

    item: str
    kind: str
    n: int

    def random(self) -> random.Random:
        """A generator seeded with sha256 of item id, kind and number."""
        return random.Random(int(sha256_json([self.item, self.kind, self.n]), 16))

    def form(self, forms: Sequence[Form]) -> Form | None:
        """The form of this number, where a kind has but a few: the item says which comes first; None: there is none."""
        if self.n > len(forms):
            return None
        first = int(sha256_json([self.item, self.kind]), 16)
        return forms[(first + self.n - 1) % len(forms)]
