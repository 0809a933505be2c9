"""What a gate found, as properties of its test case in JUnit XML: in a run of pytest, and of a stored run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.judgement import Judgement

Properties = Mapping[str, str | int | float]


def gate_properties(judgement: Judgement, judged: Judged) -> Properties:
    """One gate: verdict by its own interval and as it counts among all gates, whose it is, the drop with its bounds,
    and the limit, in the unit of the JSON (``--slmsec-json``). What is not known is left out.
    """
    r = judged.result
    return _known({
        "verdict": r.verdict.value,
        "verdict_in_family": judgement.verdicts[r.gate].value,
        "benchmark": judged.benchmark,
        **_models(judgement),
        "n": r.n,
        "drop": r.estimate,
        "lower": r.lower,
        "upper": r.upper,
        "limit": r.margin,
        "unit": r.unit,
        "advisory": "true" if judged.advisory else None,
    })  # fmt: skip


def suite_properties(judgement: Judgement) -> Properties:
    """The whole candidate: its verdict, and the mean drop over several benchmarks with its bounds and limit."""
    suite = judgement.suite
    mean = suite.macro is not None and len(judgement.benchmarks) > 1
    drop = {
        "drop": suite.macro, "lower": suite.macro_lower, "upper": suite.macro_upper,
        "limit": judgement.config.suite.macro,
    }  # fmt: skip
    return _known({"verdict": judgement.verdict.value, **_models(judgement), **(drop if mean else {})})


def pair_properties(judgement: Judgement) -> Properties:
    """A candidate that is judged on one benchmark by one test: the suite's verdict, and what its main gate found."""
    main = [judged for judged in judgement.gates if judged.member.primary][:1]
    found = [gate_properties(judgement, judged) for judged in main]
    return {key: value for one in (*found, suite_properties(judgement)) for key, value in one.items()}


def _models(judgement: Judgement) -> dict[str, Any]:
    return {"candidate": judgement.candidate, "base": judgement.base, "preset": judgement.config.preset_name}


def _known(values: Mapping[str, Any]) -> Properties:
    """Without what is None or empty; no text holds a control character."""
    return {key: shown(value) if isinstance(value, str) else value
            for key, value in values.items() if value is not None and value != ""}  # fmt: skip
