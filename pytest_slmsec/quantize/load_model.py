"""Load any model: a server, recorded answers, a model directory as it is, or a quantised model, made on first use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.finetuned import overlap_facts
from pytest_slmsec.engines.common.loading import locate, locate_adapter, snapshot_revision
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.registry import engine_for, load_directory, without_adapter
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.store import ensure_quantized


def make_engine(spec: ModelSpec, settings: EngineSettings) -> Engine:
    """Load a model. A quantised model that was not made before is made first.

    Raises:
        ModelUnavailable, ModelError: the model cannot be found, or its files are damaged or not what they claim to be.
        QuantizeError: the quantised model could not be made. MissingExtraError: a package is missing.
        UsageError: device, dtype or engine is unknown.
    """
    if spec.source in ("replay", "server"):
        return load_directory(Path(spec.location), spec.engine, spec, settings)
    directory, loaded = _load(spec, settings)
    places = [directory] if spec.adapter is None else [directory, locate_adapter(spec, settings)]
    revision = {} if (found := snapshot_revision(directory)) is None else {"revision": found}
    loaded.info = replace(loaded.info, extra={**loaded.info.extra, **revision, **overlap_facts(*places)})
    return loaded


def _load(spec: ModelSpec, settings: EngineSettings) -> tuple[Path, Engine]:
    """The directory of a model on this machine, and the model."""
    if spec.quant is not None and spec.quant in QUANTIZERS:
        directory = ensure_quantized(without_adapter(spec), settings)
        plain, engine = replace(spec, quant=None), QUANTIZERS[spec.quant].engine
        return directory, load_directory(directory, engine or engine_for(plain, directory), plain, settings)
    directory = locate(spec, settings)
    return directory, load_directory(directory, engine_for(spec, directory), spec, settings)
