"""The files of a bundle, from a stored run: the same bytes whenever and wherever they are made."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.wrap import WIDTH
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.stored_models import stored_models
from pytest_slmsec.reports.bundle import verify
from pytest_slmsec.reports.bundle.junit import junit
from pytest_slmsec.reports.bundle.licences import licences, own_licence
from pytest_slmsec.reports.gate.text import report

RULES = ("all", verify.UNSCORED, "parsed")
NOT_A_MEAN = "the metric is no mean of the items' scores"
ENVIRONMENT = ("machine_info", "commit_info", "datetime", "version")
UNSAFE = re.compile(r"[^A-Za-z0-9@~.+-]+")


def bundle_files(
    content: Mapping[str, Any],
    runs: Sequence[BenchmarkRun],
    base_runs: Sequence[BenchmarkRun],
    judgements: Sequence[Judgement],
    registry: Mapping[str, Mapping[str, Any]],
    page: str,
) -> dict[str, bytes]:
    """All files of a bundle by name, the manifest last.

    Args:
        content: the stored file of pytest-benchmark. runs: its runs. base_runs: those of a base in another file.
        judgements: the verdicts on its models. registry: the known models, for their licences.
        page: the HTML page on the run.
    """
    named = {id(run): _file(number, run) for number, run in enumerate([*runs, *base_runs], 1)}
    every = [*runs, *base_runs]
    files = {named[id(run)]: item_lines(run) for run in every}
    files["facts.json"] = verify.canonical({named[id(run)]: dict(run.facts) for run in every})
    files["environment.json"] = verify.canonical(environment(content))
    files[verify.VERDICT] = verify.canonical({"judgements": [judgement.to_json() for judgement in judgements]})
    texts = [report(judgement, WIDTH, verbose=True) for judgement in judgements]
    files["verdict.txt"] = ("\n\n".join(texts or ["No model was judged: its base is not in the run."]) + "\n").encode()
    files["junit.xml"] = junit(runs, judgements)
    files["page.html"] = page.encode("utf-8")
    files["LICENSE.txt"] = own_licence()
    files["licences.json"] = verify.canonical(licences(stored_models(every), every, registry))
    files["verify.py"] = Path(verify.__file__).read_bytes()
    manifest = _manifest(files, [_group(run, named[id(run)]) for run in every],
                         [_verdict(one, {(r.benchmark, r.model, r.where): named[id(r)] for r in every})
                          for one in judgements])  # fmt: skip
    return {**files, verify.MANIFEST: manifest}


def item_lines(run: BenchmarkRun) -> bytes:
    """Every item of a run as a JSON line, ASCII only, keys in alphabetical order."""
    columns = {name: column for name, column in run.columns.items() if len(column) == run.n}
    rows = [{name: column[row] for name, column in columns.items()} for row in range(run.n)]
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode("ascii")


def environment(content: Mapping[str, Any]) -> dict[str, Any]:
    """Machine, commit and time of a stored run, and what its sentinels found."""
    section = content.get("slmsec") or {}
    found = {key: content.get(key) for key in ENVIRONMENT}
    return {**found, "slmsec_version": section.get("version"), "sentinels": section.get("sentinels", [])}


def counting_rule(run: BenchmarkRun) -> str | None:
    """Over which items the stored score is the mean: one of `RULES`; None where it is no such mean."""
    rows = [dict(zip(("value", "parsed", "parts"), row, strict=True))
            for row in zip(run.columns["value"], run.columns["parsed"], run.columns["parts"], strict=True)]  # fmt: skip
    score = run.facts.get("score")
    return next((rule for rule in RULES if verify.same(verify.mean(verify.counted(rows, rule)), score)), None)


def _file(number: int, run: BenchmarkRun) -> str:
    return f"items/{number:03d}-{UNSAFE.sub('_', run.benchmark)}-{UNSAFE.sub('_', run.model)[-60:]}.jsonl"


def _group(run: BenchmarkRun, file: str) -> dict[str, Any]:
    rule = counting_rule(run)
    return {
        "benchmark": run.benchmark,
        "model": run.model,
        "run": run.where,
        "file": file,
        "metric": run.facts["metric"],
        "mode": run.facts["mode"],
        "score": run.facts.get("score"),
        "counted": rule,
        "not_recomputed": None if rule is not None else NOT_A_MEAN,
        "n_items": run.n,
        "n_correct": sum(run.columns["correct"]),
        "n_parsed": sum(run.columns["parsed"]),
    }


def _verdict(judgement: Judgement, named: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """What `verify` counts again in one verdict: gates by verdict, and which gates count items lost and gained."""
    counting: dict[str, dict[str, Any]] = {}
    for pair in judgement.pairs:
        own = str(pair.base.facts["metric"])
        gates = [judged.what for judged in judgement.gates
                 if judged.benchmark == pair.base.benchmark and judged.what in (own, verify.PARSE_RATE)
                 and "lost" in judged.result.details]  # fmt: skip
        sides = {side: named[run.benchmark, run.model, run.where]
                 for side, run in (("base", pair.base), ("candidate", pair.candidate))}  # fmt: skip
        counting[pair.base.benchmark] = {**sides, "gates": gates}
    verdicts = Counter(judgement.verdicts[judged.result.gate].value for judged in judgement.gates)
    return {
        "base": judgement.base,
        "candidate": judgement.candidate,
        "verdict": judgement.verdict.value,
        "gates": dict(verdicts),
        "flips": counting,
    }


def _manifest(files: Mapping[str, bytes], groups: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> bytes:
    import hashlib

    manifest = {
        "format": verify.FORMAT,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        "groups": groups,
        "verdicts": verdicts,
    }
    return verify.canonical({**manifest, verify.SELF: verify.digest(manifest)})
