"""The training itself: a thin layer over TRL's ``SFTTrainer``, which gets a model, tokens and labels, and is watched.

Ctrl-C ends the current step, saves a checkpoint and stops; `finetune` can go on from it. A checkpoint is whole once its
``trainer_state.json`` is there, which transformers writes last, so a killed process leaves at worst one that is passed
over.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.engines.causal_lm.adapters import lora_layers
from pytest_slmsec.engines.causal_lm.causal import is_out_of_memory
from pytest_slmsec.engines.causal_lm.transformers_ import LoadRequest, load_weights
from pytest_slmsec.engines.common.loading import first_line, pick_device
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.encode import EncodedRows
from pytest_slmsec.finetune.plan import TrainingPlan
from pytest_slmsec.finetune.recipe import QLORA, SFT
from pytest_slmsec.finetune.trainer_settings import sft_config

with quiet():  # it imports what PEFT finds installed, of which some packages print
    from transformers import TrainerCallback

STATE = "trainer_state.json"
BYTES_A_WEIGHT = 12
"""Of a checkpoint: a weight in 32 bits and the two moments that AdamW keeps of it."""
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Step(NamedTuple):
    """A logged step, for progress.

    Attributes:
        step, steps: done, and in all. loss: mean since the step logged before. tokens_per_s: since this process began.
        left_s: seconds to go.
    """

    step: int
    steps: int
    loss: float
    tokens_per_s: float
    left_s: float


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told of the training.

    Attributes:
        on_step: called with each logged step. say: called with a sentence.
    """

    on_step: Callable[[Step], None]
    say: Callable[[str], None]


class Stopped(FinetuneError):
    """Ctrl-C: the checkpoint is kept."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model that is still in memory.

    Attributes:
        model: with its adapter; in mode sft the whole model. log: the logged steps. steps: optimizer steps.
        notices: what could not be had as the recipe says. device: ``cpu`` or the GPU's name.
    """

    model: Any
    log: list[dict[str, Any]]
    steps: int
    notices: tuple[str, ...]
    device: str


def train(plan: TrainingPlan, work: Path, resume: bool, settings: EngineSettings, watcher: Watcher) -> Trained:
    """Train, with checkpoints in `work`.

    Args:
        resume: go on from the last whole checkpoint in `work`; where there is none, begin.

    Raises:
        Stopped: Ctrl-C. FinetuneError: disk or memory ran out, or the training failed; the last checkpoint is kept.
    """
    device = pick_device(settings.device)
    config, notices = sft_config(plan.recipe, plan.settings, work, device.type == "cuda")
    notices += _quantization_notices(plan, device) + ([plan.notice] if plan.notice else [])
    transformers.set_seed(config.seed)
    model = load_base(plan, device)
    told = _Told(plan, watcher, time.perf_counter(), notices)
    trainer = make_trainer(plan, model, config, told)
    for notice in notices:
        watcher.say(notice)
    need = checkpoint_bytes(trainer.model, config.save_total_limit or 1)
    check_space(need, shutil.disk_usage(work).free, work)
    last = last_checkpoint(work) if resume else None
    if resume:
        watcher.say(f"going on from {last.name}" if last else "no whole checkpoint was kept: beginning anew")
    with _failing_well(work), stop_on_interrupt(told, watcher), quiet():
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    if told.stopping and trainer.state.global_step < trainer.state.max_steps:
        raise Stopped(f"stopped after step {trainer.state.global_step} of {trainer.state.max_steps}; the checkpoint is "
                      f"kept in {work}.")  # fmt: skip
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Trained(trainer.model, list(trainer.state.log_history), trainer.state.global_step, tuple(notices), name)


def load_base(plan: TrainingPlan, device: torch.device) -> Any:
    """The base, ready to be trained: as it is stored on a GPU and in float32 on a CPU; for QLoRA in 4 bits."""
    if plan.recipe.mode == QLORA:
        return _load_4bit(plan, device)
    kinds = set(plan.checkpoint.tensors.values())
    stored = DTYPES.get(kinds.pop(), torch.float32) if len(kinds) == 1 else torch.float32
    keeps = device.type == "cuda" and plan.recipe.mode != SFT
    return load_weights(LoadRequest(plan.checkpoint, plan.config, stored if keeps else torch.float32, device))


def _load_4bit(plan: TrainingPlan, device: torch.device) -> Any:
    wanted = plan.recipe.quantization
    compute = getattr(torch, _compute_dtype(plan, device))
    with quiet():
        from peft import prepare_model_for_kbit_training

        options: Any = transformers.BitsAndBytesConfig
        model: Any = getattr(transformers, plan.loader).from_pretrained(
            plan.checkpoint.directory, config=plan.config, dtype=compute, use_safetensors=True,
            trust_remote_code=False, local_files_only=True, device_map={"": str(device)},
            quantization_config=options(
                load_in_4bit=True, bnb_4bit_quant_type=wanted.bnb_4bit_quant_type,
                bnb_4bit_use_double_quant=wanted.bnb_4bit_use_double_quant, bnb_4bit_compute_dtype=compute,
            ),
        )  # fmt: skip
        prepare: Any = prepare_model_for_kbit_training
        return prepare(model, use_gradient_checkpointing=bool(plan.settings.get("gradient_checkpointing")))


def _compute_dtype(plan: TrainingPlan, device: torch.device) -> str:
    """The dtype of products with 4-bit weights; float32 on a CPU, where float16 is slow and underflows."""
    return plan.recipe.quantization.bnb_4bit_compute_dtype if device.type == "cuda" else "float32"


def _quantization_notices(plan: TrainingPlan, device: torch.device) -> list[str]:
    wanted = plan.recipe.quantization.bnb_4bit_compute_dtype
    if plan.recipe.mode != QLORA or wanted == _compute_dtype(plan, device):
        return []
    return [f"bnb_4bit_compute_dtype = {wanted} is for GPUs, and there is none: float32 is used."]


def make_trainer(plan: TrainingPlan, model: Any, config: Any, told: Any) -> Any:
    """TRL's trainer over rows that are tokens and labels already.

    Raises:
        FinetuneError: PEFT or TRL refuse the settings; says why.
    """
    plan.tokenizer.pad_token_id = plan.pad_id
    try:
        with quiet():
            from peft import LoraConfig
            from trl import SFTTrainer

            trainer = SFTTrainer(
                model=model, args=config, train_dataset=dataset(plan.train),
                eval_dataset=dataset(plan.eval) if plan.eval.rows else None, processing_class=plan.tokenizer,
                peft_config=LoraConfig(**plan.lora) if plan.lora else None, callbacks=[told],
            )  # fmt: skip
            trainer.remove_callback(transformers.PrinterCallback)
    except Exception as error:  # TRL and PEFT raise many kinds
        raise FinetuneError(f"{plan.recipe.path}: TRL refuses this training ({first_line(error)}): correct the "
                            "recipe.") from error  # fmt: skip
    if plan.lora and not lora_layers(trainer.model):
        raise FinetuneError(f"{plan.recipe.path}: [lora] target_modules = {plan.lora['target_modules']!r} names no "
                            f'layer of {plan.spec.name}: write "all-linear".')  # fmt: skip
    return trainer


def dataset(rows: EncodedRows) -> Any:
    """Rows as TRL takes them: ``input_ids`` and ``labels``."""
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [list(row.ids) for row in rows.rows],
                              "labels": [list(row.labels) for row in rows.rows]})  # fmt: skip


class _Told(TrainerCallback):
    """Passes progress on, warns of a warm-up that never ends, and stops where it is asked to."""

    def __init__(self, plan: TrainingPlan, watcher: Watcher, began: float, notices: list[str]) -> None:
        self._plan, self._watcher, self._began, self._notices = plan, watcher, began, notices
        self._start = 0
        self.stopping = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Remember where this process began, and look at the warm-up."""
        del control, rest
        self._began, self._start = time.perf_counter(), state.global_step
        warmup = args.get_warmup_steps(state.max_steps)
        if warmup >= state.max_steps:
            text = (f"warmup_steps = {warmup} and the run has {state.max_steps} steps: the learning rate never arrives "
                    f"at {args.learning_rate:g}.")  # fmt: skip
            self._notices.append(text)
            self._watcher.say(text)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Tell of a logged step."""
        del args, control, rest
        if not logs or "loss" not in logs:
            return
        tokens, seconds = float(logs.get("num_tokens", 0)), max(time.perf_counter() - self._began, 1e-9)
        left = seconds / max(state.global_step - self._start, 1) * (state.max_steps - state.global_step)
        self._watcher.on_step(Step(state.global_step, state.max_steps, float(logs["loss"]), tokens / seconds, left))

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Save and stop behind this step, where that was asked for."""
        del args, state, rest
        if self.stopping:
            control.should_save = control.should_training_stop = True


@contextmanager
def stop_on_interrupt(told: Any, watcher: Watcher) -> Iterator[None]:
    """Ctrl-C ends the current step; a second one ends the process at once, and the last checkpoint is kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        del number, frame
        if told.stopping:
            raise KeyboardInterrupt
        told.stopping = True
        watcher.say("stopping behind this step, with a checkpoint; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _failing_well(work: Path) -> Iterator[None]:
    """Errors of the training as one sentence."""
    try:
        yield
    except FinetuneError:
        raise
    except Exception as error:  # TRL, transformers, torch and safetensors raise many kinds
        if is_disk_trouble(error):
            raise FinetuneError(f"A checkpoint could not be saved in {work} ({first_line(error)}): free some space and "
                                "go on with --resume.") from error  # fmt: skip
        if is_out_of_memory(error):
            raise FinetuneError("Memory ran out: say a smaller per_device_train_batch_size (and a larger "
                                "gradient_accumulation_steps), gradient_checkpointing = true, a smaller max_length, or "
                                'mode = "qlora".') from error  # fmt: skip
        raise FinetuneError(f"The training failed ({type(error).__name__}: {first_line(error)}).") from error


def is_disk_trouble(error: BaseException) -> bool:
    """Whether an error says that a file could not be written. safetensors and torch have errors of their own for it."""
    phrases = ("no space left", "file too large", "disk quota", "os error 28", "os error 27", "file write failed",
               "enforce fail", "unexpected pos")  # fmt: skip
    return isinstance(error, OSError) or any(phrase in str(error).lower() for phrase in phrases)


def last_checkpoint(work: Path) -> Path | None:
    """The newest whole checkpoint of a folder."""
    found = [path for path in work.glob("checkpoint-*") if (path / STATE).is_file() and path.name[11:].isdecimal()]
    return max(found, key=lambda path: int(path.name[11:]), default=None)


def checkpoint_bytes(model: Any, kept: int) -> int:
    """Bytes of all checkpoints that lie on the disk at the same time: those kept, and the one that is written."""
    trained: int = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return BYTES_A_WEIGHT * trained * (kept + 1)


def check_space(need: int, free: int, work: Path) -> None:
    """Refuse to begin where the checkpoints do not fit on the disk.

    Raises:
        FinetuneError: states both sizes.
    """
    if need > free:
        raise FinetuneError(
            f"{work}: checkpoints need {need / 2**30:,.2f} GiB and the disk has {free / 2**30:,.2f} GiB: free some, "
            "name another place with --out, or say a smaller save_total_limit."
        )
