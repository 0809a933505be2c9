"""A chat model without a chat template: it is asked in plain text, which is not the form it was trained on."""

from __future__ import annotations

import re

from pytest_slmsec.sentinels.base import Evidence, Sentinel

CHAT_WORDS = "it|sft|dpo|orpo|kto|grpo|rlhf|aligned|assistant|thinking|reasoning|hermes|zephyr|vicuna|tulu"
CHAT_NAME = re.compile(rf"instruct|chat|(?<![a-z])(?:{CHAT_WORDS})(?![a-z])", re.IGNORECASE)
"""In ``Llama-3.2-1B-Instruct``, ``gemma-2-2b-it``, ``tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf``, ``zephyr-7b-beta``,
``Qwen3-4B-Thinking-2507``."""
BASE_NAME = re.compile(r"(?<![a-z])(?:base|pt)(?![a-z])", re.IGNORECASE)
"""In ``Qwen3-8B-Base``, ``gemma-3-4b-pt``: base models often have the tokens of chat models in their vocabulary."""


def check(evidence: Evidence) -> str | None:
    """Fires on a chat model without a template, as found when it was loaded. Raw texts need none."""
    facts = evidence.chat_template
    if facts is None or facts["found"] or evidence.raw:
        return None
    name = evidence.model.rstrip("/").rpartition("/")[2]
    if CHAT_NAME.search(name):
        return "its name is that of a chat model; without a chat template it was asked in plain text"
    tokens = facts["chat_tokens"]
    if not tokens or BASE_NAME.search(name):
        return None
    return f"its vocabulary has {tokens[0]}, as chat models do, and without a chat template it was asked in plain text"


SENTINEL = Sentinel(
    "no-chat-template",
    "A chat model has no chat template, so its prompts are not in the form it was trained on.",
    "Fetch chat_template.jinja (or tokenizer_config.json) of the chat model and put it beside the weights; for a GGUF "
    "file, take one whose metadata has tokenizer.chat_template. For a base model there is nothing to do.",
    check,
)
