"""``slmsec bundle RUN``: everything behind a decision in one folder or zip that checks itself."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.cli.compare import choose
from pytest_slmsec.config.files import load_config, read_gate
from pytest_slmsec.config.options import PRESET
from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.gates.records.saved_runs import read_json, stored_path
from pytest_slmsec.gates.records.stored_models import of_model, stored_pairs
from pytest_slmsec.replay.registry import CHOOSE

if TYPE_CHECKING:
    from pytest_slmsec.gates.decision.judgement import Judgement
    from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
    from pytest_slmsec.reports.page.records import Record


def add_to(commands: Any) -> None:
    """Declare the verb."""
    bundling = commands.add_parser(
        "bundle",
        help="put a stored run into one folder or zip that anyone can check",
        description="Write the verdicts on RUN, every item's answer and score, the environment, hashes, JUnit and "
        "licences into one folder (or zip), with a script that checks all of it with Python's standard library alone. "
        "The same run gives the same bytes. RUN is a file of --benchmark-json or its number (0001).",
        epilog="example: slmsec bundle 0001 --out decision.zip && python -I verify.py decision.zip",
    )
    bundling.add_argument("recorded", metavar="RUN")
    bundling.add_argument("--out", type=Path, metavar="PLACE", help="a new folder, or a .zip (default: RUN.bundle)")
    bundling.add_argument(
        "--base", metavar="RUN[::MODEL]",
        help="judge every model of RUN against this stored one (default: quantised models against their base in RUN)",
    )  # fmt: skip
    bundling.add_argument("--preset", help=PRESET.help, **PRESET.kwargs)
    bundling.set_defaults(run=bundle)


def bundle(args: argparse.Namespace) -> int:
    """Write the bundle and print where, and its digest.

    Raises:
        CompareError: a run cannot be read, or nothing of it could be judged. UsageError: it cannot be written.
    """
    from pytest_slmsec.reports.bundle.contents import bundle_files
    from pytest_slmsec.reports.bundle.verify import MANIFEST, SELF
    from pytest_slmsec.reports.bundle.write import write_bundle
    from pytest_slmsec.reports.page.document import Wanted, page
    from pytest_slmsec.reports.page.records import Report, in_time

    root = Path.cwd()
    path = stored_path(args.recorded, root)
    content, record = _read(path)
    bases = [] if args.base is None else [_base(args.base, root)]
    base_runs = [run for base in bases for run in base.runs]
    judgements = _judged(record.runs, base_runs, root, args.preset, content.get("datetime"))
    drawn = page(Report(in_time([record, *bases]), tuple(judgements)), Wanted())
    registry = {**shipped_registry(), **load_config(root).get("models", {})}
    files = bundle_files(content, record.runs, base_runs, judgements, registry, drawn)
    place = args.out or Path(f"{path.stem}.bundle")
    write_bundle(place, files)
    for judgement in judgements:
        print(f"{judgement.candidate} against {judgement.base}: {judgement.verdict.value}")
    print(f"{place}: {len(files)} files, sha256 {json.loads(files[MANIFEST])[SELF]}")
    print(f"Check it: python -I {place / 'verify.py' if place.is_dir() else f'verify.py {place}'}")
    return 0


def _read(path: Path) -> tuple[dict[str, Any], Record]:
    """A stored file and its record. Messages name the file without its folder: the bytes must not hang on that."""
    from pytest_slmsec.reports.page.records import record_from_json

    content = read_json(path)
    return content, record_from_json(content, path.name)


def _base(text: str, root: Path) -> Record:
    name, _, model = text.rpartition(CHOOSE) if CHOOSE in text else (text, "", "")
    record = _read(stored_path(name, root))[1]
    return record.of(choose(record.runs, model or None, name))


def _judged(
    runs: Sequence[BenchmarkRun], bases: Sequence[BenchmarkRun], root: Path, preset: str | None, when: Any
) -> list[Judgement]:
    """The verdicts, as of the day of the run, so that they do not change with the day on which they are bundled."""
    from pytest_slmsec.gates.decision.decide import judge

    config = read_gate(root, preset)
    day = _day(when)
    if bases:
        sides = [(bases, of_model(runs, model)) for model in dict.fromkeys(run.model for run in runs)]
    else:
        sides = [(of_model(runs, base), of_model(runs, model)) for base, model in stored_pairs(runs)]
    return [judge(base, candidate, config, day) for base, candidate in sides]


def _day(when: Any) -> date:
    """The day of a stored run; of one that does not say, the first, on which no margin has expired."""
    try:
        return date.fromisoformat(str(when)[:10])
    except ValueError:
        if when is not None:
            raise CompareError(f"The run has the date {when!r}, which is none; measure it again.") from None
        return date.min
