"""Steps that generate one token for every slot. On CUDA a step is recorded once for each shape, as a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.packed.attention import using_attention
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.slots import Slots

WARM_UPS = 2
WORTH_RECORDING = 8
"""Steps of one shape after which it is recorded: recording takes as long as a few steps."""
Step = Callable[[], Tensor]


class Recorder(Protocol):
    """Records a step: returns a function that repeats its operations on the same tensors without running Python code.

    Attributes:
        after: how many steps of one shape run unrecorded first.
        refused: the reason why a recording failed; nothing is recorded after that. None: none has failed.
    """

    after: int
    refused: str | None

    def __call__(self, step: Step) -> Step:
        """The recorded step. Recording may run the given step several times; it must give the same result each time.

        Raises:
            RuntimeError: the step cannot be recorded.
        """


class CudaGraphs:
    """Records steps as CUDA graphs, on a separate stream. See `Recorder`.

    Each graph has a memory pool of its own, so that graphs can be dropped one by one.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, device: torch.device) -> None:
        self.after = WORTH_RECORDING
        self.refused: str | None = None
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, step: Step) -> Step:
        """Run the step a few times, as CUDA requires before a capture, then capture it. An operation that waits for the
        device fails already in the first runs, because it could not be captured."""
        with torch.cuda.device(self._device):  # the current device is set for each thread
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
    """Feeds the running answers of one cache, a token each at a time, or a token and guesses of the next ones.

    Args:
        model: inside `PackedModel.packed`. cache: the slots of the answers. prefix_tokens: length of the shared prefix.
        recorder: records steps; None to run every step operator by operator.
    """

    def __init__(self, model: PackedModel, cache: Slots, prefix_tokens: int, recorder: Recorder | None = None) -> None:
        self._model, self._cache, self._prefix_tokens = model, cache, prefix_tokens
        self._recorder = recorder
        self._recorded: dict[tuple[int, ...], Step] = {}
        self._runs: Counter[tuple[int, ...]] = Counter()
        self._ids = torch.empty(0)

    def feed(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Feed the newest token of every slot, and guesses of those behind it. `Slots.end_step` must follow.

        Only steps without guesses are recorded.

        Returns:
            The hidden states after them, slot after slot ([tokens, hidden size]).
        """
        shape = self._cache.begin_step([len(some) for some in tokens])
        flat = torch.tensor([token for some in tokens for token in some])[:, None]
        self._model.counts.fed += len(flat)
        if len(flat) > len(tokens):
            self._ids = flat.to(self._model.device)
            return self._run()
        if self._cache.moved or len(self._ids) != len(flat):
            self._recorded.clear()
            self._runs.clear()
            self._ids = torch.zeros_like(flat, device=self._model.device)
            self._cache.moved = False
        self._ids.copy_(flat)
        return self._step(shape)()

    def _step(self, shape: tuple[int, ...]) -> Step:
        recorder = self._recorder
        self._runs[shape] += 1
        if recorder is None or recorder.refused is not None or self._runs[shape] <= recorder.after:
            return self._run
        if shape not in self._recorded:
            try:
                self._recorded[shape] = recorder(self._run)
            except RuntimeError as error:  # for one, a model that waits for the device in the middle of a step
                cause = error.__context__ or error  # the first error; ending the capture raises another after it
                recorder.refused = first_line(cause) if isinstance(cause, Exception) else str(cause)
                return self._run
        return self._recorded[shape]

    def _run(self) -> Tensor:
        """The step itself. It reads and writes only tensors that keep their place in memory, and can be repeated."""
        self._cache.update_mask()
        with using_attention(self._cache):
            return self._model.decode(self._ids, (self._cache.positions() + self._prefix_tokens)[:, None])[:, 0]
