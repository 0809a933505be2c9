"""Run by a Python that has auto-gptq 0.7.1: log-probabilities of every next token, by the package itself.

Reads {"directory": ..., "ids": [...]} as JSON from standard input and writes {"layer": class name of a quantised layer,
"logprobs": [token][vocabulary]} to standard output. Imports nothing of this project: it needs newer packages.
"""

import contextlib
import json
import sys


def main() -> None:
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        import torch
        from auto_gptq import AutoGPTQForCausalLM

        loaded = AutoGPTQForCausalLM.from_quantized(
            asked["directory"],
            device="cpu",
            torch_dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            disable_exllama=True,
            disable_exllamav2=True,
        )
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([asked["ids"]])).logits[0]
        layer = loaded.model.get_submodule("model.layers.0.mlp.up_proj")
    json.dump({"layer": type(layer).__module__, "logprobs": logits.float().log_softmax(-1).tolist()}, sys.stdout)


if __name__ == "__main__":
    main()
