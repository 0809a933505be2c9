"""A quantised model that is slower than its base, or that runs in a portable kernel instead of one for its hardware."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel

SLOWER = 0.9
"""Of the base's speed; less of a difference may be noise of the machine."""
PORTABLE = ("TorchQuantLinear", "TorchLinear", "TorchFusedQuantLinear", "dequantize", "unpacked")
"""GPTQModel's kernels in plain PyTorch and bitsandbytes' without hardware support, where weights are unpacked before
each use; and weights of compressed-tensors, which are unpacked once."""
ONE_AT_A_TIME = "ggml "
"""llama.cpp's kernels. It answers one request at a time while the base is answered in batches, so their speeds do not
compare kernels."""


def check(evidence: Evidence) -> str | None:
    """Compares decode speed with the base's in the same run; without a base, looks for a portable kernel on a GPU."""
    speed, base, kernel = evidence.decode_tokens_per_s, evidence.base_decode_tokens_per_s, evidence.kernel or "unknown"
    if evidence.quant is None or kernel.startswith(ONE_AT_A_TIME):
        return None
    portable = kernel.rpartition(".")[2] in PORTABLE
    if speed is not None and base is not None and speed < SLOWER * base:
        why = f"kernel {kernel}{', which is portable, not fast' if portable else ''}"
        return f"decodes {speed:,.0f} tokens/s and its unquantised base {base:,.0f} ({why})"
    on_gpu = (evidence.device or "").startswith(("cuda", "xpu", "mps"))
    return f"runs on {evidence.device} in the portable kernel {kernel}" if portable and on_gpu else None


SENTINEL = Sentinel(
    "slow-quantised",
    "The quantised model is slower than its base: the fast kernel for this machine is missing.",
    "Install a kernel for your GPU (marlin or exllama through gptqmodel), or count only the memory it saves.",
    check,
)
