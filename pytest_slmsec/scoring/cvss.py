"""CVSS v3 vectors in answers and the distance of their base scores (CTIBench VSP, Alam et al. 2024, arXiv 2406.07599;
upstream `evaluation/model-prediction.ipynb` and `evaluation/evaluation.ipynb`; base score by the package `cvss`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.asides import is_aside
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

WORST_DEVIATION = 10.0
METRICS = {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "NLH", "I": "NLH", "A": "NLH"}

# "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".
_OFFICIAL = re.compile("/".join(f"{name}:[A-Za-z]+" for name in METRICS))
NAMES = {
    "AV": "attack ?vector|access vector", "AC": "attack ?complexity|access complexity", "PR": "privileges? ?required",
    "UI": "user ?interaction(?: required)?", "S": "scope", "C": "confidentiality(?: ?impact)?",
    "I": "integrity(?: ?impact)?", "A": "availability(?: ?impact)?",
}  # fmt: skip
"""The metrics as they are called in words."""
_NAME = "|".join(
    f"(?P<{name}>(?:{word})(?: \\({name}\\))?|{name}(?: \\((?:{word})\\))?)" for name, word in NAMES.items()
)
_WORDS = "network|adjacent(?: network)?|local|physical|none|low|high|required|unchanged|changed"
# "AV:N", "AV: N", "Attack Vector (AV): Network (N)", "'PR' = 'None'", "| AC | L |".
_PAIR = re.compile(
    rf"(?<![A-Za-z])(?:{_NAME})[\s\"']{{0,2}}(?:[:=|]|\s?-\s?|(?:is|are|as)\s)[\s\"'(\[]{{0,3}}(?P<value>{_WORDS}|"
    rf"[NALPHRUC])(?![A-Za-z])"
    rf"(?:\s?\((?:{_WORDS}|[NALPHRUC])\))?",
    re.I,
)
# "Network (N), Adjacent (A), Local (L)": behind a value, the other ones that the metric may have.
_OTHER_VALUES = re.compile(rf"\s?(?:[,/|]|\bor\b)\s?(?:or\s)?(?:{_WORDS})(?![A-Za-z]|\s?[:=])", re.I)
# " / ", ", ", "\n- ", "\", \"", " | |": what may stand between two metrics of one vector.
_BETWEEN = re.compile(r"[\s/,;|\"'\[\](){}.*\\-]{0,12}(?:\d[.)]\s|(?:and|und|y|et)\s)?")
# " - reachable from the internet\n2. ", " | net |\n| ", " (the attack is remote), ": metrics with explanations.
_EXPLAINED = re.compile(
    r"(?:\s?[-(,.;:|][^\n]{0,300})?\n[\s|\"'(\[*-]{0,6}(?:\d[.)]\s)?|\s?\([^()\n]{0,200}\)[\s,;]{1,3}(?:and\s)?"
)
# "Vector string: CVSS:3.1/", "CVSS: 3.1/": what may stand before a vector that has its line to itself.
_LINE_BEFORE = re.compile(r"(?:[\w .()]{0,50}[:=]\s?)?(?:CVSS\s?:?\s?(?:v?[\d.]{1,4})?\s?/?\s?)?[\s\"'(\[]{0,3}", re.I)


@lru_cache(maxsize=8192)
def base_score(vector: str) -> float | None:
    """Base score, 0.0 to 10.0 points, of a vector with its ``CVSS:3.x/`` prefix; None if the package refuses it."""
    from cvss import CVSS3

    try:
        return float(CVSS3(vector).scores()[0])
    except Exception:  # the upstream scorer drops an answer for whatever the package raises
        return None


def canonical_vector(text: str) -> str | None:
    """A bare vector in capitals and the order of the specification, or None if it is not complete and legal."""
    pairs = [pair.split(":") for pair in text.upper().split("/")]
    values = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    legal = (
        len(pairs) == len(METRICS)
        and values.keys() == METRICS.keys()
        and all(values[name] in tuple(allowed) for name, allowed in METRICS.items())
    )
    return "/".join(f"{name}:{values[name]}" for name in METRICS) if legal else None


def official_vector(text: str) -> str:
    """The last match of the upstream pattern, else the whole text; in capitals."""
    found = _OFFICIAL.findall(text)
    return (found[-1] if found else text).upper()


def strict_vector(text: str) -> str | None:
    """The complete and legal vector that an answer states, without prefix, or None.

    Blanks, escapes, case, the order of the metrics, words for letters ("AV:Network") and what stands before it
    ("CVSS: 3.1/AV:...") do not matter. Of several the last one counts that has a line to itself, else the last one that
    is not set aside ("if a user had to click, it would be ...").
    """
    plain = plain_text(text)
    found = _vectors(plain)
    alone = [vector for vector, start, end in found if _is_alone(plain, start, end)]
    meant = [vector for vector, start, end in found if not is_aside(plain, start, end)]
    for vectors in (alone, meant, [vector for vector, _, _ in found]):
        if vectors:
            return vectors[-1]
    return None


def _vectors(text: str) -> list[tuple[str, int, int]]:
    """Every complete and legal vector with its place: eight different metrics in a row."""
    found: list[tuple[str, int, int]] = []
    run: list[re.Match[str]] = []
    for pair in _PAIR.finditer(text):
        if _OTHER_VALUES.match(text, pair.end()):
            run = []
            continue
        joined = run and _joined(text, run[-1].end(), pair.start())
        run = [*run[-len(METRICS) + 1 :], pair] if joined else [pair]
        vector = _vector(run) if len(run) == len(METRICS) else None
        if vector:
            found.append((vector, run[0].start(), pair.end()))
            run = []
    return found


def _joined(text: str, start: int, end: int) -> bool:
    """Whether what stands between two metrics leaves them in one vector."""
    if end - start > 320:
        return False
    return any(pattern.fullmatch(text, start, end) is not None for pattern in (_BETWEEN, _EXPLAINED))


def _vector(run: Sequence[re.Match[str]]) -> str | None:
    return canonical_vector("/".join(f"{_metric(match)}:{match['value'][0]}" for match in run))


def _metric(pair: re.Match[str]) -> str:
    return next(name for name in METRICS if pair[name])


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether nothing but a label and the prefix stands before a vector on its line, and nothing behind it."""
    line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    before, after = text[line_start:start], text[end : len(text) if line_end < 0 else line_end]
    return (
        "\n" not in text[start:end]
        and len(before) < 80
        and _LINE_BEFORE.fullmatch(before) is not None
        and not after.strip(" .)]\"'")
    )


def score_vector(item: Item, output: Output, mode: Mode) -> Score:
    """|base score of the answer - base score of the gold vector| in CVSS points; unparsed: the worst, 10.

    `correct` and the part `exact_vector` say whether the vector itself is the gold vector: vectors that differ can have
    equal base scores.
    """
    text = output.text or ""
    vector = official_vector(text) if mode is Mode.OFFICIAL else strict_vector(text)
    scored = base_score(f"CVSS:3.0/{vector}") if vector else None
    gold = base_score(item.gold)
    if vector is None or scored is None or gold is None:
        return Score(WORST_DEVIATION, False, False, None, {"exact_vector": 0.0})
    exact = canonical_vector(vector) == canonical_vector(item.gold.partition("/")[2])
    return Score(abs(scored - gold), True, exact, vector, {"exact_vector": float(exact)})
