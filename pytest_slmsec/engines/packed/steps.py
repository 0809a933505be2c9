"""One token more for every slot; on CUDA a step is recorded once for each shape, as a graph, and replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.packed.attention import working_on
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.slots import Slots

WARM_UPS = 2
WORTH_RECORDING = 8
"""Steps of one shape after which it is recorded: recording takes as long as a few steps."""
Step = Callable[[], Tensor]


class Recorder(Protocol):
    """Makes of a step, which reads and writes fixed tensors only, one that does the same without running any Python.

    Attributes:
        after: steps of one shape that run first. refused: why nothing is recorded any more, or None.
    """

    after: int
    refused: str | None

    def __call__(self, step: Step) -> Step:
        """The recorded step. It may run the given one, which may be repeated without harm.

        Raises:
            RuntimeError: the step cannot be recorded.
        """


class CudaGraphs:
    """Records steps as CUDA graphs, on a stream of its own. See `Recorder`.

    Each graph has memory of its own: one that others shared must not outlive them all.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, device: torch.device) -> None:
        self.after = WORTH_RECORDING
        self.refused: str | None = None
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, step: Step) -> Step:
        """Warm up, as capturing asks for, refusing what would wait for the device; then capture."""
        with torch.cuda.device(self._device):  # each thread has a current device of its own
            current = torch.cuda.current_stream()
            graph = torch.cuda.CUDAGraph()
            try:
                self._stream.wait_stream(current)
                with torch.cuda.stream(self._stream):
                    self._warm_up(step)
                current.wait_stream(self._stream)
                with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                    found = step()
            finally:
                torch.cuda.set_stream(current)

        def replay() -> Tensor:
            graph.replay()
            return found

        return replay

    @staticmethod
    def _warm_up(step: Step) -> None:
        before = torch.cuda.get_sync_debug_mode()
        step()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(WARM_UPS - 1):
                step()
        finally:
            torch.cuda.set_sync_debug_mode(before)


class Steps:
    """Steps of the running answers of one cache.

    Args:
        model: under the attention of this package. cache: their slots. prefix_tokens: of the prefix before each.
        recorder: how a step is recorded, or None to run it anew each time.
    """

    def __init__(self, model: PackedModel, cache: Slots, prefix_tokens: int, recorder: Recorder | None = None) -> None:
        self._model, self._cache, self._prefix_tokens = model, cache, prefix_tokens
        self._recorder = recorder
        self._recorded: dict[tuple[int, int], Step] = {}
        self._runs: Counter[tuple[int, int]] = Counter()
        self._ids = torch.empty(0)

    def feed(self, tokens: Sequence[int]) -> Tensor:
        """Feed the newest token of every slot. Returns the hidden states behind them ([slots, size])."""
        shape = self._cache.begin_step()
        if self._cache.moved or len(self._ids) != len(tokens):
            self._recorded.clear()
            self._runs.clear()
            self._ids = torch.zeros(len(tokens), 1, dtype=torch.long, device=self._model.device)
            self._cache.moved = False
        self._ids.copy_(torch.tensor(tokens)[:, None])
        hidden = self._step(shape)()
        self._cache.end_step()
        self._model.counts.fed += len(tokens)
        return hidden

    def _step(self, shape: tuple[int, int]) -> Step:
        recorder = self._recorder
        self._runs[shape] += 1
        if recorder is None or recorder.refused is not None or self._runs[shape] <= recorder.after:
            return self._run
        if shape not in self._recorded:
            try:
                self._recorded[shape] = recorder(self._run)
            except RuntimeError as error:  # a model may wait for the device in the middle, which cannot be recorded
                cause = error.__context__ or error  # what failed, not the end of the capture that failed with it
                recorder.refused = first_line(cause) if isinstance(cause, Exception) else str(cause)
                return self._run
        return self._recorded[shape]

    def _run(self) -> Tensor:
        """The step itself: nothing but tensors that stay where they are go in, and it may be run again."""
        self._cache.hide()
        with working_on(self._cache):
            return self._model.decode(self._ids, (self._cache.lengths + self._prefix_tokens)[:, None])[:, 0]
