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


def plan_quantization(
    spec: ModelSpec, settings: EngineSettings, calibration: Path | None = None, group_size: int | None = None
) -> QuantizationPlan:
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
    """The installed package with its version; where it is not installed, that of a model made elsewhere before.

    Raises:
        MissingExtraError: it is not installed, and no such model is there.
    """
    quantizer = plan.quantizer
    if version := package_version(quantizer.package):
        return f"{quantizer.package} {version}"
    made = (read_json(path) for path in sorted(folder.glob(f"{plan.stem}-*/{MANIFEST}"), key=_age))
    if packages := [manifest["recipe"]["package"] for manifest in made if plan.is_made(manifest)]:
        return str(packages[-1])
    size = plan.recipe.group_size
    group = f" --group-size {size}" if quantizer.group_size is None and size != plan.spec.gptq_group_size else ""
    making = f"tox run -e {quantizer.environment} -- slmsec quantize {portable_name(plan.spec)} {quantizer.name}{group}"
    remark = quantizer.environment and (
        f" That package does not go with all others: in a clone of pytest-slmsec `{making}` makes it in an "
        "environment of its own, and it is then found here."
    )
    raise MissingExtraError(f"Quantising {plan.spec.name}", quantizer.package, quantizer.extra, remark)


def portable_name(spec: ModelSpec) -> str:
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
