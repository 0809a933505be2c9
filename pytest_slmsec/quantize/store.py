"""Quantised models by content: made once, verified, and found again."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pytest_slmsec.core.errors import MissingExtraError, QuantizeError
from pytest_slmsec.core.identity import sha256_files
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.checkpoint import (
    MANIFEST,
    Checkpoint,
    find_gguf,
    is_onnx,
    onnx_files,
    read_checkpoint,
    read_json,
    support_files,
)
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import load_tokenizer, locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.engines.registry import engine_for, load_directory
from pytest_slmsec.quantize.calibration import Calibration, check_overlap, default_calibration, read_calibration
from pytest_slmsec.quantize.manifest import (
    Manifest,
    Recipe,
    Verification,
    content_key,
    package_version,
    package_versions,
)
from pytest_slmsec.quantize.registry import QUANTIZERS, WHOLE_ROW, Quantizer

if TYPE_CHECKING:
    from pytest_slmsec.quantize.verify import Observable

SHELF = "quantized"
"""Below the cache."""
MAX_CALIBRATION_TOKENS = 2048
"""Of one line; the layers see no more of it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A quantised model that is wanted.

    Attributes:
        spec: the model, with its quantisation. checkpoint: its base.
        base_sha256, support_sha256: identities of the base's weights and of its other files.
    """

    spec: ModelSpec
    checkpoint: Checkpoint
    quantizer: Quantizer
    recipe: Recipe
    calibration: Calibration
    base_sha256: str
    support_sha256: str

    @property
    def directory_name(self) -> str:
        """``tinysec-gptq4-0123456789ab``: the name for people, the digits for what it was made of."""
        key = content_key(self.base_sha256, self.support_sha256, self.recipe, self.calibration.sha256)
        return f"{self.stem}-{key}"

    @property
    def stem(self) -> str:
        """The part of the directory's name that is for people; that of a local base however its path was written."""
        base = Path(self.spec.location).resolve().name if _is_local(self.spec) else self.spec.base
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-.") or "model"
        return f"{name[-60:]}-{self.recipe.quant}"

    def is_made(self, manifest: Mapping[str, Any]) -> bool:
        """Whether a manifest is that of this model, whichever version of the package made it."""
        made = manifest["base_sha256"], manifest["support_sha256"], manifest["calibration_sha256"], manifest["recipe"]
        recipe = asdict(replace(self.recipe, package=manifest["recipe"]["package"]))
        return made == (self.base_sha256, self.support_sha256, self.calibration.sha256, recipe)


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
    order = place_order(spec, settings, calibration, group_size)
    check_overlap(order.calibration.lines, item_prompts or {})
    shelf = settings.cache_dir / SHELF
    target = shelf / order.directory_name
    if (target / MANIFEST).is_file():
        return target
    shelf.mkdir(parents=True, exist_ok=True)
    with _alone(shelf / f".{target.name}.lock", lambda: settings.report(f"{spec.name}: waiting for its turn", 0.0)):
        if not (target / MANIFEST).is_file():
            for left_over in shelf.glob(f".making-{target.name}-*"):
                shutil.rmtree(left_over)  # of a process that was killed; the lock says that nobody is at it now
            _make(order, shelf / f".making-{target.name}-{os.getpid()}", target, settings)
    return target


@contextmanager
def _alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
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


def place_order(
    spec: ModelSpec, settings: EngineSettings, calibration: Path | None = None, group_size: int | None = None
) -> Order:
    """All that decides what a quantised model will be.

    Raises:
        QuantizeError: it is already quantised, the quantisation does not go with it or takes no group size, or the
            calibration text cannot be used. ModelError: no usable base.
        MissingExtraError: the package that makes it is not installed, and it was not made elsewhere before.
    """
    quantizer = QUANTIZERS[cast("str", spec.quant)]
    place = locate(spec, settings)
    if find_gguf(place) is not None:
        raise QuantizeError(
            f"{spec.name}: {place} is a GGUF file, of which nothing else is made: quantise the model it was made "
            f"of, or evaluate this one as --model={spec.base}."
        )
    checkpoint = read_checkpoint(place)
    if checkpoint.quant_method is not None:
        raise QuantizeError(
            f"{spec.name}: {checkpoint.directory} is already quantised with {checkpoint.quant_method}: name the "
            f"unquantised model, or evaluate this one as --model={spec.base}."
        )
    if not quantizer.encoders and find_kind(checkpoint) is not None:
        raise QuantizeError(
            f"{spec.name}: {quantizer.name} is made of models that generate text, and {checkpoint.directory} is an "
            f"encoder: use one of {', '.join(name for name, known in QUANTIZERS.items() if known.encoders)}."
        )
    text = read_calibration(calibration or default_calibration())
    order = Order(
        spec,
        checkpoint,
        quantizer,
        Recipe(quantizer.name, quantizer.bits, _group_size(spec, quantizer, group_size), "", sym=quantizer.sym),
        text,
        weights_sha256(checkpoint.weights, settings.cache_dir),
        sha256_files(support_files(checkpoint.directory)),
    )
    return replace(order, recipe=replace(order.recipe, package=_maker(order, settings.cache_dir / SHELF)))


def _maker(order: Order, shelf: Path) -> str:
    """The installed package with its version; where it is not installed, that of a model made elsewhere before.

    Raises:
        MissingExtraError: it is not installed, and no such model is there.
    """
    quantizer = order.quantizer
    if version := package_version(quantizer.package):
        return f"{quantizer.package} {version}"
    made = (read_json(path) for path in sorted(shelf.glob(f"{order.stem}-*/{MANIFEST}"), key=_age))
    if packages := [manifest["recipe"]["package"] for manifest in made if order.is_made(manifest)]:
        return str(packages[-1])
    size = order.recipe.group_size
    group = f" --group-size {size}" if quantizer.group_size is None and size != order.spec.gptq_group_size else ""
    making = f"tox run -e {quantizer.environment} -- slmsec quantize {_anywhere(order.spec)} {quantizer.name}{group}"
    remark = quantizer.environment and (
        f" That package does not go with all others: in a clone of pytest-slmsec `{making}` makes it in an "
        "environment of its own, and it is then found here."
    )
    raise MissingExtraError(f"Quantising {order.spec.name}", quantizer.package, quantizer.extra, remark)


def _anywhere(spec: ModelSpec) -> str:
    """The base as it is written in another directory."""
    return shlex.quote(str(Path(spec.location).resolve())) if _is_local(spec) else spec.base


def _is_local(spec: ModelSpec) -> bool:
    return spec.source == "path" and not spec.embedded


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _group_size(spec: ModelSpec, quantizer: Quantizer, asked: int | None) -> int:
    if quantizer.group_size is None:
        return asked or spec.gptq_group_size
    if asked is not None:
        of = "output channel" if quantizer.group_size == WHOLE_ROW else f"{quantizer.group_size} weights"
        raise QuantizeError(f"{spec.name}: {quantizer.name} has one scale for each {of}: leave out --group-size.")
    return quantizer.group_size


def _make(order: Order, draft: Path, target: Path, settings: EngineSettings) -> None:
    try:
        quantize(order, draft, settings).write(draft)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def quantize(order: Order, out: Path, settings: EngineSettings) -> Manifest:
    """Quantise into `out`, load the result again, and compare it with its base.

    Raises:
        QuantizeError: it could not be made, or is broken.
    """
    began = time.perf_counter()
    module = importlib.import_module(order.quantizer.module)
    rows = _calibration_rows(order) if order.quantizer.calibrated else []
    details = module.quantize_weights(order.checkpoint.directory, out, order.recipe, rows, settings)
    settings.report(f"{order.spec.name}: comparing with its base", 1.0)
    verification = _verify(order, out, settings)
    return Manifest(
        base=order.spec.base,
        base_sha256=order.base_sha256,
        support_sha256=order.support_sha256,
        recipe=order.recipe,
        calibration_sha256=order.calibration.sha256,
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


def _calibration_rows(order: Order) -> list[tuple[int, ...]]:
    from pytest_slmsec.quantize.verify import token_rows

    prompts = Prompts(load_tokenizer(order.checkpoint.directory))
    context = order.checkpoint.config.get("max_position_embeddings") or MAX_CALIBRATION_TOKENS
    limit = min(int(context), MAX_CALIBRATION_TOKENS)
    return [row[:limit] for row in token_rows(prompts, order.calibration.used)]


def _verify(order: Order, out: Path, settings: EngineSettings) -> Verification:
    """One model in memory at a time: both together may not fit."""
    from pytest_slmsec.quantize.verify import Behaviour, compare, observe

    def behaviour(directory: Path, engine: str | None) -> Behaviour:
        loaded = cast("Observable", load_directory(directory, engine or engine_for(plain, directory), plain, settings))
        try:
            return observe(loaded, order.calibration.held_out)
        finally:
            loaded.close()

    plain = replace(order.spec, quant=None)
    base = behaviour(order.checkpoint.directory, None)
    try:
        return compare(base, behaviour(out, order.quantizer.engine))
    except QuantizeError as error:
        raise QuantizeError(f"{order.spec.name}: {error}") from error
