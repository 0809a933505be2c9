"""``slmsec synthesize TOPICS.toml``: questions and answers about a tree of topics, written by a teacher model."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.options import DATA, DEVICE, DTYPE, MODEL, SERVER_OPTIONS, TEMPLATE, THINKING, THOUGHT_TOKENS
from pytest_slmsec.config.settings import read_settings
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.version import __version__
from pytest_slmsec.core.wrap import columns, counted, folded, for_stderr, shown, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_slmsec.config.settings import Settings
    from pytest_slmsec.core.items import Generate, Output
    from pytest_slmsec.core.journal import Journal
    from pytest_slmsec.core.models import ModelSpec
    from pytest_slmsec.engines.common.base import Engine
    from pytest_slmsec.execution.model_loader import ModelLoader
    from pytest_slmsec.synthesize.pipeline import Row, Synthesis
    from pytest_slmsec.synthesize.plan import Plan
    from pytest_slmsec.synthesize.topics import Tree

OPTIONS = (DATA, DEVICE, DTYPE, THINKING, TEMPLATE, THOUGHT_TOKENS, *SERVER_OPTIONS)
INTERRUPTED, INCOMPLETE = 130, 1
FORMAT = 1


def add_to(commands: Any) -> None:
    """Declare the verb."""
    making = commands.add_parser(
        "synthesize",
        help="write training data with a teacher model: topics, questions, answers, filters",
        description="Have a teacher model write questions and answers about a tree of topics, and keep what passes the "
        "filters: unparsable, length, refusal, duplicates, overlap with benchmarks, and a judge if you name one "
        "(docs/synthesize.md). TOPICS.toml names the model and the topics. The folder of the run then holds data.jsonl "
        "(conversations, as slmsec finetune takes them), data.csv, rejected.jsonl, topics.json and manifest.json. "
        "Every answer is journaled at once: after Ctrl-C or a crash, --resume asks only what is missing. "
        "Exit status: 0 all was asked and rows are left, 1 some requests got no answer or no row is left, 2 bad input.",
        epilog="example: slmsec synthesize topics.toml --topics-only; edit topics/topics.json; "
        "slmsec synthesize topics.toml --resume",
    )
    making.add_argument("topics", type=Path, metavar="TOPICS.toml")
    making.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: TOPICS, the file's name)")
    making.add_argument("--resume", action="store_true", help="go on in the folder of an earlier run, with its answers")
    making.add_argument(
        "--topics-only", action="store_true", help="stop when the tree of topics is saved, so that you can edit it"
    )
    for option in OPTIONS:
        making.add_argument(option.flag, dest=option.dest, help=option.help, **option.kwargs)
    making.set_defaults(run=synthesize)


def synthesize(args: argparse.Namespace) -> int:
    """Make the data, and print what came of it.

    Raises:
        SlmsecError: the plan, its folder or a model cannot be used.
    """
    from pytest_slmsec.core.journal import Journal
    from pytest_slmsec.execution.openmp import set_openmp
    from pytest_slmsec.synthesize.output import JOURNAL, make_folder
    from pytest_slmsec.synthesize.plan import read_plan

    plan = read_plan(args.topics)
    out = args.out or Path(plan.path.stem)
    _check_folder(out, args.resume)
    run = _Run(plan, out, args)
    make_folder(out)
    set_openmp()
    with closing(Journal.resume(out / JOURNAL)) as journal:
        try:
            return run.whole(journal)
        except KeyboardInterrupt:
            again = shlex.join(["slmsec", "synthesize", str(args.topics), "--out", str(out), "--resume"])
            print(for_stderr(f"\nslmsec: interrupted; {counted(len(journal), 'answer')} in {out / JOURNAL} are kept. "
                             f"Go on with: {again}"), file=sys.stderr)  # fmt: skip
            return INTERRUPTED


def _check_folder(out: Path, resume: bool) -> None:
    """Refuse a folder that holds something else, or an earlier run that is not to be gone on with."""
    from pytest_slmsec.synthesize.output import JOURNAL

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} exists already and is no folder: name another one with --out DIR.")
    if resume and not (out / JOURNAL).is_file():
        raise UsageError(f"{out} holds no earlier run to go on with: leave out --resume, or name its folder with --out "
                         "DIR.")  # fmt: skip
    if not resume and out.is_dir() and any(out.iterdir()):
        what = "an earlier run" if (out / JOURNAL).is_file() else "other files"
        remedy = "go on with it by --resume, or name a new folder with --out DIR"
        if what == "other files":
            remedy = "name a new folder with --out DIR"
        raise UsageError(f"{out} holds {what} already: {remedy}.")


class _Run:
    """One run of the verb.

    Raises:
        UsageError: an option or a model that cannot be used.
    """

    def __init__(self, plan: Plan, out: Path, args: argparse.Namespace) -> None:
        from pytest_slmsec.cli.step_progress import StepProgress

        self.plan, self.out = plan, out
        self.topics_only, self.resume = args.topics_only, args.resume
        self.progress = StepProgress()
        self._origin = ""
        self.settings, self.teacher = _model(plan.model, args)
        self.judge = None if plan.filters.judge is None else _model(plan.filters.judge, args)[1]

    def whole(self, journal: Journal) -> int:
        """All steps; returns the exit status."""
        from pytest_slmsec.execution.model_loader import ModelLoader
        from pytest_slmsec.synthesize.filters import Benchmarks
        from pytest_slmsec.synthesize.output import write_manifest, write_rows, write_tree
        from pytest_slmsec.synthesize.pipeline import Synthesis

        if self.resume:
            self.progress.tell(f"resuming with {counted(len(journal), 'answer')} of {journal.path}")
        loader = ModelLoader(lambda spec: _load(spec, self.settings, self.progress), self.progress)
        asking = _Asking(loader, journal, self.progress)
        patterns = () if self.topics_only else self.plan.filters.benchmarks
        made = Synthesis(
            self.plan, lambda step, requests: asking(self.teacher, step, requests),
            Benchmarks(patterns, self.settings.data),
        )  # fmt: skip
        try:
            tree = self._tree(made)
            write_tree(self.out, tree)
            leaves = list(tree.leaves())
            if self.topics_only:
                self._print_topics(leaves)
                return INCOMPLETE if made.failed else 0
            rows = made.answers(made.questions(leaves))
            if self.judge is not None:
                judge = self.judge
                rows = made.judged(rows, lambda step, requests: asking(judge, step, requests))
            write_rows(self.out, rows, made.rejected, self.teacher.name)
            write_manifest(self.out, self._manifest(made, tree, rows, loader))
        finally:
            loader.unload()
        self._print_rows(made, leaves, rows)
        return INCOMPLETE if made.failed or not rows else 0

    def _tree(self, made: Synthesis) -> Tree:
        from pytest_slmsec.synthesize.output import TOPICS
        from pytest_slmsec.synthesize.topics import read_tree, read_tree_file

        topics, saved = self.plan.topics, self.out / TOPICS
        self._origin = "the plan"
        if topics.tree is not None:
            return read_tree(topics.tree, f"{self.plan.path}: [topics] tree")
        if topics.file is not None:
            return read_tree_file(self.plan.path.parent / topics.file)
        if self.resume and saved.is_file():
            self._origin = TOPICS
            self.progress.tell(f"the topics are those of {saved}; remove it to have them made again")
            return read_tree_file(saved)
        self._origin = "the model"
        return made.grown_tree()

    def _manifest(self, made: Synthesis, tree: Tree, rows: Sequence[Row], loader: ModelLoader) -> dict[str, Any]:
        from pytest_slmsec.core.identity import sha256_file
        from pytest_slmsec.synthesize.output import ROWS, TABLE, TOPICS
        from pytest_slmsec.synthesize.prompts import JUDGE_PROMPT

        plan = self.plan
        leaves = list(tree.leaves())
        return {
            "format": FORMAT,
            "version": __version__,
            "plan": {"name": plan.path.name, "sha256": sha256_file(plan.path)},
            "model": self._facts(self.teacher, loader),
            "judge": None if self.judge is None else {**self._facts(self.judge, loader), "prompt": JUDGE_PROMPT},
            "topics": {"from": self._origin, "leaves": len(leaves), "duplicates": tree.duplicates,
                       "unusable_names": tree.too_long, **_without_tree(asdict(plan.topics))},
            "questions": asdict(plan.questions) | {"read": made.listed, "beyond_the_number": made.surplus},
            "answers": asdict(plan.answers),
            "filters": asdict(plan.filters),
            "requests": dict(made.asked),
            "tokens": dict(made.tokens),
            "left_out": {step: made.counts(step) for step in made.asked},
            "benchmarks": {"checked": made.benchmarks.checked, "unchecked": made.benchmarks.unchecked},
            "rows": len(rows),
            "files": {name: sha256_file(self.out / name) for name in (ROWS, TABLE, TOPICS)},
        }  # fmt: skip

    def _facts(self, spec: ModelSpec, loader: ModelLoader) -> dict[str, Any]:
        """What is known of a model; only its name where it was never asked."""
        info = loader.info(spec)
        if info is None:
            return {"name": spec.name}
        known = ("engine", "device", "dtype", "weights_sha256", "tokenizer_sha256", "template_sha256")
        return {"name": spec.name, **{name: getattr(info, name) for name in known}}

    def _print_topics(self, leaves: Sequence[tuple[str, ...]]) -> None:
        from pytest_slmsec.synthesize.output import TOPICS

        print(f"{counted(len(leaves), 'topic')} in {self.out / TOPICS}:")
        for leaf in leaves:
            print("\n".join(wrapped(f"  {shown(' > '.join(leaf))}", columns(), "    ")))
        again = shlex.join(["slmsec", "synthesize", str(self.plan.path), "--out", str(self.out), "--resume"])
        print(f"Edit the file, then go on with: {again}")

    def _print_rows(self, made: Synthesis, leaves: Sequence[Any], rows: Sequence[Row]) -> None:
        from pytest_slmsec.synthesize.filters import FAILED
        from pytest_slmsec.synthesize.output import REJECTED, ROWS, TABLE

        print(f"{counted(len(leaves), 'topic')}, {counted(made.listed, 'question')} read, {counted(len(rows), 'row')} "
              "kept")  # fmt: skip
        for step, n in made.asked.items():
            counts = [f"{count} {reason.replace('_', ' ')}" for reason, count in made.counts(step).items() if count]
            left = f"; left out: {', '.join(counts)}" if counts else ""
            print("\n".join(wrapped(f"  {step:<10} {counted(n, 'request')}{left}", columns(), "    ")))
        if missing := made.benchmarks.unchecked:
            names = folded(sorted(missing), 4)
            text = (f"not compared with the published items of {counted(len(missing), 'benchmark')} ({names}): name "
                    "their files with --slmsec-data=DIR")  # fmt: skip
            print("\n".join(wrapped(f"  {text}", columns(), "    ")))
        print(f"rows: {self.out / ROWS}, {self.out / TABLE}; left out: {self.out / REJECTED}")
        if made.failed:
            first = next(one.detail for one in made.rejected if one.reason == FAILED)
            self.progress.tell(f"{counted(made.failed, 'request')} got no answer (the first: {shown(first)}); --resume "
                               "asks them again.")  # fmt: skip
        elif not rows:
            self.progress.tell(f"no row is left; {self.out / REJECTED} says why of each. A better teacher, or wider "
                               "[filters], would keep some.")  # fmt: skip


def _without_tree(topics: dict[str, Any]) -> dict[str, Any]:
    """The settings of topics; the tree has a file of its own."""
    return {name: value for name, value in topics.items() if name != "tree"}


def _model(name: str, args: argparse.Namespace) -> tuple[Settings, ModelSpec]:
    """The settings with one model, and that model."""
    settings = read_settings({**vars(args), MODEL.dest: [name]}, Path.cwd(), {})
    if len(settings.models) != 1:
        raise UsageError(f"model = {name!r} names {len(settings.models)} models; one writes the data.")
    if settings.models[0].source == "replay":
        raise UsageError(f"{name} holds recorded answers, and no model that could be asked; name the model itself.")
    return settings, settings.models[0]


def _load(spec: ModelSpec, settings: Settings, progress: Any) -> Engine:
    from pytest_slmsec.quantize.load_model import make_engine

    steps = replace(settings.engine, progress=lambda what, done: progress.say(f"{what} ({done:.0%})"),
                    notice=progress.tell)  # fmt: skip
    return make_engine(spec, steps)


class _Asking:
    """Asks a model all requests of a step, answers of the journal reused."""

    def __init__(self, loader: ModelLoader, journal: Journal, progress: Any) -> None:
        self._loader, self._journal, self._progress = loader, journal, progress

    def __call__(self, spec: ModelSpec, step: str, requests: Sequence[Generate]) -> list[Output]:
        """The outputs, in the order of the requests.

        Raises:
            UsageError: the model cannot be asked such requests.
        """
        from pytest_slmsec.engines.common.base import unable
        from pytest_slmsec.execution import batch_runner

        resident = self._loader.load(spec)
        why = unable(resident.engine, requests[0])
        if why is not None:
            raise UsageError(f"{spec.name} cannot write the {step}: {why}.")
        self._progress.start(f"{step} by {spec.name}", len(requests))
        try:
            found = batch_runner.ask(resident, requests, self._journal, self._progress.advance)
        finally:
            self._progress.stop()
        return [one.output for one in found]
