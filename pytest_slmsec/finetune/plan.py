"""What is going to be trained, before any weight is loaded: the base, the rows as tokens, and their identity."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.engines.causal_lm.transformers_ import load_config, loader_of
from pytest_slmsec.engines.common.checkpoint import (
    GENERATION_CONFIG,
    Checkpoint,
    find_gguf,
    is_onnx,
    read_checkpoint,
    read_json,
)
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import load_tokenizer, locate, template_sha256, tokenizer_sha256
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.finetune.encode import EncodedRows, Encoder
from pytest_slmsec.finetune.manifest import PACKAGES
from pytest_slmsec.finetune.recipe import SFT, Recipe
from pytest_slmsec.finetune.rows import TrainingRow, read_training_rows
from pytest_slmsec.finetune.trainer_settings import lora_of, settings_of
from pytest_slmsec.quantize.manifest import package_versions

KEY_LENGTH = 12
UNTRAINED = "name the unquantised model it was made of"


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that the result depends on.

    Attributes:
        spec: the base as it was named. checkpoint: its files. config: as transformers reads it. loader: the class of
            transformers that loads it.
        tokenizer: the base's. end_of_turn, pad_id: tokens, see `encode.Encoder`.
        notice: a sentence on how the base ends a text, or None.
        rows: as read, those for evaluation included. train, eval: as tokens.
        settings, lora: keys of ``SFTConfig`` and ``LoraConfig``.
        base_sha256, tokenizer_sha256, template_sha256: digests of the base.
    """

    recipe: Recipe
    spec: ModelSpec
    checkpoint: Checkpoint
    config: Any
    loader: str
    tokenizer: Any
    end_of_turn: int
    pad_id: int
    notice: str | None
    rows: tuple[TrainingRow, ...]
    train: EncodedRows
    eval: EncodedRows
    settings: Mapping[str, Any]
    lora: Mapping[str, Any]
    base_sha256: str
    tokenizer_sha256: str
    template_sha256: str

    @property
    def recipe_sha256(self) -> str:
        """Identity of what the recipe says on training; the place of files and the table ``[flow]`` do not count."""
        wanted = {"mode": self.recipe.mode, "training": dict(self.settings), "lora": dict(self.lora),
                  "quantization": asdict(self.recipe.quantization)}  # fmt: skip
        return sha256_json(wanted)

    @property
    def key(self) -> str:
        """Twelve hex digits over everything that the trained weights depend on, the packages and threads included."""
        import torch

        parts = [self.recipe_sha256, self.base_sha256, self.tokenizer_sha256, self.template_sha256, self.train.sha256,
                 self.eval.sha256, package_versions(PACKAGES), torch.get_num_threads()]  # fmt: skip
        return sha256_json(parts)[:KEY_LENGTH]


def plan_training(
    recipe: Recipe, spec: ModelSpec, settings: EngineSettings, report_to: str | None = None
) -> TrainingPlan:
    """Check recipe, base and rows, and tokenise the rows.

    Raises:
        UsageError, DataError, FinetuneError: the recipe, a row, or the base cannot be used. ModelError: the base
            cannot be found or read. MissingExtraError: a package is not installed.
    """
    chosen = settings_of(recipe, report_to)
    lora = {} if recipe.mode == SFT else lora_of(recipe)
    checkpoint = trainable(spec, settings)
    config = load_config(checkpoint)
    tokenizer = load_tokenizer(checkpoint.directory)
    encoder = Encoder(tokenizer, _end_ids(checkpoint, tokenizer))
    data = recipe.data
    rows = read_training_rows(data.train, data.form, data.system)
    kept, held = _parted(rows, data.eval_share, int(chosen["seed"]))
    extra = read_training_rows(data.eval, data.form, data.system) if data.eval else []
    held = extra or held
    if not held and chosen.get("eval_strategy", "no") != "no":
        raise FinetuneError(f"{recipe.path}: eval_strategy = {chosen['eval_strategy']!r} needs rows to evaluate on: "
                            "say eval = FILE or eval_share = 0.1 in [data].")  # fmt: skip
    limit = chosen["max_length"]
    train = encoder.encode_all(kept, limit, data.too_long, data.allow_unlabelled)
    evaluated = encoder.encode_all(held, limit, data.too_long, data.allow_unlabelled) if held else EncodedRows(())
    return TrainingPlan(
        recipe, spec, checkpoint, config, loader_of(checkpoint.directory, config), tokenizer, encoder.end_of_turn,
        encoder.pad_id(), encoder.notice(), tuple(rows + extra), train, evaluated, chosen, lora,
        weights_sha256(checkpoint.weights, settings.cache_dir), tokenizer_sha256(tokenizer), template_sha256(tokenizer),
    )  # fmt: skip


def trainable(spec: ModelSpec, settings: EngineSettings) -> Checkpoint:
    """The files of a base that can be trained.

    Raises:
        FinetuneError: it is quantised, GGUF, ONNX, an encoder, behind a server, or has an adapter; says what to name.
    """
    if spec.source in ("server", "replay"):
        raise FinetuneError(f"{spec.name} is no model on this machine, so it cannot be trained: name a directory, a "
                            "known model, or hf:org/name.")  # fmt: skip
    if spec.adapter is not None:
        raise FinetuneError(f"{spec.name} has an adapter already, and one is trained on a plain base: name {spec.base} "
                            "alone, or the folder of the merged model.")  # fmt: skip
    if spec.quant is not None and spec.quant not in DTYPES:
        raise FinetuneError(f"{spec.name} is quantised, and what is quantised cannot be trained: name {spec.base}; "
                            'mode = "qlora" holds it in 4 bits while it is trained.')  # fmt: skip
    place = locate(spec, settings)
    if find_gguf(place) is not None:
        raise FinetuneError(f"{spec.name}: {place} is GGUF, which cannot be trained: {UNTRAINED}.")
    if is_onnx(place):
        raise FinetuneError(f"{spec.name}: {place} is ONNX, which cannot be trained: {UNTRAINED}.")
    checkpoint = read_checkpoint(place)
    if checkpoint.quant_method is not None:
        raise FinetuneError(f"{spec.name}: {place} is quantised with {checkpoint.quant_method}, which cannot be "
                            f"trained: {UNTRAINED}.")  # fmt: skip
    if find_kind(checkpoint) is not None:
        raise FinetuneError(f"{spec.name}: {place} is an encoder, which generates no text: name a model that does.")
    return checkpoint


def _end_ids(checkpoint: Checkpoint, tokenizer: Any) -> set[int]:
    """The tokens that end a text, by the files of the base (`engines.causal_lm.causal.end_ids` of a loaded model)."""
    path = checkpoint.directory / GENERATION_CONFIG
    places = [checkpoint.config, read_json(path) if path.is_file() else {}]
    named = [tokenizer.eos_token_id, *(place.get("eos_token_id") for place in places)]
    return {token for one in named for token in (one if isinstance(one, list) else [one]) if isinstance(token, int)}


def _parted(rows: Sequence[TrainingRow], share: float, seed: int) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Rows to train and rows kept back, drawn by a seed; at least one of each where a share is kept back."""
    if not share:
        return list(rows), []
    count = min(max(round(share * len(rows)), 1), len(rows) - 1)
    held = set(random.Random(seed).sample(range(len(rows)), count))
    return [row for n, row in enumerate(rows) if n not in held], [row for n, row in enumerate(rows) if n in held]
