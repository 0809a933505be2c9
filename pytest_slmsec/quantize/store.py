"""The cache of quantised models: each is made once, verified against its base, and found again by its content."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.checkpoint import (
    MANIFEST,
    find_gguf,
    is_onnx,
    onnx_files,
    read_checkpoint,
)
from pytest_slmsec.engines.common.finetuned import keep_record
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.common.quantized_share import FACT, NothingQuantizedError
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.engines.registry import engine_for, load_directory
from pytest_slmsec.quantize.calibration import check_overlap
from pytest_slmsec.quantize.manifest import (
    CACHE_SUBDIR,
    Manifest,
    Verification,
    package_versions,
)
from pytest_slmsec.quantize.plan import QuantizationPlan, plan_quantization

if TYPE_CHECKING:
    from pytest_slmsec.quantize.verify import Observable

MAX_CALIBRATION_TOKENS = 2048
"""Longest calibration example; the rest of a line is cut off."""
FULL_PRECISION_BITS = 16


def ensure_quantized(
    spec: ModelSpec,
    settings: EngineSettings,
    calibration: Path | None = None,
    group_size: int | None = None,
    item_prompts: Mapping[str, str] | None = None,
) -> Path:
    """The directory of a quantised model. Where it does not exist yet, the model is quantised and verified first.

    It is written into a temporary directory, which is renamed once the model is verified: an interrupted or refused
    attempt leaves nothing. A lock file keeps a second process waiting while the first one quantises.

    Args:
        calibration: file of calibration text; default: the text that ships with the project.
        group_size: columns that share a scale; default: the model's.
        item_prompts: evaluation items (id to prompt) that must not stand in the calibration text.

    Raises:
        QuantizeError: the model could not be quantised, or the result is broken. ModelError: the base cannot be found
            or loaded. MissingExtraError: the package that quantises is not installed.
    """
    plan = plan_quantization(spec, settings, calibration, group_size)
    check_overlap(plan.calibration.lines, item_prompts or {})
    folder = settings.cache_dir / CACHE_SUBDIR
    target = folder / plan.directory_name
    if (target / MANIFEST).is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / f".{target.name}.lock", lambda: settings.report(f"{spec.name}: waiting for its turn", 0.0)):
        if not (target / MANIFEST).is_file():
            for left_over in folder.glob(f".making-{target.name}-*"):
                shutil.rmtree(left_over)  # left by a killed process: the lock shows that no other process works on it
            _make(plan, folder / f".making-{target.name}-{os.getpid()}", target, settings)
    return target


@contextmanager
def file_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock on a file. Where another process holds it, call `waiting` once and wait for it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(plan: QuantizationPlan, draft: Path, target: Path, settings: EngineSettings) -> None:
    try:
        quantize(plan, draft, settings).write(draft)
        keep_record(plan.checkpoint.directory, draft)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def quantize(plan: QuantizationPlan, out: Path, settings: EngineSettings) -> Manifest:
    """Quantise into `out`, load the result again, and compare it with its base.

    Raises:
        QuantizeError: the model could not be quantised, or the result is broken.
    """
    began = time.perf_counter()
    module = importlib.import_module(plan.quantizer.module)
    rows = _calibration_rows(plan) if plan.quantizer.calibrated else []
    details = module.quantize_weights(plan.checkpoint.directory, out, plan.recipe, rows, settings)
    settings.report(f"{plan.spec.name}: comparing with its base", 1.0)
    verification, quantized = _verify(plan, out, settings)
    return Manifest(
        base=plan.spec.base,
        base_sha256=plan.base_sha256,
        support_sha256=plan.support_sha256,
        recipe=plan.recipe,
        calibration_sha256=plan.calibration.sha256,
        calibration_lines=len(rows),
        weight_bytes=_weight_bytes(out),
        seconds=time.perf_counter() - began,
        packages=package_versions(),
        verification=verification,
        details=details or {},
        quantized=quantized,
    )


def _weight_bytes(directory: Path) -> int:
    """Bytes of the weight files of a quantised model: GGUF, ONNX or safetensors."""
    if (gguf := find_gguf(directory)) is not None:
        return gguf.stat().st_size
    files = onnx_files(directory) if is_onnx(directory) else read_checkpoint(directory).weights
    return sum(path.stat().st_size for path in files)


def _calibration_rows(plan: QuantizationPlan) -> list[tuple[int, ...]]:
    from pytest_slmsec.quantize.verify import token_rows

    prompts = Prompts(load_tokenizer(plan.checkpoint.directory))
    context = plan.checkpoint.config.get("max_position_embeddings") or MAX_CALIBRATION_TOKENS
    limit = min(int(context), MAX_CALIBRATION_TOKENS)
    return [row[:limit] for row in token_rows(prompts, plan.calibration.used)]


def _verify(plan: QuantizationPlan, out: Path, settings: EngineSettings) -> tuple[Verification, Mapping[str, Any]]:
    """Compare with the base, and the share of the weights that is quantised. One model is in memory at a time, since
    both together may not fit."""
    from pytest_slmsec.quantize.verify import Behaviour, compare, observe

    plain = replace(plan.spec, quant=None)

    def behaviour(directory: Path, engine: str | None) -> tuple[Behaviour, Mapping[str, Any]]:
        loaded = cast("Observable", load_directory(directory, engine or engine_for(plain, directory), plain, settings))
        try:
            found = observe(loaded, plan.calibration.held_out)
            return found, cast("Mapping[str, Any]", loaded.info.extra.get(FACT, {}))
        finally:
            loaded.close()

    base, _ = behaviour(plan.checkpoint.directory, None)
    try:
        quantised, share = behaviour(out, plan.quantizer.engine)
        if plan.quantizer.bits < FULL_PRECISION_BITS and not share:
            raise NothingQuantizedError(f"none of its weights is quantised to {plan.quantizer.name}.")
        return compare(base, quantised), share
    except (QuantizeError, NothingQuantizedError) as error:
        said = str(error).replace(str(out), "the result")  # whose folder is gone when this is read
        raise QuantizeError(f"{plan.spec.name}: {said}") from error
