"""Labelled fields of an alert ("Threat Type: SQL Injection", "Severity: HIGH") in answers to SOC-Bench (Garware 2026;
repository `chaitanyagarware/soc-bench`, `evaluate.py`).

Fields are found with any of the authors' spellings, and threats are put together by their key words. The authors'
script ends with an error at an answer without a severity; here such an answer has none, and the others are scored.
"""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.class_counts import class_parts
from pytest_slmsec.scoring.normalise import both_ends, plain_text

FIELDS = {
    "threat": re.compile(r"Threat[\s_-]{0,9}Type\s{0,9}[:=-]{1,9}\s*([^\n]+)", re.I),
    "severity": re.compile(r"Severity\s{0,9}[:=-]{1,9}\s*([^\n]+)", re.I),
    "technique": re.compile(r"MITRE[\s_-]{0,9}Technique[\s_-]{0,9}(?:ID)?\s{0,9}[:=-]{1,9}\s*([^\n]+)", re.I),
}
LOOPS = ("### Input:", "### Instruction:", "### Response:")
"""Where a model has gone on to the next example."""
THREATS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("SQL INJECTION", ("sql", "sqli")),
    ("XSS", ("xss", "cross-site scripting", "cross site")),
    ("COMMAND INJECTION", ("command injection", "os command")),
    ("PATH TRAVERSAL", ("path traversal", "directory traversal")),
    ("LFI", ("local file inclusion", "lfi")),
    ("SSH BRUTE FORCE", ("ssh brute",)),
    ("BRUTE FORCE", ("brute force",)),
    ("CREDENTIAL STUFFING", ("credential stuffing",)),
    ("RECONNAISSANCE", ("reconnaissance", "scanning", "scan")),
    ("DDOS", ("denial of service", "ddos")),
    ("DATA EXFILTRATION", ("exfiltration",)),
    ("LATERAL MOVEMENT", ("lateral movement", "privilege escalation")),
    ("MALWARE C2", ("malware", "c2", "command and control")),
    ("NO THREAT", ("no threat", "normal traffic", "benign")),
    ("WINDOWS THREAT", ("windows threat", "windows event")),
)
"""The first category counts one of whose words stands in a label."""
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL")
# "T1190" of "T1190 (Exploit Public-Facing Application)".
_TECHNIQUE = re.compile(r"T\d{4}", re.I)


def fields(text: str) -> dict[str, str]:
    """The fields of a text, before the first sign of a loop."""
    for marker in LOOPS:
        place = text.find(marker)
        text = text[:place] if place > 0 else text
    found = {name: pattern.search(text.strip()) for name, pattern in FIELDS.items()}
    return {name: match[1].strip().rstrip(",;") for name, match in found.items() if match}


def threat(label: str) -> str:
    """The category of a label, or the label itself in capitals; an empty label stays empty."""
    lowered = label.lower()
    known = (name for name, words in THREATS if any(word in lowered for word in words))
    return next(known, label.upper().strip())


def _category(named: str | None) -> str | None:
    """A category of the list, ``OTHER`` for any other label, or None."""
    if named is None:
        return None
    return named if any(named == name for name, _ in THREATS) else "OTHER"


def _severity(label: str) -> str:
    return (label.split() or [""])[0].upper()


def _strict(text: str) -> dict[str, str]:
    found = fields(plain_text(text))
    stated = _severity(found.get("severity", "")).strip(".,;:()*")
    return found | ({"severity": stated} if stated in SEVERITIES else {"severity": ""})


def score_alert(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the category of the threat; parts ``severity`` and ``technique`` (main techniques) are shares.

    Official: markup stays, as in the authors' script. Strict: markup is taken off, and a severity is one of five.
    """
    text = output.text or ""
    said = fields(both_ends(text)) if mode is Mode.OFFICIAL else _strict(text)
    named = threat(said.get("threat", "")) or None
    right = named == item.gold
    severity = _severity(said.get("severity", ""))
    technique = _TECHNIQUE.search(said.get("technique", ""))
    parts = class_parts(item.gold, _category(named)) | {
        "severity": float(severity == item.meta["severity"] != ""),
        "technique": float((technique[0].upper() if technique else "") == item.meta["technique"]),
    }
    return Score(float(right), named is not None, right, named, parts)


def alert_gold(text: str) -> dict[str, str]:
    """Category, severity and main technique (empty where there is none) of a published answer."""
    found = fields(text)
    technique = _TECHNIQUE.search(found.get("technique", ""))
    return {
        "threat": threat(found.get("threat", "")),
        "severity": _severity(found.get("severity", "")),
        "technique": technique[0].upper() if technique else "",
    }
