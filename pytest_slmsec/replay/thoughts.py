"""The thoughts of reasoning models in recorded answers, separated as those of answers that are generated here."""

from __future__ import annotations

from dataclasses import replace

from pytest_slmsec.core.open_thoughts import closes_unopened, ends_in_thought
from pytest_slmsec.core.thoughts import without_thoughts
from pytest_slmsec.replay.base import Recorded, Recording

OPENED_SHARE = 0.5
"""Where more of the answers than this share close a thought that they did not open, the prompt opened it for all."""


def without_recorded_thoughts(recording: Recording) -> Recording:
    """The recording with the answers alone as texts.

    Whether the prompt opened the thought is read from its end, where it was recorded, and else from the other answers:
    an answer of such a model that closes no thought was cut off inside it.
    """
    texts = [answer.output.text for answer in recording.answers if answer.output.text and not answer.output.thought]
    closed = sum(closes_unopened(text) for text in texts)
    opened = closed > OPENED_SHARE * len(texts)
    return replace(recording, answers=tuple(_separated(answer, opened) for answer in recording.answers))


def _separated(answer: Recorded, opened: bool) -> Recorded:
    if answer.output.thought is not None:  # a record of ours: the text is the answer already
        return answer
    opened = opened or ends_in_thought(answer.prompt or "")
    return replace(answer, output=without_thoughts(answer.output, opened=opened))
