"""``TASK.outputs.json``: a JSON list of ``{item_id: "index_0", prompt, response, inference_time_sec,
tokens_generated}``, rows of the published file counted from 0. Where ids have another form, items are found by their
prompts. ``TASK.metrics.json`` beside it says how the run was made. A response that begins with ``Generation Error:`` is
no answer.

Whether an answer was cut at the token limit is not recorded, so each text is scored as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.core.items import Output
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.files import field, json_of, shown, text_of
from pytest_slmsec.replay.padding import padding

FORM = "TASK.outputs.json"
OUTPUTS, METRICS = ".outputs.json", ".metrics.json"
# "index_0".
ROW = re.compile(r"index_(\d{1,9})")
FAILED = "Generation Error:"
MIB = 2**20


def reads(path: Path) -> bool:
    """By its name."""
    return path.name.endswith(OUTPUTS)


def read(path: Path) -> list[Recording]:
    """See `base.Reader`."""
    rows = json_of(text_of(path), str(path))
    if not isinstance(rows, list) or not rows:
        raise ReplayError(f"{path} holds no answers: there is nothing to score; record the run again.")
    answers = sorted((_answer(path, number, row) for number, row in enumerate(rows, 1)), key=lambda a: a.row or 0)
    arguments, measured = _metrics(path)
    numbered = all(answer.row is not None for answer in answers)
    wanted = arguments.get("num_samples")
    last = max(answer.row or 0 for answer in answers)
    n_rows = max(last, wanted) if isinstance(wanted, int) and wanted > 0 else last
    batch = arguments.get("batch_size") or 1
    costs, reasons = _costs(answers, batch if isinstance(batch, int) else None, measured)
    model = arguments.get("model_path")
    return [
        Recording(
            path,
            path.name.removesuffix(OUTPUTS),
            tuple(answers),
            model=Path(model).name if isinstance(model, str) and Path(model).name else None,
            rows=range(1, n_rows + 1) if numbered else None,
            decoding={"max_new_tokens": arguments.get("max_new_tokens")},
            costs=costs,
            reasons=reasons,
        )
    ]


def _answer(path: Path, number: int, row: Any) -> Recorded:
    where = f"{path}, record {number}"
    if not isinstance(row, Mapping):
        raise ReplayError(f"{where}: {shown(row)} is no JSON object.")
    name, text = field(row, "item_id", str, where), field(row, "response", str, where)
    found = ROW.fullmatch(name)
    prompt = field(row, "prompt", str, where)
    if found is None and not prompt.strip():
        raise ReplayError(f"{where}: the item id {shown(name)} is not of the form index_0, and there is no prompt by "
                          "which its item could be found.")  # fmt: skip
    tokens = field(row, "tokens_generated", int, where)
    seconds = field(row, "inference_time_sec", (float, int, type(None)), where) if "inference_time_sec" in row else None
    failed = f"recorded as an error: {shown(text)}" if text.startswith(FAILED) else None
    output = Output(text, prompt_tokens=None, new_tokens=tokens, error=failed, seconds=seconds)
    place = int(found[1]) + 1 if found else None
    return Recorded(f"record {number} ({name})", output, row=place, prompt=prompt)


def _metrics(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """How the run was made, and what it measured; both empty without the file."""
    beside = path.with_name(path.name.removesuffix(OUTPUTS) + METRICS)
    if not beside.is_file():
        return {}, {}
    value = json_of(text_of(beside), str(beside))
    tables = [value.get(key) or {} if isinstance(value, Mapping) else None for key in ("run_args", "inference_metrics")]
    for table in tables:
        if not isinstance(table, Mapping):
            raise ReplayError(f"{beside} holds no table 'run_args' or 'inference_metrics': remove or mend it.")
    return tables[0] or {}, tables[1] or {}


def _costs(
    answers: Sequence[Recorded], batch: int | None, measured: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What was measured, and why the rest is missing. The peak of a padded batch is that of the padding."""
    counts = [answer.output.new_tokens or 0 for answer in answers]
    padded = padding(counts, [answer.output.text or "" for answer in answers], batch)
    seconds, peak = (
        value if isinstance(value, (int, float)) and value > 0 else None
        for value in (measured.get("total_generate_time_sec"), measured.get("pytorch_vram_peak_inference_mb"))
    )
    costs: dict[str, Any] = {"largest_batch": batch}
    if padded:
        return costs, {"decode_tokens_per_s": padded, "peak_gpu_bytes": padded}
    if seconds and sum(counts):
        costs["decode_tokens_per_s"] = sum(counts) / seconds
    if peak:
        costs["peak_gpu_bytes"] = round(peak * MIB)
    return costs, {}
