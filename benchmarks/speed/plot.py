"""Cost against the number of questions, as a picture."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from asked import load_items, questions
from harness import Fed, LmEval, Ours, measure
from model import SHAPES, build_model

COUNTS = (100, 300, 1000, 3000, 10000)
THEIRS_UP_TO = 1000
"""lm-eval's cost grows in proportion from here on; our own is measured to the end."""


def plot_cost(path: Path, tokenizer: Any, args: argparse.Namespace) -> None:
    """Measure one case (letters, no examples, fp32, the first vocabulary) at growing counts and draw both lines.

    Args:
        path: a PNG file. args: of the command; its last dtype and batch size are taken.

    Raises:
        SystemExit: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib") from None
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[args.dtypes[-1]]
    mine, other = (build_model(SHAPES[args.shape], args.vocabularies[0], dtype, args.device) for _ in range(2))
    fed = Fed(mine, other)
    lines: dict[str, list[tuple[int, float]]] = {"pytest-slmsec": [], f"lm-eval, batch {args.batch_sizes[-1]}": []}
    ours, theirs = Ours(mine, tokenizer), LmEval(other, tokenizer, args.batch_sizes[-1])
    for count in (count for count in COUNTS if count <= args.plot_up_to):
        items, _ = load_items(os.environ.get("SLMSEC_DATA"), count)
        asked = questions(items, False, 0)
        for (name, points), harness in zip(lines.items(), (ours, theirs), strict=True):
            if harness is ours or count <= THEIRS_UP_TO:
                run = measure(lambda harness=harness, asked=asked: harness.choose(asked), fed)  # type: ignore[misc]
                points.append((count, run.cpu_s if args.device == "cpu" else run.wall_s))
                print(f"{name:24} {count:6} questions {points[-1][1]:8.2f} s", flush=True)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        axes.loglog(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xlabel("questions (CTI-MCQ, by letter)")
    axes.set_ylabel("CPU seconds" if args.device == "cpu" else "seconds")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")
