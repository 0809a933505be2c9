"""The engine of recorded answers: hands back what stands in each request, and measures nothing.

The recorded answer stands in the request itself (`core.items.Recall`), so two items with the same prompt keep their own
answers. Costs come from the record, not from this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.identity import sha256_file, sha256_text
from pytest_slmsec.core.items import Output, Recall, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.replay.registry import read_recordings


class ReplayEngine:
    """See `engines.base.Engine`."""

    capabilities = Capability.CHOICE | Capability.GENERATE

    def __init__(self, spec: ModelSpec, info: EngineInfo) -> None:
        self.spec, self.info = spec, info

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """All at once: nothing is computed."""
        return [list(range(len(requests)))] if requests else []

    def run(self, requests: Sequence[Request]) -> Batch:
        """The recorded answers.

        Raises:
            EngineError: something was asked that was not recorded.
        """
        return Batch(tuple(map(self._recalled, requests)), Timing(None, len(requests)))

    def _recalled(self, request: Request) -> Output:
        if not isinstance(request, Recall):
            raise EngineError(f"{request.id}: {self.spec.name} holds recorded answers and cannot be asked.")
        return request.output

    def close(self) -> None:
        """Nothing is held."""


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> ReplayEngine:
    """The engine of a file or folder of recorded answers.

    Raises:
        ReplayError: see `replay.registry.read_recordings`.
    """
    recordings = read_recordings(directory, spec.member)
    digests = [f"{recording.path.name}\0{sha256_file(recording.path)}" for recording in recordings]
    info = EngineInfo(
        engine="replay", kernel="none", device="recorded", dtype="recorded", load_s=None, model_bytes=None,
        context_tokens=None, weights_sha256=sha256_text("\n".join([*digests, spec.member or ""])), tokenizer_sha256="",
        template_sha256="", extra={"model": recordings[0].model},
    )  # fmt: skip
    return ReplayEngine(spec, info)
