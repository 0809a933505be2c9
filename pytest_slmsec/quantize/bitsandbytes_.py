"""8-bit LLM.int8 and 4-bit NF4 through bitsandbytes.

* int8: weights rounded to nearest with one scale for each output channel; activations rounded during the forward pass,
  except in columns with an outlier (Dettmers et al., "LLM.int8()", 2022; threshold 6.0).
* nf4: weights rounded to the 16 quantiles of a normal distribution, blocks of 64 with one scale; the scales are
  themselves stored in 8 bits (double quantisation). Activations stay as they are (Dettmers et al., "QLoRA", 2023).

The output head and the embeddings are not quantised.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers

from pytest_slmsec.engines.causal_lm.bitsandbytes_ import import_bitsandbytes
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.loading import pick_device
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.through_transformers import save_quantised, stored_dtype

THRESHOLD = 6.0


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise the linear layers of `base` and save the result in `out`, with its tokenizer.

    Args:
        rows: not used; this method needs no calibration.

    Raises:
        QuantizeError: bitsandbytes or transformers could not do it. MissingExtraError: bitsandbytes is not installed.
    """
    import_bitsandbytes()
    settings.report(f"{recipe.quant}: rounding weights", 0.0)
    if recipe.quant == "int8":
        wanted: Any = _config(load_in_8bit=True, llm_int8_threshold=THRESHOLD)
    else:
        wanted = _config(
            load_in_4bit=True,
            bnb_4bit_quant_type=recipe.quant,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=stored_dtype(read_checkpoint(base)),
        )
    save_quantised(base, out, recipe, wanted, device_map={"": str(pick_device(settings.device))})


def _config(**options: Any) -> Any:
    config: Any = transformers.BitsAndBytesConfig
    return config(**options)
