"""Templates of log lines (``Invalid user <*> from <*>``) in answers, and how well they group the lines.

Exact template and grouping accuracy as Khan et al. 2022 (ICSE, "Guidelines for assessing the accuracy of log message
template identification") and Zhu et al. 2019 (ICSE-SEIP, "Tools and benchmarks for automated log parsing") define them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from pytest_slmsec.core.errors import MissingExtraError
from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import both_ends

EXTRA = "logs"
LONGEST = 2000
"""Characters of an answer that are compared."""
GROUP = "group"
"""Part of a score: the number of the gold template's group."""

# "```text\n...\n```".
_FENCED = re.compile(r"```[\w-]*\n(.*?)```", re.S)
# "Template: ", "**Log template:** ", "模板：".
_LABEL = re.compile(
    r"[\s*_`#>-]{0,6}(?:the )?(?:(?:log|event|answer|output)\s|日志){0,2}(?:template|answer|模板)(?:\s?is)?"
    r"[*_`]{0,3}\s?[:：][*_`]{0,3}\s*",
    re.I,
)  # fmt: skip
# "\"door <*>\"": a text between two quotes of a kind.
_QUOTED = re.compile(r"^([\"'])([^\"']*)\1$")
_BLANKS = re.compile(r"\s+")


def answered_template(text: str) -> str | None:
    """The template of an answer: what stands in a code block or behind a label, else the first line."""
    text = both_ends(text)
    fenced = _FENCED.search(text)
    lines = [line.strip() for line in (fenced[1] if fenced else text).splitlines() if line.strip()]
    labelled = [_LABEL.sub("", line, count=1) for line in lines if _LABEL.match(line)]
    chosen = next((line for line in labelled if line), lines[0] if lines else "")
    template = one_line(_QUOTED.sub(r"\2", chosen.strip("` ")))
    return template[:LONGEST] or None


def one_line(text: str) -> str:
    """A template with single blanks, as it is compared."""
    return _BLANKS.sub(" ", text).strip()


def similarity(one: str, other: str) -> float:
    """1 - edit distance (Levenshtein 1966) / length of the longer text."""
    if one == other:
        return 1.0
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise MissingExtraError("Scoring log templates", "rapidfuzz", EXTRA) from error
    return float(Levenshtein.normalized_similarity(one, other))


def score_template(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the template is the gold one, white space apart; part ``edit_similarity`` says how near it is.

    Both modes are the same. `Item.meta` may hold ``group``, the number of the gold template.
    """
    del mode
    found, gold = answered_template(output.text or ""), one_line(item.gold)
    parts = {"edit_similarity": similarity(gold, found) if found else 0.0}
    if GROUP in item.meta:
        parts[GROUP] = float(item.meta[GROUP])
    return Score(float(found == gold), found is not None, found == gold, found, parts)


def grouping_accuracy(scores: Sequence[Score]) -> float | None:
    """The share of lines whose template was given to exactly the lines of their gold template; None where the groups
    are not known. A line without an answer is in no group."""
    if not scores or any(GROUP not in score.parts for score in scores):
        return None
    gold: dict[float, set[int]] = defaultdict(set)
    said: dict[str, set[int]] = defaultdict(set)
    for place, score in enumerate(scores):
        gold[score.parts[GROUP]].add(place)
        if score.extracted is not None:
            said[score.extracted].add(place)
    groups = {frozenset(places) for places in gold.values()}
    return sum(len(places) for places in said.values() if frozenset(places) in groups) / len(scores)
