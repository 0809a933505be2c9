"""The one model in memory: loaded on demand, closed before the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from pytest_slmsec.core.errors import ModelError, SlmsecError, one_sentence
from pytest_slmsec.core.identity import model_key
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine, EngineInfo
from pytest_slmsec.execution.progress import Progress
from pytest_slmsec.meters.session import Meters, RemoteMeters


class ModelNotLoaded(ModelError):
    """The model could not be loaded, as an earlier case has already reported in full."""


Guard = Callable[[], AbstractContextManager[None]]
"""Makes a context for loading and for each batch, which turns limits that were hit into an `EngineError`."""


@dataclass(frozen=True, slots=True)
class Resident:
    """The model that is loaded, its identity (`core.identity.model_key`), the meters that run beside it, and the guard
    of its batches."""

    spec: ModelSpec
    engine: Engine
    identity: str
    meters: Meters
    guard: Guard = nullcontext

    def close(self) -> None:
        """Free its memory."""
        self.engine.close()
        self.meters.stop()


class ModelLoader:
    """Keeps one model in memory at a time, and remembers what each was and which could not be loaded.

    Args:
        make_engine: loads a model; raises `ModelError`. guard: of loading and of each batch.
    """

    def __init__(
        self, make_engine: Callable[[ModelSpec], Engine], progress: Progress, guard: Guard = nullcontext
    ) -> None:
        self._make_engine, self._guard = make_engine, guard
        self._progress = progress
        self._resident: Resident | None = None
        self._infos: dict[ModelSpec, EngineInfo] = {}
        self._broken: dict[ModelSpec, str] = {}

    def info(self, model: ModelSpec) -> EngineInfo | None:
        """Facts about a model, once it has been loaded."""
        return self._infos.get(model)

    def refuse_broken(self, models: Iterable[ModelSpec]) -> None:
        """Stop where a model is known to be unusable.

        Raises:
            ModelNotLoaded: one of `models` could not be loaded before.
        """
        for model in models:
            if model in self._broken:
                raise ModelNotLoaded(f"{model.name} could not be loaded: {self._broken[model]}")

    def load(self, model: ModelSpec) -> Resident:
        """The loaded model. Another one is closed first.

        Raises:
            ModelError: it cannot be loaded; `ModelNotLoaded` after the first time.
        """
        if self._resident is not None and self._resident.spec == model:
            return self._resident
        self.refuse_broken([model])
        self.unload()
        self._progress.say(f"loading {model.name}")
        meters = RemoteMeters() if model.source == "server" else Meters.start()
        engine: Engine | None = None
        try:
            with self._guard():
                engine = self._make_engine(model)
        except Exception as error:
            meters.stop()
            if engine is not None:
                engine.close()
            self._broken[model] = why = one_sentence(model.name, error)
            if isinstance(error, SlmsecError):
                raise
            raise ModelError(why) from error
        self._infos[model] = engine.info
        self._resident = Resident(model, engine, model_key(identity_parts(engine.info)), meters, self._guard)
        return self._resident

    def unload(self) -> None:
        """Free the memory of the loaded model, if there is one."""
        if self._resident is not None:
            self._resident.close()
            self._resident = None


def identity_parts(info: EngineInfo) -> dict[str, str]:
    """What an answer depends on, of all that is known about a model."""
    parts = ("engine", "kernel", "device", "dtype", "weights_sha256", "tokenizer_sha256", "template_sha256")
    computed_by = {
        part: str(info.extra[part]) for part in ("path", "linears", "fragile", "thinking") if part in info.extra
    }
    return {part: str(getattr(info, part)) for part in parts} | computed_by
