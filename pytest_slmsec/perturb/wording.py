"""The instruction in other words; question, options and the form of the answer stay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span, replaced, within

FRAMES = (
    ("Here is a case from our queue.\n\n", ""),
    ("", "\n\nKeep to the form that is asked for."),
    ("Please work on the following.\n\n", ""),
    ("Hi, could you look at this for me?\n\n", "\n\nThanks!"),
    ("### Task\n", "\n### End of task"),
    ("A colleague needs this right away:\n\n", ""),
)
"""What stands before and behind a prompt that is sent as a user turn."""
PHRASES = (
    (re.compile(r"(?<![A-Za-z])Answer with\b"), ("Reply with", "Respond with", "Write")),
    (re.compile(r"(?<![A-Za-z])Reply with\b"), ("Answer with", "Respond with", "Write")),
    (re.compile(r"(?<![A-Za-z])Give a short reason\b"), ("Say briefly why", "Explain in a few words")),
    (re.compile(r"(?<![A-Za-z])Answer the question\b"), ("Respond to the question", "Deal with the question")),
    (re.compile(r"(?<![A-Za-z])Choose the\b"), ("Pick the", "Select the")),
    (re.compile(r"(?<![A-Za-z])[Hh]olds nothing but\b"), ("contains only", "has nothing except")),
    (re.compile(r"(?<![A-Za-z])Decide whether\b"), ("Say whether", "Judge whether")),
)
"""Phrases of instructions, each with others of the same meaning."""
INSTRUCTION = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request."
)
HEADERS = (
    (INSTRUCTION, (
        "You are given an instruction and an input that belongs to it. Write a response that fulfils the instruction.",
        "The following instruction comes with an input that gives its context. Respond to it as it asks.",
        "Read the instruction and the input below, then write the response that is asked for.",
    )),
    ("The following are multiple choice questions (with answers) about", (
        "Below are multiple choice questions, each with its answer, about",
        "Here are questions with options, and which option is right, about",
        "These multiple choice questions are followed by their answers; they are about",
    )),
)  # fmt: skip
"""Headers of prompts without a chat template."""
LINES = (("Question:", "Answer:"), ("Q:", "A:"), ("Problem:", "Solution:"), ("Query:", "Response:"))
"""Pairs of names that stand before question and answer."""


def reworded(item: Item, free: Sequence[Span], seed: Seed) -> Item | None:
    """The item with its instruction in other words; None: there is no other wording of this number.

    A user turn gets other phrases and a frame around it. Of a prompt without a chat template the header changes, or,
    where options are compared as its continuation, the names before questions and answers.
    """
    if item.raw:
        return _raw(item, seed)
    frame = seed.form(FRAMES)
    if frame is None:
        return None
    rng, text = seed.random(), item.prompt
    found = {span: others for pattern, others in PHRASES for span in within(text, free, pattern)}
    for span in sorted(found, reverse=True):
        text = replaced(text, [span], lambda _, others=found[span]: others[rng.randrange(len(others))])  # type: ignore[misc]
    return replace(item, prompt=frame[0] + text + frame[1])


def _raw(item: Item, seed: Seed) -> Item | None:
    for header, others in HEADERS:
        if item.prompt.startswith(header):
            other = seed.form(others)
            return None if other is None else replace(item, prompt=other + item.prompt.removeprefix(header))
    pair = next((pair for pair in LINES if _stands(pair, item.prompt)), None) if item.choices else None
    names = seed.form([one for one in LINES if one != pair]) if pair is not None else None
    if pair is None or names is None:
        return None
    prompt = item.prompt
    for name, other in zip(pair, names, strict=True):
        prompt = re.sub(rf"^{name}", other, prompt, flags=re.M)
    return replace(item, prompt=prompt)


def _stands(pair: tuple[str, str], prompt: str) -> bool:
    return all(re.search(rf"^{name}", prompt, re.M) for name in pair) and prompt.rstrip().endswith(pair[1])
