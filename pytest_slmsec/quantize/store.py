"""Quantised models by content: made once, verified, and found again."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.checkpoint import (
    MANIFEST,
    find_gguf,
    is_onnx,
    onnx_files,
    read_checkpoint,
)
from pytest_slmsec.engines.common.loading import load_tokenizer
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
"""Of one line; the layers see no more of it."""


def ensure_quantized(
    spec: ModelSpec,
    settings: EngineSettings,
    calibration: Path | None = None,
    group_size: int | None = None,
    item_prompts: Mapping[str, str] | None = None,
) -> Path:
    """The directory of a quantised model; makes and verifies it unless it is there.

    It is written beside its place and renamed when it is verified, under a lock: an interrupted or refused attempt
    leaves nothing, and of two processes one makes it while the other waits.

    Args:
        calibration: file of calibration text; default: the text that ships with the project.
        group_size: columns that share a scale; default: the model's.
        item_prompts: evaluation items (id to prompt) that the calibration text must not hold.

    Raises:
        QuantizeError: it could not be made or is broken. ModelError: the base cannot be had or loaded.
        MissingExtraError: the package that makes it is not installed.
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
                shutil.rmtree(left_over)  # of a process that was killed; the lock says that nobody is at it now
            _make(plan, folder / f".making-{target.name}-{os.getpid()}", target, settings)
    return target


@contextmanager
def file_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the lock in a file; calls `waiting` where another process has it."""
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
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def quantize(plan: QuantizationPlan, out: Path, settings: EngineSettings) -> Manifest:
    """Quantise into `out`, load the result again, and compare it with its base.

    Raises:
        QuantizeError: it could not be made, or is broken.
    """
    began = time.perf_counter()
    module = importlib.import_module(plan.quantizer.module)
    rows = _calibration_rows(plan) if plan.quantizer.calibrated else []
    details = module.quantize_weights(plan.checkpoint.directory, out, plan.recipe, rows, settings)
    settings.report(f"{plan.spec.name}: comparing with its base", 1.0)
    verification = _verify(plan, out, settings)
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
    )


def _weight_bytes(directory: Path) -> int:
    """Bytes on disk of what was made, in whatever format."""
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


def _verify(plan: QuantizationPlan, out: Path, settings: EngineSettings) -> Verification:
    """One model in memory at a time: both together may not fit."""
    from pytest_slmsec.quantize.verify import Behaviour, compare, observe

    def behaviour(directory: Path, engine: str | None) -> Behaviour:
        loaded = cast("Observable", load_directory(directory, engine or engine_for(plain, directory), plain, settings))
        try:
            return observe(loaded, plan.calibration.held_out)
        finally:
            loaded.close()

    plain = replace(plan.spec, quant=None)
    base = behaviour(plan.checkpoint.directory, None)
    try:
        return compare(base, behaviour(out, plan.quantizer.engine))
    except QuantizeError as error:
        raise QuantizeError(f"{plan.spec.name}: {error}") from error
