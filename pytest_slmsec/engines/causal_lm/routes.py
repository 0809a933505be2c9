"""Which path feeds which text: packed where the model and the text's length allow it, else padded or alone.

Rotary embeddings of the kinds in `decoding.rotary` compute other angles above a limit, for the whole batch that holds a
longer text. So shorter and longer texts never share a batch, and a text that crosses the limit while it is generated is
fed again from its beginning, as transformers does it (5.23, ``models/phi3/modeling_phi3.py``,
`prepare_inputs_for_generation`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pytest_slmsec.engines.decoding.check import Found, find_path
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.greedy import GenerationTiming, Row
from pytest_slmsec.engines.decoding.network import Network, text_config
from pytest_slmsec.engines.decoding.paths import AlonePath, DecodingPath
from pytest_slmsec.engines.decoding.rotary import DYNAMIC, length_dependent
from pytest_slmsec.engines.packed.path import PackedPath
from pytest_slmsec.engines.prompting.encoded import Encoded


class Routes:
    """Scores and generates with the fastest path that is right for each text.

    Args:
        network: feeds the model. name: of the model, for messages.
        packed: its packed path, or the reason why it has none.

    Raises:
        ModelError: the model has no packed path, and cannot be asked at all (`decoding.check.find_path`).
    """

    def __init__(self, network: Network, name: str, packed: PackedPath | str) -> None:
        self._network, self._name = network, name
        self.packed = None if isinstance(packed, str) else packed
        limits = length_dependent(text_config(network.model))
        self._limit = min(limits.values(), default=None)
        self._uncached = AlonePath(network, cached=False)
        self._dynamic = DYNAMIC in limits
        self._found: Found | None = None if self.packed is not None else find_path(network, name)

    @property
    def unpacked(self) -> Found:
        """The path of texts that are not packed. Where others are packed, it is looked for when the first one comes."""
        if self._found is None:
            self._found = find_path(self._network, self._name)
        return self._found

    def packs(self, encoded: Encoded, new_tokens: int = 0) -> bool:
        """Whether a question, or a prompt and at most so many new tokens, takes the packed path."""
        return self.packed is not None and self.packed.accepts(encoded, new_tokens)

    def choose(self, asked: Sequence[Encoded], prompts_done: Callable[[], None]) -> list[ChoiceScores]:
        """Score the choices of questions that have a prompt each, none of which is packed.

        Args:
            prompts_done: called whenever all prompts of a batch have been fed.
        """
        found: dict[int, ChoiceScores] = {}
        for path, members in self._choice_groups(asked):
            found.update(zip(members, path.choose([asked[at] for at in members], prompts_done), strict=True))
        across = [at for at in range(len(asked)) if at not in found]
        for at in across:
            found[at] = self._choose_across(asked[at])
        if across:
            prompts_done()
        return [found[at] for at in range(len(asked))]

    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """Generate rows, none of which is packed, in place."""
        if self._limit is None:
            return self.unpacked.path.generate(rows, ends)
        timing = GenerationTiming()
        below = [row for row in rows if len(row.prompt) <= self._limit]
        for row in below:
            row.pause_at = self._limit + 1 - len(row.prompt)  # the last token is not fed yet
        if below:
            timing.add(self.unpacked.path.generate(below, ends))
        for row in below:
            row.pause_at = None
        above = [row for row in rows if row.running]
        if above:
            timing.add(self._above.generate(above, ends))
        return timing

    @property
    def _above(self) -> DecodingPath:
        """The path of texts above the limit. Dynamic angles change with each token: a cache would hold older ones."""
        return self._uncached if self._dynamic else self.unpacked.path

    def _choice_groups(self, asked: Sequence[Encoded]) -> list[tuple[DecodingPath, list[int]]]:
        """Questions that may share batches: all choices below the limit, or the whole prompt above it."""
        if self._limit is None:
            return [(self.unpacked.path, list(range(len(asked))))]
        below = [at for at, one in enumerate(asked) if one.longest <= self._limit]
        above = [at for at, one in enumerate(asked) if len(one.prompt) > self._limit]
        groups: list[tuple[DecodingPath, list[int]]] = [(self.unpacked.path, below), (self._above, above)]
        return [(path, members) for path, members in groups if members]

    def _choose_across(self, one: Encoded) -> ChoiceScores:
        """A question with choices on both sides of the limit: each choice is a text of its own."""
        parts = [
            self._uncached.choose([Encoded(one.prompt, (choice,), one.prompt_tokens, scored=(count,))])[0]
            for choice, count in zip(one.choices, one.counted, strict=True)
        ]
        return ChoiceScores(
            tuple(part.logprobs[0] for part in parts),
            tuple(part.greedy[0] for part in parts),
        )
