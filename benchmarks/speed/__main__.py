"""How fast choices are scored and answers generated, beside lm-evaluation-harness, in one process on one model.

    python benchmarks/speed                          # every case, small sizes: some minutes on two cores
    python benchmarks/speed --items 300 --repeats 3  # the sizes of the documentation
    python benchmarks/speed --cases letter-0 text-5 --dtypes bf16 --batch-sizes 8 64

Each case runs lm-eval's HFLM at fixed batch sizes and our engine in turns, checks that the results agree, and prints
CPU and wall seconds, their ratio to the best batch size, and tokens fed for each token needed. `generate-fixed` runs
every answer to the limit, `generate-varied` lets each end by itself, and `generate-answered` holds our engine, which
ends an answer as soon as it is complete, against itself running to the limit. SLMSEC_DATA gives the published CTI-MCQ
prompts; without it the project's own items are used. The extra `nlp` brings lm-eval.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from asked import Question, load_items, questions
from harness import Fed, LmEval, Measured, Ours, measure
from model import SHAPES, TEXT_VOCABULARY, build_model, build_tokenizer, set_ends
from table import Row, peak_flops, print_header, print_rows

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CHOICES = {"letter-0": (False, 0), "text-0": (True, 0), "letter-5": (False, 5), "text-5": (True, 5)}
GENERATION = ("generate-fixed", "generate-varied", "generate-answered")
ANSWERED = "[0-9j]"
"""Stands for a complete answer: in random text it comes after some 28 tokens, always within 140."""
ANSWERED_TIMES, TO_THE_LIMIT = 4, -1
TOLERANCE_NATS = {"fp32": 1e-3, "bf16": 1.0, "fp16": 0.25}
"""lm-eval takes its log-softmax in the dtype of the model, on a grid of 1/16 in bf16."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python benchmarks/speed", description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=60, help="questions a case (default 60)")
    parser.add_argument("--answers", type=int, default=24, help="answers a generation case (default 24)")
    parser.add_argument(
        "--new-tokens", type=int, default=48, help="longest answer (default 48; four times that in generate-answered)"
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; the median counts (default 1)")
    parser.add_argument("--cases", nargs="+", choices=[*CHOICES, *GENERATION], default=[*CHOICES, *GENERATION])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["bf16", "fp32"])
    parser.add_argument("--vocabularies", nargs="+", type=int, default=[4096, 32000], metavar="N")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 8, 16, 64], metavar="N")
    parser.add_argument("--shape", choices=SHAPES, default="small", help="small: 8 layers of 512; phi3: Phi-3-mini's")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--plot", type=Path, help="write a picture of cost against the number of questions, to FILE.png"
    )
    parser.add_argument("--plot-up-to", type=int, default=10000, help="most questions in the picture (default 10000)")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run every case asked for."""
    args = arguments(given)
    logging.disable(logging.WARNING)
    items, source = load_items(os.environ.get("SLMSEC_DATA"), args.items)
    tokenizer = build_tokenizer([text for one in questions(items, False, 0) for text in (one.context, *one.choices)])
    print(f"{args.shape} model of random weights on {args.device}, {torch.get_num_threads()} threads; "
          f"{args.items} CTI-MCQ questions ({source})", flush=True)  # fmt: skip
    wrong = 0
    for dtype in args.dtypes:
        peak = peak_flops(DTYPES[dtype], args.device)
        print(f"\n{dtype}: matrix products reach {peak / 1e9:,.0f} GFLOP/s here", flush=True)
        print_header()
        for vocabulary in args.vocabularies:
            pair = Pair(*(build_model(SHAPES[args.shape], vocabulary, DTYPES[dtype], args.device) for _ in range(2)))
            for case in args.cases:
                if case == "generate-answered" and vocabulary != TEXT_VOCABULARY:
                    continue  # other ids than the tokenizer's have no text to find an answer in
                row, agrees = run_case(case, args, items, pair, tokenizer, dtype, vocabulary, peak)
                print_rows([row])
                if not agrees:
                    wrong += 1
                    print(f"  {case}: the scores do NOT agree: {row.agreement}")
    if args.plot:
        from plot import plot_cost

        plot_cost(args.plot, tokenizer, args)
    return 1 if wrong else 0


class Pair:
    """Two models with the same weights, one for each harness, and how many tokens they were fed."""

    def __init__(self, ours: Any, theirs: Any) -> None:
        self.ours, self.theirs = ours, theirs
        self.fed = Fed(ours, theirs)


def run_case(
    case: str, args: argparse.Namespace, items: Sequence[Any], pair: Pair, tokenizer: Any, dtype: str,
    vocabulary: int, peak: float,
) -> tuple[Row, bool]:  # fmt: skip
    """Both harnesses in turns on one case."""
    set_ends([pair.ours, pair.theirs], vocabulary, case == "generate-varied")
    ours, theirs, fed = Ours(pair.ours, tokenizer), dict[int, Any](), pair.fed
    if case == "generate-answered":
        asked = questions(items, False, 0)[: args.answers]
        limit = ANSWERED_TIMES * args.new_tokens
        work: dict[int, Any] = {0: lambda: ours.generate(asked, limit, ANSWERED)}
        theirs[TO_THE_LIMIT] = ours
        work[TO_THE_LIMIT] = lambda: [_answered(text) for text in ours.generate(asked, limit)]
    elif case in CHOICES:
        asked = questions(items, *CHOICES[case])
        theirs = {size: LmEval(pair.theirs, tokenizer, size) for size in args.batch_sizes}
        work = {0: lambda: ours.choose(asked)} | {size: _choosing(lm, asked) for size, lm in theirs.items()}
    else:
        asked = questions(items, False, 0)[: args.answers]
        theirs = {size: LmEval(pair.theirs, tokenizer, size) for size in args.batch_sizes}
        work = {0: lambda: ours.generate(asked, args.new_tokens)}
        work |= {size: _generating(lm, asked, args.new_tokens) for size, lm in theirs.items()}
    runs: dict[int, list[Measured]] = {size: [] for size in work}
    for _ in range(args.repeats):
        for size in work:
            runs[size].append(measure(work[size], fed))
    needed = ours.needed(asked) if case in CHOICES else None
    flops = None if needed is None else 2 * needed * SHAPES[args.shape].weights
    agreement, agrees = _agreement(
        runs[0][0].results, [runs[size][0].results for size in theirs], TOLERANCE_NATS[dtype]
    )
    median = {size: statistics.median(run.cpu_s for run in some) for size, some in runs.items()}
    wall = {size: statistics.median(run.wall_s for run in some) for size, some in runs.items()}
    best = min(theirs, key=lambda size: wall[size] if args.device != "cpu" else median[size])
    return Row(case, dtype, vocabulary, ours.path, median[0], wall[0], best, median[best], wall[best], runs[0][0].fed,
               runs[best][0].fed, needed, None if flops is None else flops / wall_or_cpu(args, wall, median) / peak,
               agreement, args.device == "cpu"), agrees  # fmt: skip


def wall_or_cpu(args: argparse.Namespace, wall: dict[int, float], cpu: dict[int, float]) -> float:
    """Our seconds: of the processor on a CPU, of the clock on a GPU."""
    return cpu[0] if args.device == "cpu" else wall[0]


def _choosing(lm: LmEval, asked: Sequence[Question]) -> Any:
    return lambda: lm.choose(asked)


def _generating(lm: LmEval, asked: Sequence[Question], limit: int) -> Any:
    return lambda: lm.generate(asked, limit)


def _answered(text: str) -> str:
    """`text` up to its first complete answer."""
    found = re.search(ANSWERED, text)
    return text if found is None else text[: found.end()]


def _agreement(ours: Sequence[Any], others: Sequence[Sequence[Any]], tolerance: float) -> tuple[str, bool]:
    """How far the results are from each other, in words, and whether that is near enough."""
    if isinstance(ours[0], str):
        same = min(sum(a == b for a, b in zip(ours, other, strict=True)) for other in others)
        return f"{same} of {len(ours)} texts", same == len(ours) or tolerance >= 0.25
    off = max(abs(a - b) for other in others for one, two in zip(ours, other, strict=True)
              for a, b in zip(one, two, strict=True))  # fmt: skip
    return f"{off:.1g} nats", off <= tolerance


if __name__ == "__main__":
    sys.exit(main())
