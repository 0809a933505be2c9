"""Whether the Hugging Face hub can be reached, asked once a process.

Without this check the hub's libraries retry for minutes for every file on a machine without a network. Where the hub
does not answer, they are switched to the files downloaded before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

PATIENCE_S = 10.0
"""Longest wait for the first answer."""


@cache
def hub_answers() -> bool:
    """Whether anything comes back from the hub (HF_ENDPOINT, through the proxy that is set); False where it is off."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE_S)
    except Exception:  # whatever the HTTP library of the day raises: there was no answer
        return False
    return True


@contextmanager
def downloads_only_unless_it_answers() -> Iterator[None]:
    """Within, `datasets` and `huggingface_hub` are offline where the hub gives no answer.

    Their switch is read from the environment when they are imported, and from these names afterwards.
    """
    if hub_answers():
        yield
        return
    import datasets.config
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
