"""The question to a judge which of two answers is better, and what is read in its reply.

The wording is our own, after the pairwise prompt of MT-bench (Zheng et al. 2023, arXiv 2306.05685, figure 5): both
answers, no reference, and a warning of order and length.
"""

from __future__ import annotations

import re

from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Generate, Item, Message
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.stated_letters import stated_letter

POINTS = {"A": 1.0, "B": 0.0, "C": 0.5}
"""What a reply is worth for the first answer."""
NEW_TOKENS = 64
INTRODUCTION = (
    "You compare two answers about computer security and say which of them helps the person who asked more. It must be "
    "correct first of all, then complete, then clear. Its place and its length are no merit."
)
ASKED = "Which answer is better? Answer with one letter and nothing else: A, B, or C if neither is better."
PROMPT_SHA256 = sha256_json([INTRODUCTION, ASKED])

# "Answer A is better", "B is clearly the best", "I prefer answer B".
_PREFERRED = re.compile(r"\b([AB])\b is (?:\w+ )?(?:the )?(?:better|best)\b|\bprefer (?:[Aa]nswer )?([AB])\b")


def question(item: Item, first: str, second: str, order: str) -> Generate:
    """The request that shows a judge two answers to an item.

    Args:
        order: behind the item's id, to tell the two orders apart.
    """
    turns = [f"[{turn.role.capitalize()}]\n{turn.content}" for turn in item.messages() if turn.role != "system"]
    parts = [
        INTRODUCTION,
        *turns,
        f"[Answer A]\n{first}\n[End of answer A]",
        f"[Answer B]\n{second}\n[End of answer B]",
        ASKED,
    ]
    return Generate(f"{item.id}:{order}", (Message("user", "\n\n".join(parts)),), NEW_TOKENS)


def points_of(reply: str) -> float | None:
    """What a reply is worth for the first answer, or None where it commits to no letter."""
    letter = stated_letter(reply, "".join(POINTS))
    if letter is None:
        found = {one or other for one, other in _PREFERRED.findall(plain_text(reply))}
        letter = found.pop() if len(found) == 1 else None
    return None if letter is None else POINTS[letter]
