"""Answers to AthenaBench (Alam et al. 2025, arXiv 2511.01144; repository `Athena-Software-Group/athenabench`).

Official readings reproduce what the authors recorded in ``runs-mini``: the lines of an answer are tried from the last
to the first, each without a label such as "Final answer:", and the first line that matches the pattern of the task
counts. Mitigations are read from the last line only. Strict readings are those of CTIBench.

The authors read thoughts (``<think>``) and answer as one text, so the official readings look into a thought where the
answer behind it says nothing, or where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.attack_techniques import answered_ids, f1
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cvss import base_score, canonical_vector, strict_vector
from pytest_slmsec.scoring.cwe import canonical_cwe, strict_cwe
from pytest_slmsec.scoring.mitigations import mitigation_ids, strict_mitigations
from pytest_slmsec.scoring.stated_letters import stated_letter
from pytest_slmsec.scoring.threat_actor import score_actor

LETTERS = "ABCDE"
SCALE = 7.7
"""Deviation in CVSS points at which the accuracy of CVSS scoring is 0."""

# "Final answer: " and "Answer: " at the beginning of a line.
_LABEL = re.compile(r"\s*(?:final\s+)?answer\s*:\s*", re.I)
# "B", also the article "a".
_LETTER = re.compile(r"\b([A-E])\b", re.I)
_TECHNIQUE = re.compile(r"T\d{4}", re.I)
_CWE = re.compile(r"CWE-\d+", re.I)
# "CVSS:3.1/AV:N/AC:L", complete or not.
_VECTOR = re.compile(r"CVSS:3\.\d/[A-Z:/]+")


def official_text(output: Output) -> str:
    """Thought and answer as the one text that the authors read."""
    if output.thought is None:
        return output.text or ""
    unfinished = output.hit_limit and not output.text
    return output.thought if unfinished else f"{output.thought}\n</think>\n{output.text or ''}"


def official_lines(text: str) -> Iterator[str]:
    """The lines of an answer that are not blank, the last one first, without blanks around them and the label."""
    for line in reversed(text.splitlines()):
        if line.strip():
            yield _LABEL.sub("", line.strip(), count=1) if _LABEL.match(line.strip()) else line.strip()


def official_match(text: str, pattern: re.Pattern[str]) -> str | None:
    """The first match on the last line that has one, in capitals; None where no line has one."""
    for line in official_lines(text):
        found = pattern.search(line)
        if found:
            return found[0].upper()
    return None


def _judged(answer: str | None, gold: str) -> Score:
    right = answer == gold
    return Score(float(right), answer is not None, right, answer)


def score_athena_letter(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the letter, A to E. The official rule takes the article "a" for an answer."""
    text = output.text or ""
    official = mode is Mode.OFFICIAL
    letter = official_match(official_text(output), _LETTER) if official else stated_letter(text, LETTERS)
    return _judged(letter, item.gold)


def main_technique(name: str) -> str:
    """``T1059`` of ``T1059.001``."""
    return name.strip().upper().partition(".")[0]


def score_athena_technique(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the main technique; sub-techniques count as theirs. Strict: several techniques are wrong."""
    text = output.text or ""
    if mode is Mode.OFFICIAL:
        return _judged(official_match(official_text(output), _TECHNIQUE), main_technique(item.gold))
    ids = answered_ids(text, mode)
    return _judged(", ".join(sorted(ids)) or None, main_technique(item.gold))


def score_athena_cwe(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the weakness id."""
    text = output.text or ""
    if mode is Mode.OFFICIAL:
        return _judged(official_match(official_text(output), _CWE), item.gold)
    return _judged(strict_cwe(text), canonical_cwe(item.gold))


def score_athena_mitigations(item: Item, output: Output, mode: Mode) -> Score:
    """F1 of the set of mitigation ids; an answer without ids scores 0 in both modes."""
    gold = mitigation_ids(item.gold)
    if mode is Mode.OFFICIAL:
        ids = mitigation_ids(next(official_lines(official_text(output)), ""))
    else:
        ids = strict_mitigations(output.text or "")
    tp, fp, fn = len(gold & ids), len(ids - gold), len(gold - ids)
    parts = {"tp": float(tp), "fp": float(fp), "fn": float(fn)}
    return Score(f1(tp, fp, fn), bool(ids), ids == gold, ", ".join(sorted(ids)) or None, parts)


def score_athena_vector(item: Item, output: Output, mode: Mode) -> Score:
    """1 - |base score of the answer - base score of the gold vector| / 7.7.

    Official: an answer that is no vector is left out by the metric, and a value may be negative. Strict: it is 0, and
    no deviation is worse.
    """
    if mode is Mode.OFFICIAL:
        vector = official_match(official_text(output), _VECTOR)
    else:
        vector = _with_prefix(strict_vector(output.text or ""))
    scored, gold = base_score(vector) if vector else None, base_score(item.gold)
    if vector is None or scored is None or gold is None:
        return Score(0.0, False, False, None, {"exact_vector": 0.0})
    exact = _bare(vector) == _bare(item.gold)
    value = 1 - abs(scored - gold) / SCALE
    kept = value if mode is Mode.OFFICIAL else max(value, 0.0)
    return Score(kept, True, exact, vector, {"exact_vector": float(exact)})


def _with_prefix(vector: str | None) -> str | None:
    return f"CVSS:3.1/{vector}" if vector else None


def _bare(vector: str) -> str | None:
    return canonical_vector(vector.partition("/")[2])


def score_athena_actor(item: Item, output: Output, mode: Mode) -> Score:
    """Right if CTIBench's aliases join the answer and the gold name; the authors' own list was not released.

    Official: the last line, without its label, is the name. Strict: as `threat_actor.score_actor`.
    """
    if mode is Mode.STRICT:
        return score_actor(item, output, mode)
    name, names = next(official_lines(official_text(output)), "").strip().lower(), item.meta[mode.value]
    correct, plausible = name in names["correct"], name in names["plausible"]
    return Score(float(correct), bool(name), correct, name or None, {"plausible": float(plausible)})
