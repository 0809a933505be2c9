"""The keys of ``[training]`` and ``[lora]`` as TRL's ``SFTConfig`` and PEFT's ``LoraConfig`` take them.

Both are read from the installed packages, so that every key of theirs can be set. Some defaults of TRL are not taken:
bf16 (on, even on a CPU) is on only on GPUs that have it, gradient checkpointing (on; slower) and packing are off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.extras import require
from pytest_slmsec.core.toml_files import check_keys
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.finetune.recipe import QLORA, SFT, Recipe

EXTRA = "finetune"
MOVED = {
    "max_seq_length": "max_length",
    "group_by_length": 'train_sampling_strategy = "group_by_length"',
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "warmup_ratio": "warmup_steps, where a number below 1 is the share of all steps",
    "no_cuda": "use_cpu",
    "use_liger": "use_liger_kernel",
    "adafactor": 'optim = "adafactor"',
    "include_tokens_per_second": "nothing: tokens/s are always shown",
    "save_safetensors": "nothing: weights are always safetensors",
    "overwrite_output_dir": "the option --out, which names a new folder",
    "logging_dir": "the variable TENSORBOARD_LOGGING_DIR",
    "num_of_sequences": "nothing: packing = true counts tokens",
    "chars_per_token": "nothing: packing = true counts tokens",
    "dataset_batch_size": "nothing: rows are tokenised one by one",
    "fp16_backend": "fp16",
    "half_precision_backend": "fp16 or bf16",
    "use_mps_device": "nothing: the device is found",
    "push_to_hub_model_id": "nothing: nothing is uploaded",
}
"""Keys that TRL or transformers had before, and what is written today."""
OURS = {
    "output_dir": "the option --out names the folder",
    "resume_from_checkpoint": "the option --resume goes on from the last checkpoint",
    "model_init_kwargs": "the base is loaded as for a run",
    "trust_remote_code": "code of a model is never run",
    "chat_template_path": "the template is the base's",
    "eos_token": "the template's end of turn is taken",
    "pad_token": "one that ends no text is chosen",
    "dataset_text_field": "rows are read by [data]",
    "dataset_kwargs": "rows are read by [data]",
    "dataset_num_proc": "rows are read by [data]",
    "truncation_mode": "too_long in [data] says what becomes of long rows",
    "completion_only_loss": "only answers are trained",
    "assistant_only_loss": "only answers are trained",
    "remove_unused_columns": "rows hold what is trained",
    "push_to_hub": "nothing is uploaded", "hub_model_id": "nothing is uploaded", "hub_token": "nothing is uploaded",
    "hub_strategy": "nothing is uploaded", "hub_private_repo": "nothing is uploaded",
    "hub_always_push": "nothing is uploaded", "hub_revision": "nothing is uploaded",
    "do_train": "it always trains", "do_eval": "eval_strategy says when", "do_predict": "runs of pytest do that",
    "disable_tqdm": "progress is shown by slmsec", "log_level": "progress is shown by slmsec",
}  # fmt: skip
"""Keys that this project sets itself, and why."""
LORA_OURS = {
    "base_model_name_or_path": "base names it", "peft_type": "only LoRA is trained", "inference_mode": "it is trained",
    "megatron_config": "such adapters are not loaded", "alora_invocation_tokens": "such adapters are not loaded",
}  # fmt: skip
DEFAULTS: Mapping[str, Any] = {
    "bf16": False, "gradient_checkpointing": False, "packing": False, "report_to": "none", "logging_steps": 1,
    "logging_first_step": True, "save_steps": 0.1, "save_total_limit": 2, "seed": 42, "max_length": 1024,
}  # fmt: skip
LORA_DEFAULTS: Mapping[str, Any] = {
    "r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "bias": "none", "task_type": "CAUSAL_LM",
    "target_modules": "all-linear",
}  # fmt: skip
LORA_LEARNING_RATE = 2e-4
"""Where a recipe of an adapter names none: that of QLoRA for small models (Dettmers et al. 2023, table 9). TRL's 2e-5
is for all weights."""
PLAIN_OPTIMIZER = "adamw_torch"


def require_packages(recipe: Recipe) -> None:
    """See that the packages of the extra are there.

    Raises:
        MissingExtraError: names the first that is not.
    """
    require("Fine-tuning", EXTRA, "trl", "peft", "accelerate")
    if recipe.mode == QLORA:
        require("QLoRA", "bitsandbytes", "bitsandbytes")


def settings_of(recipe: Recipe, report_to: str | None = None) -> dict[str, Any]:
    """The keys of ``SFTConfig`` that are set, checked.

    Args:
        report_to: a tracker that is asked for now, in place of the recipe's.

    Raises:
        UsageError: a key is unknown (with near matches), was removed (with the new one), is set by this project, or has
            a value of another kind. MissingExtraError: TRL is not installed.
    """
    require_packages(recipe)
    with quiet():
        from trl import SFTConfig
    where = f"{recipe.path}: [training]"
    _check(where, recipe.training, SFTConfig, MOVED, OURS)
    own = {} if recipe.mode == SFT else {"learning_rate": LORA_LEARNING_RATE}
    chosen = {**DEFAULTS, **own, **recipe.training}
    if recipe.training.get("fp16") or recipe.training.get("bf16") is None:
        chosen["bf16"] = not chosen.get("fp16") and _bf16_gpu()
    if report_to is not None:
        chosen["report_to"] = report_to
    return chosen


def lora_of(recipe: Recipe) -> dict[str, Any]:
    """The keys of ``LoraConfig`` that are set, checked. Errors: see `settings_of`."""
    require_packages(recipe)
    with quiet():
        from peft import LoraConfig
    _check(f"{recipe.path}: [lora]", recipe.lora, LoraConfig, {"lora_r": "r", "alpha": "lora_alpha",
           "dropout": "lora_dropout", "rank": "r"}, LORA_OURS)  # fmt: skip
    return {**LORA_DEFAULTS, **recipe.lora}


def sft_config(recipe: Recipe, settings: Mapping[str, Any], work: Path, on_gpu: bool) -> tuple[Any, list[str]]:
    """``SFTConfig`` for this machine, and a sentence on each setting that cannot be had here.

    Args:
        work: folder for checkpoints. on_gpu: whether it is trained on a CUDA GPU.

    Raises:
        UsageError: transformers or TRL refuse the values; says why.
    """
    with quiet():
        from trl import SFTConfig
    chosen, said = dict(settings), list[str]()
    optimizer = str(chosen.get("optim", ""))
    if not on_gpu and optimizer.startswith("paged_"):
        chosen["optim"] = PLAIN_OPTIMIZER
        said.append(f"optim = {optimizer} pages to the memory of a CUDA GPU, and there is none: "
                    f"{PLAIN_OPTIMIZER} is used, which computes the same steps in 32 bits.")  # fmt: skip
    for precision in ("fp16", "bf16"):
        if not on_gpu and chosen.get(precision):
            chosen[precision] = False
            said.append(f"{precision} = true is for GPUs, and there is none: float32 is used.")
    given = {**chosen, "max_length": None, "disable_tqdm": True, "use_cpu": not on_gpu, "log_level": "error",
             "dataloader_pin_memory": on_gpu and chosen.get("dataloader_pin_memory", True)}  # fmt: skip
    try:
        with quiet():
            return SFTConfig(output_dir=str(work), **given), said
    except Exception as error:
        raise UsageError(f"{recipe.path}: [training] cannot be used ({first_line(error)}): correct it.") from error


def _check(
    where: str, table: Mapping[str, Any], config: type, moved: Mapping[str, str], ours: Mapping[str, str]
) -> None:
    fields = {one.name: one for one in dataclasses.fields(config)}
    for key, value in table.items():
        if key in moved and key not in fields:
            raise UsageError(f"{where}: {key!r} is no longer a key; write {moved[key]}.")
        if key in ours:
            raise UsageError(f"{where}: {key!r} is not for a recipe: {ours[key]}; take it out.")
        check_keys(where, {key: value}, [name for name in fields if name not in ours], page="docs/finetune.md")
        default = fields[key].default
        if wrong := _wrong_kind(value, default):
            raise UsageError(f"{where} {key} = {value!r}: {wrong}.")


def _wrong_kind(value: Any, default: Any) -> str | None:
    """What a value should be, by the kind of the default; None where it can be right."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "write true or false"
    if isinstance(default, (int, float)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if number else "write a number"
    return None


def _bf16_gpu() -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
