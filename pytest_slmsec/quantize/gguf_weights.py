"""The weights and the configuration of a Llama as a GGUF file.

Names, shapes and keys are those of llama.cpp's own converter (``convert_hf_to_gguf.py``, class `LlamaModel`) and of
``src/llama-arch.cpp``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.common.checkpoint import Checkpoint
from pytest_slmsec.engines.llamacpp.library import import_gguf

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
NAMES: Mapping[str, str] = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
LAYER_NAMES: Mapping[str, str] = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
IGNORED = re.compile(r".*\.rotary_emb\.inv_freq")
"""Stored by old versions of transformers; it follows from the configuration."""
ROPE_FACTORS = "rope_freqs.weight"
KINDS: Mapping[str, str] = {"F32": "F32", "F16": "F16", "BF16": "BF16"}
"""safetensors dtype to GGUF's: the file holds the base's weights bit for bit."""


def check_architecture(checkpoint: Checkpoint, config: Any) -> None:
    """Refuse what would not compute the same in llama.cpp's ``llama`` architecture.

    Raises:
        QuantizeError: naming what does not fit.
    """
    named = list(config.architectures or ["?"])
    if named[0] not in ARCHITECTURES:
        raise QuantizeError(
            f"{checkpoint.directory} is a {named[0]}; only {' and '.join(ARCHITECTURES)} are converted to GGUF here: "
            "convert it with llama.cpp's convert_hf_to_gguf.py and name the file (--model=./MODEL.gguf)."
        )
    rope = _rope(config)
    for what, fits in (
        (f"the activation {config.hidden_act!r}", config.hidden_act == "silu"),
        (f"a sliding window of {getattr(config, 'sliding_window', None)} tokens",
         getattr(config, "sliding_window", None) in (None, 0)),
        (f"RoPE of type {rope['rope_type']!r}", rope["rope_type"] in ("default", "linear", "llama3")),
        ("RoPE over a part of each head", float(rope.get("partial_rotary_factor") or 1.0) == 1.0),
    ):  # fmt: skip
        if not fits:
            raise QuantizeError(
                f"{checkpoint.directory} has {what}, which is not converted to GGUF here: convert it with llama.cpp's "
                "convert_hf_to_gguf.py and name the file (--model=./MODEL.gguf)."
            )


def write_configuration(writer: Any, config: Any) -> None:
    """Sizes and constants of the model.

    Args:
        writer: `gguf.GGUFWriter`. config: transformers' configuration.
    """
    rope = _rope(config)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(_kv_heads(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    writer.add_rope_dimension_count(_head_size(config))
    writer.add_key_length(_head_size(config))
    writer.add_value_length(_head_size(config))
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(import_gguf().RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))


def write_weights(writer: Any, checkpoint: Checkpoint, config: Any) -> None:
    """Announce and write all tensors, one in memory at a time.

    Raises:
        QuantizeError: a tensor has no place in the architecture or a dtype that is not known.
    """
    gguf = import_gguf()
    kinds = {name: _kind(checkpoint, name) for name in checkpoint.tensors if not IGNORED.fullmatch(name)}
    extra = _rope_factors(config)
    for name, shape in _shapes(checkpoint):
        if name in kinds:
            kind = gguf.GGMLQuantizationType["F32" if len(shape) == 1 else kinds[name]]
            size = 4 if kind.name == "F32" else 2
            # The writer takes BF16 as its two bytes each, and wants to be told what they are.
            dtype = np.dtype({"F32": np.float32, "F16": np.float16, "BF16": np.uint16}[kind.name])
            elements = int(np.prod(shape))
            writer.add_tensor_info(gguf_name(checkpoint, name), shape, dtype, elements * size,
                                   raw_dtype=kind if kind.name == "BF16" else None)  # fmt: skip
    if extra is not None:
        writer.add_tensor_info(ROPE_FACTORS, extra.shape, extra.dtype, extra.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in _tensors(checkpoint):
        if name in kinds:
            writer.write_tensor_data(_stored(_rotated(name, tensor, config)))
    if extra is not None:
        writer.write_tensor_data(extra)


def gguf_name(checkpoint: Checkpoint, name: str) -> str:
    """llama.cpp's name for a tensor of a Llama.

    Raises:
        QuantizeError: it has none.
    """
    module, _, kind = name.rpartition(".")
    if kind in ("weight", "bias"):
        if module in NAMES:
            return f"{NAMES[module]}.{kind}"
        layer = LAYER.fullmatch(module)
        if layer is not None and layer[2] in LAYER_NAMES:
            return f"blk.{layer[1]}.{LAYER_NAMES[layer[2]]}.{kind}"
    raise QuantizeError(
        f"{checkpoint.directory}: the tensor {name!r} has no place in a GGUF file of a Llama: convert the model with "
        "llama.cpp's convert_hf_to_gguf.py."
    )


def _kind(checkpoint: Checkpoint, name: str) -> str:
    dtype = checkpoint.tensors[name]
    if dtype not in KINDS:
        raise QuantizeError(
            f"{checkpoint.directory}: the tensor {name!r} is stored as {dtype}, which is not converted."
        )
    return KINDS[dtype]


def _shapes(checkpoint: Checkpoint) -> Iterator[tuple[str, tuple[int, ...]]]:
    for path in checkpoint.weights:
        with safe_open(path, "pt") as file:
            for name in sorted(file.keys()):
                yield name, tuple(file.get_slice(name).get_shape())


def _tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, torch.Tensor]]:
    for path in checkpoint.weights:
        with safe_open(path, "pt") as file:
            for name in sorted(file.keys()):
                yield name, file.get_tensor(name)


def _rotated(name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """llama.cpp rotates neighbouring elements of a head, transformers those half a head apart: the rows of queries and
    keys change places."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": _kv_heads(config)}.get(name.split(".")[-2])
    if heads is None:
        return tensor
    rows = tensor.shape[0]
    parted = tensor.reshape(heads, 2, rows // heads // 2, *tensor.shape[1:])
    return parted.swapaxes(1, 2).reshape(tensor.shape)


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """Vectors (norms, biases) in fp32, as llama.cpp wants them; matrices as they are."""
    if tensor.dim() == 1:
        tensor = tensor.float()
    tensor = tensor.contiguous()
    found: NDArray[Any] = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found


def _rope(config: Any) -> dict[str, Any]:
    """Base, type and factors of the rotary embedding; transformers 5 keeps them in one place."""
    return {"rope_type": "default", **(config.rope_parameters or {})}


def _rope_factors(config: Any) -> NDArray[np.float32] | None:
    """What each frequency is divided by in Llama 3.1 and later, or None.

    Source: transformers, ``modeling_rope_utils.py`` (`_compute_llama3_parameters`).
    """
    if _rope(config)["rope_type"] != "llama3":
        return None
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    head = _head_size(config)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 1.0 / float(_rope(config)["rope_theta"]) ** (torch.arange(0, head, 2, dtype=torch.float64) / head)
    return (plain / scaled.double()).float().numpy()


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _kv_heads(config: Any) -> int:
    return int(config.num_key_value_heads or config.num_attention_heads)
