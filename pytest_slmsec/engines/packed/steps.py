"""One token more for every slot; on CUDA a step is recorded once for each shape, as a graph, and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pytest_slmsec.engines.packed.attention import working_on
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.slots import Slots

WARM_UPS = 2
Step = Callable[[], Tensor]
Recorder = Callable[[Step], Step]
"""Makes of a step, which reads and writes fixed tensors only, one that does the same without running any Python."""


class CudaGraphs:
    """Records steps as CUDA graphs, which share their memory: only one of them runs at a time.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        """Warm up on a stream of its own, as capturing asks for, then capture."""
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                step()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            found = step()

        def replay() -> Tensor:
            graph.replay()
            return found

        return replay


class Steps:
    """Steps of the running answers of one cache.

    Args:
        model: under the attention of this package. cache: their slots. ahead: tokens of the prefix before each.
        recorder: how a step is recorded, or None to run it anew each time.

    Attributes:
        refused: why steps are not recorded although they should be, or None.
    """

    def __init__(self, model: PackedModel, cache: Slots, ahead: int, recorder: Recorder | None = None) -> None:
        self._model, self._cache, self._ahead = model, cache, ahead
        self._recorder = recorder
        self._recorded: dict[tuple[int, int], Step] = {}
        self._ids = torch.empty(0)
        self.refused: str | None = None

    def feed(self, tokens: Sequence[int]) -> Tensor:
        """Feed the newest token of every slot. Returns the hidden states behind them ([slots, size])."""
        shape = self._cache.begin_step()
        if self._cache.moved or len(self._ids) != len(tokens):
            self._recorded.clear()
            self._ids = torch.zeros(len(tokens), 1, dtype=torch.long, device=self._model.device)
            self._cache.moved = False
        self._ids.copy_(torch.tensor(tokens)[:, None])
        hidden = self._step(shape)()
        self._cache.end_step()
        self._model.counts.fed += len(tokens)
        return hidden

    def _step(self, shape: tuple[int, int]) -> Step:
        if self._recorder is None:
            return self._run
        if shape not in self._recorded:
            try:
                self._recorded[shape] = self._recorder(self._run)
            except RuntimeError as error:  # a model may wait for the device in the middle, which cannot be recorded
                self.refused, self._recorder = str(error).splitlines()[0], None
                return self._run
        return self._recorded[shape]

    def _run(self) -> Tensor:
        """The step itself: nothing but tensors that stay where they are go in, and it may be run again."""
        self._cache.hide()
        with working_on(self._cache):
            return self._model.decode(self._ids, (self._cache.lengths + self._ahead)[:, None])[:, 0]
