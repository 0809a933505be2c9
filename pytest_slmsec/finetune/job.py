"""One fine-tuning from a plan to a published folder, which is renamed into place once it is whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.wrap import counted, folded
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.encode import SHOWN, EncodedRows
from pytest_slmsec.finetune.manifest import PACKAGES, TrainingManifest, write_log
from pytest_slmsec.finetune.plan import TrainingPlan
from pytest_slmsec.finetune.publish import portable_base, publish_adapter, publish_model
from pytest_slmsec.finetune.recipe import QLORA, SFT
from pytest_slmsec.finetune.train import Trained, Watcher, is_disk_trouble, last_checkpoint, train
from pytest_slmsec.quantize.manifest import package_versions

KEY = "plan.json"
"""In the folder of checkpoints: the identity of the plan that they belong to."""


def work_folder(out: Path) -> Path:
    """Where checkpoints lie until the result is whole: beside it, ``NAME.checkpoints``."""
    return out.with_name(f"{out.name}.checkpoints")


def finetune(
    plan: TrainingPlan, out: Path, resume: bool, settings: EngineSettings, watcher: Watcher,
    overlap: Mapping[str, Any] | None = None,
) -> TrainingManifest:  # fmt: skip
    """Train and publish into the new folder `out`.

    Args:
        resume: go on from the checkpoints of an interrupted run. overlap: for the record, see `contamination`.

    Raises:
        Stopped: Ctrl-C; the checkpoint is kept. FinetuneError: `out` is there already, checkpoints of an interrupted
            run lie there and `resume` is not asked for, or they belong to another recipe; or see `train.train`.
    """
    work = work_folder(out)
    goes_on = open_work(plan, out, work, resume)
    began = time.perf_counter()
    trained = train(plan, work, goes_on, settings, watcher)
    draft = out.with_name(f".making-{out.name}-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        manifest = _publish(plan, trained, draft, overlap or {}, time.perf_counter() - began)
        draft.replace(out)
    except Exception as error:
        if not is_disk_trouble(error):
            raise
        raise FinetuneError(f"{out} could not be saved ({first_line(error)}): free some space and go on with --resume, "
                            f"the checkpoints in {work} are kept.") from error  # fmt: skip
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(work)
    return manifest


def open_work(plan: TrainingPlan, out: Path, work: Path, resume: bool) -> bool:
    """Make the folder of checkpoints, or see that it belongs to this plan.

    Returns:
        Whether it is that of an interrupted run, from which this one goes on.

    Raises:
        FinetuneError: see `finetune`.
    """
    if out.exists():
        raise FinetuneError(f"{out} exists already, and nothing is overwritten: name another folder with --out, or "
                            "remove it.")  # fmt: skip
    if resume and (work / KEY).is_file():
        if json.loads((work / KEY).read_text("utf-8")) != plan.key:
            raise FinetuneError(
                f"{work} holds checkpoints of another recipe, base, data, thread count or version of a package, and a "
                "run goes on only with all of them the same: remove it to begin anew."
            )
        return True
    if last_checkpoint(work) is not None:
        raise FinetuneError(f"{work} holds checkpoints of an interrupted run: go on with --resume, or remove it to "
                            "begin anew.")  # fmt: skip
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / KEY).write_text(json.dumps(plan.key) + "\n", "utf-8")
    except OSError as error:
        raise FinetuneError(f"{work} cannot be made ({error.strerror}): name another place with --out.") from error
    return False


def _publish(
    plan: TrainingPlan, trained: Trained, draft: Path, overlap: Mapping[str, Any], seconds: float
) -> TrainingManifest:
    if plan.recipe.mode == SFT:
        digest = publish_model(trained.model, plan.checkpoint, draft)
    else:
        digest = publish_adapter(trained.model, plan.spec, plan.checkpoint, draft)
    manifest = _manifest(plan, trained, digest, overlap)
    manifest.write(draft)
    write_log(draft, [*trained.log, {"seconds": round(seconds, 1)}])
    return manifest


def _manifest(plan: TrainingPlan, trained: Trained, digest: str, overlap: Mapping[str, Any]) -> TrainingManifest:
    import torch

    return TrainingManifest(
        base=portable_base(plan.spec), mode=plan.recipe.mode, weights_sha256=digest, recipe_sha256=plan.recipe_sha256,
        base_sha256=plan.base_sha256, tokenizer_sha256=plan.tokenizer_sha256, template_sha256=plan.template_sha256,
        rows_sha256=plan.train.sha256, eval_rows_sha256=plan.eval.sha256, settings=plan.settings, lora=plan.lora,
        quantization=asdict(plan.recipe.quantization) if plan.recipe.mode == QLORA else {},
        rows=_row_facts(plan), steps=trained.steps, loss=_losses(trained.log), packages=package_versions(PACKAGES),
        threads=torch.get_num_threads(), device=trained.device, seed=int(plan.settings["seed"]), overlap=overlap,
        notices=trained.notices,
    )  # fmt: skip


def _row_facts(plan: TrainingPlan) -> dict[str, Any]:
    train, held = plan.train, plan.eval
    return {
        "train": len(train.rows), "eval": len(held.rows), "tokens": sum(len(row.ids) for row in train.rows),
        "trained_tokens": sum(row.trained for row in train.rows), "end_of_turn": plan.end_of_turn, "pad": plan.pad_id,
        **{name: _places(found) for name, found in _left_out(train, held).items()},
    }  # fmt: skip


def _left_out(train: EncodedRows, held: EncodedRows) -> dict[str, tuple[str, ...]]:
    """Places of rows that were not trained as they were given, by what became of them."""
    return {name: (*getattr(train, name), *getattr(held, name)) for name in ("dropped", "cut", "unlabelled")}


def row_notices(plan: TrainingPlan) -> list[str]:
    """A sentence on rows that were not trained as they were given."""
    why = {"dropped": "longer than max_length and left out", "cut": "longer than max_length and cut",
           "unlabelled": "without a trained token and left out"}  # fmt: skip
    found = _left_out(plan.train, plan.eval)
    return [f"{counted(len(places), 'row')} {why[name]}: {folded(places, SHOWN, '; ')}"
            for name, places in found.items() if places]  # fmt: skip


def _places(found: Sequence[str]) -> dict[str, Any]:
    """How many, and the first of them. File names without their folders: the record hangs on no machine."""
    return {"count": len(found), "first": [Path(place.partition(", ")[0]).name + ", " + place.partition(", ")[2]
                                           for place in found[:SHOWN]]}  # fmt: skip


def _losses(log: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    trained = [row["loss"] for row in log if "loss" in row]
    held = [row["eval_loss"] for row in log if "eval_loss" in row]
    return {"begin": trained[0] if trained else None, "end": trained[-1] if trained else None,
            "eval_begin": held[0] if held else None, "eval_end": held[-1] if held else None}  # fmt: skip
