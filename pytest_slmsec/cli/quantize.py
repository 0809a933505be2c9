"""``slmsec quantize BASE QUANT``: make a quantised model and compare it with its base."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.engines.common.checkpoint import MANIFEST
from pytest_slmsec.engines.common.quantized_share import LEAST_SHARE, named_left
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.calibration import prompts_by_id
from pytest_slmsec.quantize.registry import NO_SCALES, WHOLE_ROW
from pytest_slmsec.quantize.store import ensure_quantized
from pytest_slmsec.tasks.registry import tasks

SCALES = {WHOLE_ROW: "one scale an output channel", NO_SCALES: "no scales"}


def quantize(
    spec: ModelSpec, settings: EngineSettings, calibration: Path | None, group_size: int | None, data: str | None
) -> int:
    """Make a quantised model, or find the one made before, and print how it compares with its base.

    Args:
        data: folder of published files whose items the calibration text must not hold; our own items always count.

    Raises:
        QuantizeError, ModelError, MissingExtraError: see `quantize.store.ensure_quantized`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    items, unread = item_prompts([fixtures_dir() / "data", *([Path(data).expanduser()] if data else [])])
    if unread:
        console.print(f"the calibration text was not searched for items that need packages not installed: {unread}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{spec.name}: loading", total=1.0)

        def progress(what: str, fraction: float) -> None:
            bar.update(task, description=what, completed=fraction)
            if not console.is_terminal:
                console.print(what, highlight=False)

        directory = ensure_quantized(spec, replace(settings, progress=progress), calibration, group_size, items)
    print_manifest(spec, directory, json.loads((directory / MANIFEST).read_text("utf-8")))
    return 0


def item_prompts(roots: list[Path]) -> tuple[dict[str, str], str]:
    """Prompts by item id of every benchmark whose files are in one of the folders, and the names of the benchmarks that
    cannot be read because a package is not installed."""
    found: list[tuple[str, str]] = []
    unread: dict[str, None] = {}
    for root in roots:
        for task in tasks().values():
            try:
                found += [(item.id, item.prompt) for item in (task.load(root) if task.load else ())]
            except DataUnavailable:
                continue  # a folder need not hold every benchmark
            except ModuleNotFoundError:
                unread[task.name] = None
    return prompts_by_id(found), ", ".join(unread)


def print_manifest(spec: ModelSpec, directory: Path, manifest: dict[str, Any]) -> None:
    """The figures of a quantised model, one fact a line."""
    recipe, check = manifest["recipe"], manifest["verification"]
    scales = SCALES.get(recipe["group_size"], f"group size {recipe['group_size']}")
    print(f"{spec.name}: {recipe['bits']} bits, {scales}, {recipe['package']}")
    print(f"  weights       {manifest['weight_bytes'] / 2**20:,.1f} MiB in {directory}")
    for fact in tensor_facts(manifest.get("details", {})):
        print(f"  tensors       {fact}")
    for fact in share_facts(manifest.get("quantized", {})):
        print(f"  quantised     {fact}")
    if manifest["calibration_lines"]:
        print(f"  calibration   {manifest['calibration_lines']} lines, sha256 {manifest['calibration_sha256'][:12]}")
    print(
        f"  against base  mean KL {check['mean_kl_nats']:.2g} nats, same top in {100 * check['same_top_rate']:.1f} % "
        f"of {check['tokens']} {check['compared']}"
    )
    for warning in check["warnings"]:
        print(f"  warning       generated text shows {warning}, which the base's does not")
    print(f"Evaluate it: pytest benchmarks/ --model={spec.base} --model={spec.name}")


def share_facts(quantized: Mapping[str, Any]) -> list[str]:
    """The share of the weights that is quantised, and the weights left where they are many."""
    if not quantized:
        return []
    found = [f"{100 * quantized['share']:.1f} % of {quantized['weights']:,} weights of layers"]
    if quantized["share"] < LEAST_SHARE:
        found.append(f"left in full precision: {named_left(quantized['left'])}")
    return found


def tensor_facts(details: Mapping[str, Any]) -> list[str]:
    """The number of tensors of each type in a GGUF file, and why some have another type than the requested one."""
    if not (types := details.get("tensor_types")):
        return []
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items(), key=lambda pair: -pair[1]))
    found = [f"{counts}; {details['bits_per_weight']:.2f} bits a weight"]
    if fallback := details["fallback"]:
        found.append(f"{fallback['tensors']} fell back to {' and '.join(fallback['types'])}: {fallback['why']}")
    if differing := details["probe_texts_cut_differently"]:
        found.append(f"{differing} of {details['probe_texts']} texts are cut differently by the file's own tokenizer")
    return found
