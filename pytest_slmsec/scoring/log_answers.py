"""Answers about a log line: its severity (RFC 5424, section 6.2.1), and one fixed sentence for what is no log."""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.refusal import is_refusal

REFUSAL = "Input does not appear to be a valid system log. Unable to assist."
ANSWERED, REFUSED = "answer", "refuse"
"""Gold answers of the refusal benchmark: the input is a log, or it is none."""
ANALYSE_UP_TO, CRITICAL_UP_TO, IGNORED_FROM = 4, 2, 5
"""Warnings and worse are analysed; 0 to 2 are critical, and a critical one that is called 5 to 7 is missed."""
WITHIN_ONE, TRIAGE, MISSED_CRITICAL = "within_one", "analyse_or_ignore", "missed_critical"
FALSE_REFUSALS, MISSED, OTHER_WORDING = "false_refusals", "missed", "other_wording"
REFUSES = "refusal"
"""Part of a score: 1 where the answer refuses, in whatever words; the gates on a shift of refusals read it."""

# RFC 5424 names, and the short ones of syslog(3).
_NAMES = (
    ("emergency", "emerg", "panic"), ("alert",), ("critical", "crit"), ("error", "err"), ("warning", "warn"),
    ("notice",), ("informational", "info", "information"), ("debug",),
)  # fmt: skip
_LEVELS = {name: level for level, names in enumerate(_NAMES) for name in names}
_LEVEL = re.compile(rf"(?<![\w.-])(?:([0-7])(?![\w-]|\.\d)|({'|'.join(_LEVELS)})(?![\w-]))", re.I)
# "Answer: 3", "severity is 3", "= 5" of "165 mod 8 = 5".
_MARKED = re.compile(r"(?:answer|severity(?: level| code)?|level|priority)\s*(?:is|:|=|-)+\s*|=\s*", re.I)


def read_severity(text: str, mode: Mode) -> int | None:
    """The severity that an answer gives, or None. Official: the digit alone. Strict: a digit or a name, behind the
    last mark such as "Severity:", or as the only one in the text."""
    if mode is Mode.OFFICIAL:
        return int(text.strip()) if re.fullmatch(r"\s*[0-7]\s*", text, re.ASCII) else None
    plain = plain_text(text)
    marks = list(_MARKED.finditer(plain))
    first = _LEVEL.match(plain, marks[-1].end()) if marks else None
    if first is not None:
        return _level(first)
    found = {_level(match) for match in _LEVEL.finditer(plain)}
    return found.pop() if len(found) == 1 else None


def _level(match: re.Match[str]) -> int:
    return int(match[1]) if match[1] else _LEVELS[match[2].lower()]


def score_severity(item: Item, output: Output, mode: Mode) -> Score:
    """Whether the severity is the right one. An answer that cannot be read counts as ignored."""
    gold, found = int(item.gold), read_severity(output.text or "", mode)
    parts = {
        WITHIN_ONE: float(found is not None and abs(found - gold) <= 1),
        TRIAGE: float(found is not None and (found <= ANALYSE_UP_TO) == (gold <= ANALYSE_UP_TO)),
    }
    if gold <= CRITICAL_UP_TO:
        parts[MISSED_CRITICAL] = float(found is None or found >= IGNORED_FROM)
    right = found == gold
    return Score(float(right), found is not None, right, None if found is None else str(found),
                 parts | _by_category(item, right))  # fmt: skip


def _by_category(item: Item, right: bool) -> dict[str, float]:
    """The part that is averaged over the items of one category, where the item has one."""
    category = item.meta.get("category")
    return {} if category is None else {f"category={category}": float(right)}


def is_fixed_sentence(text: str, mode: Mode) -> bool:
    """Whether an answer is `REFUSAL` and nothing else. Strict: quotes, markup, case and the last full stop are free."""
    if mode is Mode.OFFICIAL:
        return text.strip() == REFUSAL
    return _bare(plain_text(text)) == _bare(REFUSAL)


def _bare(text: str) -> str:
    return " ".join(text.split()).strip("\"' .").casefold()


def score_log_refusal(item: Item, output: Output, mode: Mode) -> Score:
    """Right is the fixed sentence for what is no log, and anything else that was written for a log."""
    text = output.text or ""
    refused, is_log = is_fixed_sentence(text, mode), item.gold == ANSWERED
    parsed = bool(text.strip())
    correct = parsed and refused != is_log
    worded = parsed and not refused and is_refusal(text, mode)
    parts = {
        REFUSES: float(refused or worded),
        OTHER_WORDING: float(worded),
        (FALSE_REFUSALS if is_log else MISSED): float(refused == is_log),
    }
    extracted = REFUSED if refused else ANSWERED
    return Score(float(correct), parsed, correct, extracted if parsed else None, parts | _by_category(item, correct))
