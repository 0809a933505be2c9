"""``slmsec simulate``: how long a campaign would take on many workers that fail, before anything is rented."""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.wrap import columns, counted, wrapped

if TYPE_CHECKING:
    from pytest_slmsec.campaign.simulate import Simulated, Work

HOUR_S = 3600.0
Numbers = tuple[tuple[str, type, float, str, str], ...]
COUNTS: Numbers = (
    ("--models", int, 1000, "N", "models"),
    ("--benchmarks", int, 20, "N", "benchmarks of each model"),
    ("--items", int, 10_000, "N", "items of each benchmark"),
    ("--benchmarks-per-session", int, 4, "N", "benchmarks that one process asks"),
    ("--window", int, 256, "N", "items of a window; a failure loses the one in flight"),
    ("--workers", int, 1000, "N", "GPUs or machines, each with one session at a time"),
)
TIMES: Numbers = (
    ("--item-s", float, 0.1, "SECONDS", "to answer one item"),
    ("--start-s", float, 20.0, "SECONDS", "to start a session (process and collection), or a replica of a pool"),
    ("--load-s", float, 60.0, "SECONDS", "to load a model, once a session and after each failure"),
    ("--failure-h", float, 50.0, "HOURS", "between two failures of one worker, on average; 0: none fails"),
    ("--repair-s", float, 300.0, "SECONDS", "from a failure until the worker works again"),
)
OTHERS: Numbers = (
    ("--spread", float, 0.0, "SIGMA", "how much the models differ: sigma of the logarithm of their times an item"),
    ("--seed", int, 0, "N", "of what is drawn"),
)
LEAST_ONE = tuple(name for name, *_ in COUNTS)


def add_to(commands: Any) -> None:
    """Declare the verb."""
    verb = commands.add_parser(
        "simulate",
        help="how long a campaign would take on many workers that fail",
        description="Simulate models x benchmarks on workers that fail at random, and show the makespan as a share of "
        "the ideal (no starts, no failures, evenly divided). Take times from your own records: a simulation is as good "
        "as they are.",
        epilog="example: slmsec simulate --models 200 --workers 16 --item-s 0.05 --load-s 40 --failure-h 24",
    )
    for name, kind, default, unit, text in (*COUNTS, *TIMES, *OTHERS):
        shown = f"{default:,}" if kind is int else f"{default:g}"
        verb.add_argument(name, type=kind, default=default, metavar=unit, help=f"{text} (default: {shown})")
    verb.add_argument(
        "--pool", action="store_true",
        help="hand single windows to replicas that keep their model, and help each other at the end, instead of whole "
        "sessions to workers",
    )  # fmt: skip
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate, and print what was found.

    Raises:
        UsageError: a number cannot be used.
    """
    from pytest_slmsec.campaign.simulate import Failures, simulate
    from pytest_slmsec.campaign.simulate_pool import simulate_pool

    _check(args)
    failures = Failures(args.failure_h * HOUR_S, args.repair_s) if args.failure_h else None
    sessions = _sessions(args)
    schedule: Callable[..., Simulated] = partial(simulate_pool, replica_s=args.start_s) if args.pool else simulate
    found = schedule(sessions, args.workers, failures, args.seed)
    calm = schedule(sessions, args.workers)
    print("\n".join([*_assumed(args), *_lines(found, calm)]))
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, *_ in (*COUNTS, *TIMES, *OTHERS):
        value = getattr(args, name.removeprefix("--").replace("-", "_"))
        least = 1 if name in LEAST_ONE else 0
        if not math.isfinite(value) or value < least:
            raise UsageError(f"{name}={value}: must be a number of at least {least}.")
    if not args.item_s:
        raise UsageError("--item-s=0: must be more than 0.")


def _sessions(args: argparse.Namespace) -> list[Work]:
    """All sessions, those of a model next to each other; for a pool each model is one. Equal ones are one object."""
    from pytest_slmsec.campaign.simulate import Work, windows

    draw, found = random.Random(args.seed), list[Work]()
    n_together = args.benchmarks if args.pool else args.benchmarks_per_session
    start_s = args.load_s if args.pool else args.start_s + args.load_s
    whole, rest = divmod(args.benchmarks, n_together)
    parts = [n_together] * whole + ([rest] if rest else [])
    made: dict[tuple[float, int], Work] = {}
    for _ in range(args.models):
        item_s = args.item_s * math.exp(draw.gauss(0.0, args.spread))
        for part in parts:
            work = made.get((item_s, part))
            if work is None:
                of_each = windows(args.items, args.window, item_s)
                work = made[item_s, part] = Work.of(start_s, of_each * part)
            found.append(work)
    return found


def _assumed(args: argparse.Namespace) -> list[str]:
    size = f"{counted(args.models, 'model')} x {counted(args.benchmarks, 'benchmark')} x {counted(args.items, 'item')}"
    fails = f"a failure of each worker every {args.failure_h:g} h, repaired in {args.repair_s:g} s"
    spread = f", models differ by a sigma of {args.spread:g}" if args.spread else ""
    started = "replica" if args.pool else f"session of {counted(args.benchmarks_per_session, 'benchmark')}"
    text = (
        f"assumed: {args.item_s:g} s an item{spread}; {args.start_s:g} s to start a {started} and {args.load_s:g} s to "
        f"load a model; windows of "
        f"{args.window:,} items; {fails if args.failure_h else 'no failures'}; seed {args.seed}"
    )
    return [f"simulated, not measured: {size} on {counted(args.workers, 'worker')}", *wrapped(text, columns())]


def _lines(found: Simulated, calm: Simulated) -> list[str]:
    from pytest_slmsec.campaign.text import duration

    whole_s = found.makespan_s * found.workers
    parts = {"computing": found.computing_s, "starting and loading": found.starting_s, "lost by failures": found.lost_s,
             "idle or in repair": found.idle_s}  # fmt: skip
    share = ", ".join(f"{name} {seconds / whole_s:.2%}" for name, seconds in parts.items())
    return [
        f"makespan        {duration(found.makespan_s)}",
        f"ideal           {duration(found.ideal_s)} (no starts, no failures, evenly divided)",
        f"share of ideal  {found.share_of_ideal:.1%}; without failures {calm.share_of_ideal:.1%}",
        f"events          {counted(found.starts, 'start')}, {counted(found.failures, 'failure')}",
        *wrapped(f"time of workers {share}", columns(), " " * 16),
    ]
