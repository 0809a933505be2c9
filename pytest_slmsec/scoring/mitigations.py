"""Sets of MITRE ATT&CK mitigation ids (``M1038``) in answers."""

from __future__ import annotations

import re

from pytest_slmsec.scoring.attack_techniques import answered_ids
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

# "M1038", "m 1038"; not of "AM1038" or "M10381".
_ID = re.compile(r"(?<![A-Za-z\d])M[ -]?(\d{4})(?!\d)", re.I)
# "https://attack.mitre.org/mitigations/M1038/".
_URL = re.compile(r"(?:https?://)?(?:www\.)?attack\.mitre\.org/mitigations/(M\d{4})/?", re.I)
# "T1059.001" beside the mitigations.
_TECHNIQUE = re.compile(r"(?<![A-Za-z\d])T\d{4}(?:\.\d{3})?(?!\d)", re.I)


def mitigation_ids(text: str) -> frozenset[str]:
    """All mitigation ids in a text."""
    return frozenset(f"M{digits}" for digits in _ID.findall(text))


def strict_mitigations(text: str) -> frozenset[str]:
    """The ids that an answer states: lists, tables, sentences and what they set aside are read as those of techniques
    are (`attack_techniques.answered_ids`), with the ids of mitigations in the place of the ids of techniques."""
    plain = _URL.sub(r"\1", plain_text(text))
    read = _ID.sub(r"T\1", _TECHNIQUE.sub("technique", plain))
    return frozenset(f"M{name[1:]}" for name in answered_ids(read, Mode.STRICT))
