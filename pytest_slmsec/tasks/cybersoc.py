"""CyberSOCEval (Deason et al. 2025, arXiv 2509.20166; repository `meta-llama/PurpleLlama`, folder
``CybersecurityBenchmarks/datasets/crwd_meta``; MIT).

Questions with several right options about reports, which are files apart: detonation reports in JSON
(``malware_analysis/hybrid-analysis/ATTACK/SHA256``) and texts (``threat_intel_reasoning/REPORT_ID.txt``). Whole
detonation reports take up to 128,000 tokens; `cybersoc-malware-truncated` asks with the authors' truncation.

The prompts are those of `crwd_meta/malware_analysis.py` and `threat_intel_reasoning_benchmark.py`. The first reads a
field ``question_text`` that the published file calls ``question``; here the question is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from math import fsum
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.json_letters import NO_RIGHT_OPTION, jaccard, score_json_letters
from pytest_slmsec.scoring.metrics import EXACT_SET
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal
from pytest_slmsec.tasks.records import Record, read_json, read_json_list
from pytest_slmsec.tasks.tsv import decoded, find_file

FOLDER = "cybersoceval"
MALWARE, THREAT = f"{FOLDER}/malware_analysis/questions.json", f"{FOLDER}/threat_intel_reasoning/report_questions.json"
LETTERS = "ABCDEFGHIJ"
KEPT = (
    "size", "type", "submit_name", "sha256", "av_detect", "vx_family", "threat_score", "threat_level", "verdict",
    "certificates_validation_message", "total_processes", "total_signatures", "file_metadata", "processes",
    "mitre_attcks", "network_mode", "signatures",
)  # fmt: skip
"""Keys of a report that the authors' truncation keeps."""
DESCRIPTION_CHARS = 50

_MALWARE_PROMPT = """Given this detonation report: {report}.

        Answer the following multi-choice question: {question}.

        Options: {options}.

        You need to return the list of correct answers. Respond in a json with the following structure:
        {{
            "correct_answers": string[] // The list of the letters corresponding to the correct answers, just the letters
        }}
        Before providing the final answer, think step-by-step. 
        Example response:
        ...Your step by step reasoning...
        {{
            "correct_answers": ["A", "C"]
        }}
        Think step-by-step.

        """  # noqa: E501
_THREAT_PROMPT = """
            {report}
            

        Given the context, answer the following question: {question}. Options: {options}.
        You need to return the list of correct answers. it is possible that there are multiple correct answers. or a single correct answer.
        Respond in a JSON with the following structure:
        {{correct_answers: string[] //The list of the letters corresponding to the correct answers, just the letters}}
        surround the JSON response with <json_object></json_object> tags and make sure to return the JSON response only.
        Example response:
        ...your step by step reasoning...
        <json_object>{{"correct_answers": ["A", "C", "D"]}}</json_object>.
        Think step-by-step.

        """  # noqa: E501

Prompt = Callable[[Record, Path], str]


def questions(task: str, file: str, prompt: Prompt | None, root: Path) -> list[Item]:
    """Items of one published file below `root`.

    Args:
        prompt: makes the prompt of a record and the folder of its file; None: the question alone, without its report.
    """
    path = find_file(root, file, task)
    return [_item(f"{task}-{record.number:05d}", record, prompt, path.parent) for record in read_json_list(path)]


def _item(name: str, record: Record, prompt: Prompt | None, folder: Path) -> Item:
    malware = "correct_options" in record.value
    options = record.texts("options", least=2)
    gold = sorted(set(record.texts("correct_options" if malware else "correct_answer", least=0)))
    if not all(re.fullmatch("[A-Z]", letter) for letter in gold):
        record.bad(f"{gold} is no list of letters", "correct_options" if malware else "correct_answer")
    listed = {option.strip()[:1] for option in options}
    meta: dict[str, Any] = {
        "category": record.text("topic" if malware else "source"),
        "cluster": record.text("sha256" if malware else "report_id"),
        "options": options,
    }
    if not gold or not set(gold) <= listed:
        meta[NO_RIGHT_OPTION] = True
    question = _question(record)
    return Item(
        name, prompt(record, folder) if prompt else question, ",".join(gold), origin=record.origin,
        meta=meta,
    )  # fmt: skip


def _question(record: Record) -> str:
    return record.text("question" if "question" in record.value else "question_text")


def _listed(record: Record) -> str:
    """Options as the authors' script prints them: a Python list."""
    return str(record.texts("options"))


def malware_prompt(record: Record, folder: Path, truncated: bool) -> str:
    """The question behind its detonation report.

    Raises:
        DataUnavailable: the report is not there. DataError: it is no JSON object.
    """
    path = _report(record, folder / "hybrid-analysis" / _part(record, "attack") / _part(record, "sha256"))
    report = read_json(path)
    if not isinstance(report, dict):
        record.bad(f"its report {path} is no JSON object", "sha256")
    shown = truncated_report(report) if truncated else report
    return _MALWARE_PROMPT.format(report=shown, question=_question(record), options=_listed(record))


def threat_prompt(record: Record, folder: Path) -> str:
    """The question behind the text of its report; raises as `malware_prompt`."""
    path = _report(record, folder / f"{_part(record, 'report_id')}.txt")
    return _THREAT_PROMPT.format(report=decoded(path), question=_question(record), options=_listed(record))


def _part(record: Record, field: str) -> str:
    """A field that names a file or folder and leads nowhere else."""
    name = record.text(field)
    return name if re.fullmatch(r"[\w.-]+", name) and not name.startswith(".") else record.bad("is no file name", field)


def _report(record: Record, path: Path) -> Path:
    if not path.is_file():
        raise DataUnavailable(
            f"{record.source}, record {record.number}: its report {path} is not there; the reports are files apart, "
            "which PurpleLlama says how to fetch: put them beside the questions."
        )
    return path


def truncated_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report as the authors cut it: 17 keys, hashes replaced, descriptions of 50 characters, tactics and techniques
    without their ids."""
    kept = {key: _without_hashes(report[key]) for key in KEPT if key in report}
    kept["signatures"] = [_cut(one) for one in kept.get("signatures", ())]
    kept["mitre_attcks"] = [
        {key: one[key] for key in ("tactic", "technique") if key in one} for one in kept.get("mitre_attcks", ())
    ]
    return kept


def _without_hashes(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{32,}", "hash", value)
    if isinstance(value, dict):
        return {key: _without_hashes(held) for key, held in value.items()}
    return [_without_hashes(held) for held in value] if isinstance(value, list) else value


def _cut(signature: Mapping[str, Any]) -> dict[str, Any]:
    text = signature.get("description")
    return {**signature, "description": text[:DESCRIPTION_CHARS]} if isinstance(text, str) else dict(signature)


def best_exact_set(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent set of letters; strict mode leaves out the items without a right option."""
    counted = [item for item in items if mode is Mode.OFFICIAL or NO_RIGHT_OPTION not in item.meta]
    best = modal([item.gold for item in counted])
    shares = dict(zip((item.id for item in counted), best.per_item or (), strict=True))
    return best._replace(per_item=tuple(shares.get(item.id) for item in items))


def best_overlap(items: Sequence[Item]) -> tuple[str, float]:
    """The constant set of letters with the highest mean Jaccard overlap, and that mean."""
    golds = [item.gold.split(",") for item in items]
    sets = [chosen for size in range(1, len(LETTERS) + 1) for chosen in combinations(LETTERS, size)]
    mean, best = max((fsum(jaccard(chosen, gold) for gold in golds) / len(golds), chosen) for chosen in sets)
    return ",".join(best), mean


def _task(name: str, file: str, prompt: Prompt, n_items: int) -> Task:
    return Task(
        name, score_json_letters, EXACT_SET, load=partial(questions, name, file, prompt), files=(file,),
        n_items=n_items, max_new_tokens=1024, constant=best_exact_set,
    )  # fmt: skip


TASKS: tuple[Task, ...] = (
    _task("cybersoc-malware", MALWARE, partial(malware_prompt, truncated=False), 609),
    _task("cybersoc-malware-truncated", MALWARE, partial(malware_prompt, truncated=True), 609),
    _task("cybersoc-threat", THREAT, threat_prompt, 588),
)
