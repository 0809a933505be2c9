"""What a quantised model will be, decided before it is made: the base, the recipe and the calibration text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from pytest_slmsec.core.errors import MissingExtraError, QuantizeError
from pytest_slmsec.core.identity import sha256_files
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.checkpoint import (
    MANIFEST,
    Checkpoint,
    find_gguf,
    read_checkpoint,
    read_json,
    support_files,
)
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import locate
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.quantize.calibration import Calibration, default_calibration, read_calibration
from pytest_slmsec.quantize.manifest import CACHE_SUBDIR, Recipe, content_key, package_version
from pytest_slmsec.quantize.registry import QUANTIZERS, WHOLE_ROW, Quantizer


@dataclass(frozen=True, slots=True)
class QuantizationPlan:
    """What a quantised model is made of, and how.

    Attributes:
        spec: the quantised model as the user named it. checkpoint: its unquantised base.
        quantizer, recipe: the method and its parameters. calibration: the text it is calibrated and verified with.
        base_sha256: digest of the base's weights. support_sha256: digest of its configuration and tokenizer files.
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
        """A readable name and a digest of everything the result depends on: ``tinysec-gptq4-0123456789ab``."""
        key = content_key(self.base_sha256, self.support_sha256, self.recipe, self.calibration.sha256)
        return f"{self.stem}-{key}"

    @property
    def stem(self) -> str:
        """The readable part of `directory_name`. A local base is called by its folder, however its path was written."""
        base = Path(self.spec.location).resolve().name if _is_local(self.spec) else self.spec.base
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-.") or "model"
        return f"{name[-60:]}-{self.recipe.quant}"

    def is_made(self, manifest: Mapping[str, Any]) -> bool:
        """Whether a manifest describes this model; the version of the package that made it may differ."""
        same_version = replace(self.recipe, package=manifest["recipe"]["package"])
        expected = {
            "base_sha256": self.base_sha256,
            "support_sha256": self.support_sha256,
            "calibration_sha256": self.calibration.sha256,
            "recipe": asdict(same_version),
        }
        return all(manifest[key] == value for key, value in expected.items())


def plan_quantization(
    spec: ModelSpec, settings: EngineSettings, calibration: Path | None = None, group_size: int | None = None
) -> QuantizationPlan:
    """Find the base of a quantised model and decide how it is quantised. Nothing is quantised yet.

    Raises:
        QuantizeError: the base is already quantised, the quantisation is not made of such a model or takes no group
            size, or the calibration text cannot be used. ModelError: the base cannot be used.
        MissingExtraError: the package that quantises is not installed, and no finished model is in the cache.
    """
    quantizer = QUANTIZERS[cast("str", spec.quant)]
    place = locate(spec, settings)
    if find_gguf(place) is not None:
        raise QuantizeError(
            f"{spec.name}: {place} is a GGUF file, which is not quantised further: quantise the model it was made "
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
            f"{spec.name}: {quantizer.name} quantises models that generate text, and {checkpoint.directory} is an "
            f"encoder: use one of {', '.join(name for name, known in QUANTIZERS.items() if known.encoders)}."
        )
    text = read_calibration(calibration or default_calibration())
    plan = QuantizationPlan(
        spec,
        checkpoint,
        quantizer,
        Recipe(quantizer.name, quantizer.bits, _group_size(spec, quantizer, group_size), "", sym=quantizer.sym),
        text,
        weights_sha256(checkpoint.weights, settings.cache_dir),
        sha256_files(support_files(checkpoint.directory)),
    )
    return replace(plan, recipe=replace(plan.recipe, package=package_used(plan, settings.cache_dir / CACHE_SUBDIR)))


def package_used(plan: QuantizationPlan, folder: Path) -> str:
    """Name and version of the package that quantises: the installed one, or the one that made the model in the cache.

    Raises:
        MissingExtraError: the package is not installed, and the cache holds no such model; says how to make it.
    """
    quantizer = plan.quantizer
    version = package_version(quantizer.package)
    if version is not None:
        return f"{quantizer.package} {version}"
    oldest_first = sorted(folder.glob(f"{plan.stem}-*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
    packages = [found["recipe"]["package"] for found in map(read_json, oldest_first) if plan.is_made(found)]
    if packages:
        return str(packages[-1])
    raise MissingExtraError(
        f"Quantising {plan.spec.name}",
        quantizer.package,
        quantizer.extra,
        _tox_remedy(plan) if quantizer.environment else "",
    )


def _tox_remedy(plan: QuantizationPlan) -> str:
    """How a package that does not go with all others is used in its own tox environment."""
    quantizer = plan.quantizer
    size = plan.recipe.group_size
    group = f" --group-size {size}" if quantizer.group_size is None and size != plan.spec.gptq_group_size else ""
    making = f"tox run -e {quantizer.environment} -- slmsec quantize {portable_name(plan.spec)} {quantizer.name}{group}"
    return (
        f" That package does not go with all others: in a clone of pytest-slmsec `{making}` makes it in an "
        "environment of its own, and it is then found here."
    )


def portable_name(spec: ModelSpec) -> str:
    """The name of the base for a command that runs in another directory: a local path is made absolute."""
    return shlex.quote(str(Path(spec.location).resolve())) if _is_local(spec) else spec.base


def _is_local(spec: ModelSpec) -> bool:
    return spec.source == "path" and not spec.embedded


def _group_size(spec: ModelSpec, quantizer: Quantizer, asked: int | None) -> int:
    if quantizer.group_size is None:
        return asked or spec.gptq_group_size
    if asked is not None:
        of = "output channel" if quantizer.group_size == WHOLE_ROW else f"{quantizer.group_size} weights"
        raise QuantizeError(f"{spec.name}: {quantizer.name} has one scale for each {of}: leave out --group-size.")
    return quantizer.group_size
