"""Words that an option, a marker or a model's name may hold, as constants that cost nothing to import.

The table of options is imported by every pytest session, also by those that name no model. What it and the modules
behind it both need stands here, so that the table does not import those modules.
"""

from __future__ import annotations

from enum import Enum

MARKER = "slmsec"
"""Marker of a test that runs once for every item of a benchmark."""
DTYPES = ("fp32", "bf16", "fp16")
"""Number formats that models compute in, as in a model's name (``phi3-bf16``)."""
PRESETS = ("pr", "nightly", "release")
"""Occasions that the gate has margins for; the margins are `gates.policy.config.PRESETS`."""


class Mode(str, Enum):
    """How answers are scored.

    OFFICIAL: bit-exact with the released scorer, its defects included, for comparison with published tables.
    STRICT: an unparsed, empty or truncated answer is wrong and stays in the denominator.
    """

    OFFICIAL = "official"
    STRICT = "strict"
