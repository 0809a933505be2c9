"""8-bit integers through torchao: of the weights alone, or of weights and activations.

Rounded to nearest with one scale for each output channel, symmetric about 0; no calibration. Activations (``int8dyn``)
are rounded during the forward pass, with one scale for each token. Only linear layers are quantised; embeddings and
output heads are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import transformers

from pytest_slmsec.engines.causal_lm.torchao_ import import_torchao
from pytest_slmsec.engines.common.checkpoint import read_checkpoint
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.quantize.manifest import Recipe
from pytest_slmsec.quantize.through_transformers import HEADS, save_quantised

CONFIGS: Mapping[str, str] = {
    "int8wo": "Int8WeightOnlyConfig",
    "int8dyn": "Int8DynamicActivationInt8WeightConfig",
}
"""torchao's name for each quantisation."""


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise the linear layers of `base` and save the result in `out`, with the base's other files.

    Args:
        rows: not used; this method needs no calibration.

    Raises:
        QuantizeError: torchao or transformers could not do it. MissingExtraError: torchao is not installed.
    """
    scheme = getattr(import_torchao(), CONFIGS[recipe.quant])
    settings.report(f"{recipe.quant}: rounding weights", 0.0)
    kept = list(HEADS) if find_kind(read_checkpoint(base)) else None
    save_quantised(base, out, recipe, transformers.TorchAoConfig(scheme(), modules_to_not_convert=kept))
