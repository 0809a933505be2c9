"""``slmsec card RUN``: what each model of a stored run is worth and what it costs, beside its base."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.files import load_config
from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.wrap import columns
from pytest_slmsec.gates.records.saved_runs import read_json, runs_from_json, stored_path
from pytest_slmsec.gates.records.stored_models import of_model, stored_pairs

if TYPE_CHECKING:
    from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
    from pytest_slmsec.reports.card.limits import CardLimits
    from pytest_slmsec.reports.card.verdicts import Card

DOMINATED = 1
"""Exit status where a dominated form is a failure."""


def add_to(commands: Any) -> None:
    """Declare the verb."""
    making = commands.add_parser(
        "card",
        help="seven axes of each model of a stored run: quality, costs, robustness",
        description="For each model of RUN beside its base: accuracy above chance, latency, size, memory, inference "
        "time, power and robustness, each with its limit, and whether another form of the model dominates it. RUN is a "
        "file of --benchmark-json or its number (0001). Limits and weights stand in [tool.slmsec.card]. "
        "Exit status: 0, or 1 where --worth-it is given and a model is dominated; 2 RUN cannot be read.",
        epilog="example: slmsec card 0001 --worth-it",
    )
    making.add_argument("recorded", metavar="RUN")
    making.add_argument("--base", metavar="MODEL", help="the model of RUN that all others stand beside")
    making.add_argument("--worth-it", action="store_true", help="a model that another one dominates is exit status 1")
    making.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    making.set_defaults(run=card)


def card(args: argparse.Namespace) -> int:
    """Print the cards.

    Raises:
        CompareError: the run cannot be read, or has no model with a base. UsageError: the configuration is wrong.
    """
    from pytest_slmsec.reports.card.limits import read_limits
    from pytest_slmsec.reports.card.text import card_json, card_lines, over_lines

    root = Path.cwd()
    limits = read_limits(load_config(root).get("card", {}), f"{root / 'pyproject.toml'} [tool.slmsec.card]")
    path = stored_path(args.recorded, root)
    content = read_json(path)
    cards = make_cards(runs_from_json(content, str(path)), args.base, seconds_of(content, str(path)), limits)
    print("\n\n".join("\n".join(card_lines(one, limits, columns())) for one in cards))
    if args.json is not None:
        _write(args.json, {"format": 1, "cards": [card_json(one, limits) for one in cards]})
    dominated = over_lines(cards)
    if not (dominated and (args.worth_it or limits.worth_it)):
        return 0
    print("\n".join(["", "FAIL: " + " ".join(dominated)]))
    return DOMINATED


def make_cards(
    runs: Sequence[BenchmarkRun], base: str | None, seconds: Mapping[str, float], limits: CardLimits
) -> list[Card]:
    """A card for each model beside its base.

    Args:
        base: the model that all others stand beside; None: each beside the one that it was made from.

    Raises:
        CompareError: no such model, or no model with a base.
    """
    from pytest_slmsec.reports.card.axes import axes_of
    from pytest_slmsec.reports.card.verdicts import Card, overall, with_dominance

    def beside(base_name: str, model: str) -> Card:
        axes = axes_of(of_model(runs, base_name), of_model(runs, model), limits, seconds)
        return Card(model, base_name, tuple(axes), *overall(axes, limits))

    pairs = _pairs(runs, base)
    bases = {name: beside(name, name) for name, _ in pairs}
    return with_dominance([beside(*pair) for pair in pairs], bases)


def _pairs(runs: Sequence[BenchmarkRun], base: str | None) -> list[tuple[str, str]]:
    models = list(dict.fromkeys(run.model for run in runs))
    if base is None:
        found = stored_pairs(runs)
    elif base not in models:
        raise CompareError(f"The run holds no model {base!r}; it holds {', '.join(models)}.")
    else:
        found = [(base, model) for model in models if model != base]
    if not found:
        raise CompareError(
            f"The run holds {', '.join(models)}, and none of them beside its base: measure both in one run, or name "
            "the base with --base=MODEL."
        )
    return found


def seconds_of(content: Mapping[str, Any], where: str) -> dict[str, float]:
    """Mean seconds an item of each benchmark and model, by `axes.key_of`."""
    found = {}
    for entry in content["benchmarks"]:
        params = entry.get("params") or {}
        mean = (entry.get("stats") or {}).get("mean")
        if params.get("metric") == "latency" and isinstance(mean, (int, float)):
            found[f"{where}\n{params.get('benchmark')}\n{params.get('model')}"] = float(mean)
    return found


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "ascii")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
