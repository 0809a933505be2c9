"""GPTQ through gptqmodel.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pytest_slmsec.engines.causal_lm.gptq import import_gptqmodel
from pytest_slmsec.engines.causal_lm.library_patches import transformers_unchanged
from pytest_slmsec.engines.causal_lm.transformers_ import load_config
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import pick_device
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.decoding.network import text_config
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe

LITTER = ("quant_log.csv",)


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise all linear layers of `base` and save the result in `out`.

    Args:
        rows: token ids of the calibration texts.

    Raises:
        QuantizeError: gptqmodel could not do it. MissingExtraError: it is not installed.
    """
    gptqmodel = import_gptqmodel()
    device = pick_device(settings.device)
    examples = [{"input_ids": list(row), "attention_mask": [1] * len(row)} for row in rows]
    with tempfile.TemporaryDirectory(prefix="slmsec-gptq-") as scratch, _logs_in(Path(scratch)):
        config = gptqmodel.QuantizeConfig(
            bits=recipe.bits,
            group_size=recipe.group_size,
            desc_act=recipe.desc_act,
            sym=recipe.sym,
            offload_to_disk_path=str(Path(scratch) / "offload"),
        )
        with attempt(base, recipe), transformers_unchanged(load_config(read_checkpoint(base))):
            model = gptqmodel.GPTQModel.load(
                str(base), config, dtype=_dtype(base, device), device=str(device), trust_remote_code=False
            )
            model.layer_callback = _Layers(settings, recipe.quant, text_config(model.model).num_hidden_layers)
            model.quantize(examples, batch_size=1, calibration_data_min_length=1)
            model.save(str(out))
    for name in LITTER:
        (out / name).unlink(missing_ok=True)


class _Layers:
    """Callback of gptqmodel that reports each finished layer."""

    def __init__(self, settings: EngineSettings, quant: str, n_layers: int) -> None:
        self._settings, self._quant, self._n_layers = settings, quant, n_layers

    def layer_complete(self, *, layer_idx: int, submodule_finalized: bool) -> None:
        """Report the layer once, when it is computed; finalising follows in the background."""
        if not submodule_finalized:
            share = min((layer_idx + 1) / self._n_layers, 1.0)
            self._settings.report(f"{self._quant}: layer {layer_idx + 1} of {self._n_layers}", share)


def _dtype(base: Path, device: torch.device) -> torch.dtype:
    """The dtype to compute in: the base's own, except fp16 on a CPU, where fp16 is many times slower than fp32."""
    stored = set(read_checkpoint(base).tensors.values())
    if stored == {"BF16"}:
        return torch.bfloat16
    return torch.float16 if stored == {"F16"} and device.type != "cpu" else torch.float32


@contextmanager
def _logs_in(folder: Path) -> Iterator[None]:
    """Redirect gptqmodel's log files to `folder`: by default it writes `logs/` into the user's working directory."""
    from gptqmodel.looper import loop_processor

    place: Any = loop_processor
    before = getattr(place, "_PROJECT_LOG_DIR", None)
    place._PROJECT_LOG_DIR = folder / "logs"
    try:
        yield
    finally:
        place._PROJECT_LOG_DIR = before
