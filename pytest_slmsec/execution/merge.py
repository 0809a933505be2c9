"""The answers of shards, merged: a run is answered from their journals, and no model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelUnavailable, UsageError
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.journal import KIND, Journal, read
from pytest_slmsec.core.shard import Shard, ShardFacts
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Timing
from pytest_slmsec.execution.model_loader import identity_parts

MODEL, UNFIT, SHARD, SHARD_END = "model", "unfit", "shard", "shard-end"
"""Kinds of journal lines that are no batches; see `Journal.note`."""
NO_ANSWER = "{id}: no journal of the shards holds its answer: it failed there; run its shard again to see why."


@dataclass(slots=True)
class MergedEngine:
    """Stands for a model that was asked elsewhere; see `engines.common.base.Engine`. It is run only for requests that
    no journal answers."""

    info: EngineInfo
    capabilities: Capability

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """All at once: nothing is computed."""
        return [list(range(len(requests)))] if requests else []

    def run(self, requests: Sequence[Request]) -> Batch:
        """An error for each request."""
        outputs = tuple(Output(error=NO_ANSWER.format(id=request.id)) for request in requests)
        return Batch(outputs, Timing(None, len(requests)))

    def close(self) -> None:
        """Nothing is held."""


def model_facts(name: str, engine: Any) -> dict[str, Any]:
    """A loaded model as a line of the journal; `Merged.engine` makes an engine of it."""
    return {"name": name, "info": asdict(engine.info), "capabilities": engine.capabilities.value}


@dataclass
class Merged:
    """What the journals of all shards of a run hold.

    Attributes:
        journal: the answers of all shards, to be read and not written to.
        shards: the parts that were run, whole or not; they may overlap. ended: those that ran to their end.
        models: by name, the line of each model that was asked (`model_facts`).
        unfit: by model and benchmark, why a model could not be asked a benchmark.
    """

    paths: Sequence[Path]
    journal: Journal
    shards: set[ShardFacts] = field(default_factory=set)
    ended: set[ShardFacts] = field(default_factory=set)
    models: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    unfit: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Merged:
        """Read the journals of all shards.

        Args:
            paths: the files, or folders that hold them as ``*.jsonl``.

        Raises:
            UsageError: a file is missing or is no journal of a shard; the shards belong to different runs, or asked a
                model in different forms; or a shard is missing or did not run to its end.
            JournalError: a file cannot be read.
        """
        files = _files(paths)
        lines = {path: read(path)[0] for path in files}
        merged = cls(files, Journal.reading(files[0], [line for found in lines.values() for line in found]))
        for path, found in lines.items():
            merged._add(path, [line for line in found if KIND in line])
        merged._check_complete()
        return merged

    def check_plan(self, plan: str) -> None:
        """Check that the cases of this run are those of the shards.

        Raises:
            UsageError: they are not.
        """
        if any(facts.plan != plan for facts in self.shards):
            raise UsageError(
                "--slmsec-merge: this run selects other test cases than the shards did: give it the same models, "
                "benchmarks and options as them."
            )

    def engine(self, name: str) -> MergedEngine:
        """What stands for a model.

        Raises:
            ModelUnavailable: no shard loaded it.
        """
        if name not in self.models:
            raise ModelUnavailable(f"{name} could not be loaded in any shard: the output of the shards says why.")
        facts = self.models[name]
        return MergedEngine(EngineInfo(**facts["info"]), Capability(facts["capabilities"]))

    def _add(self, path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        found = [ShardFacts.read(line) for line in lines if line[KIND] == SHARD]
        if not found:
            raise UsageError(f"--slmsec-merge={path}: this is no journal of a shard; --slmsec-shard=1/4 writes one.")
        for facts in found:
            if any(facts.plan != known.plan for known in self.shards):
                raise UsageError(f"--slmsec-merge: {path} is a shard of another run than {self.paths[0]}.")
            self.shards.add(facts)
        self.ended |= {ShardFacts.read(line) for line in lines if line[KIND] == SHARD_END}
        for line in lines:
            if line[KIND] == MODEL:
                self._add_model(path, line)
            elif line[KIND] == UNFIT:
                self.unfit[line["model"], line["benchmark"]] = line["why"]

    def _add_model(self, path: Path, line: Mapping[str, Any]) -> None:
        name = line["name"]
        here = identity_parts(EngineInfo(**line["info"]))
        elsewhere = identity_parts(EngineInfo(**self.models.setdefault(name, line)["info"]))
        for part in here:
            if here[part] != elsewhere.get(part):
                raise UsageError(
                    f"--slmsec-merge: {part} of {name} is {here[part]} in {path}, and {elsewhere.get(part)} in another "
                    "shard: run all shards with the same weights, versions and kind of processor."
                )

    def _check_complete(self) -> None:
        """See that each test case is in a shard that ran to its end."""
        n_cases = next(iter(self.shards)).n_cases
        lacking = set(range(n_cases)).difference(*(facts.places for facts in self.ended))
        if not lacking:
            return
        shards = {facts.shard for facts in self.shards}
        counts = {shard.of for shard in shards}
        of = f"of {max(counts)} shards " if len(counts) == 1 else ""
        nowhere = lacking.difference(*(facts.places for facts in self.shards))
        if not nowhere:
            names = {
                str(one.shard.number if of else one.shard) for one in self.shards - self.ended if one.places & lacking
            }
            raise UsageError(
                f"--slmsec-merge: {of}these did not run to their end: {', '.join(sorted(names))}; run them again "
                "with --slmsec-resume, which asks only what is missing."
            )
        missing = [str(number) for number in range(1, max(counts) + 1) if Shard(number, max(counts)) not in shards]
        if of and missing:
            raise UsageError(f"--slmsec-merge: {of}{', '.join(missing)} is missing: name its journal too.")
        raise UsageError(
            f"--slmsec-merge: {len(nowhere):,} of {counted(n_cases, 'test case')} are in none of these shards, which "
            "were cut in different ways: give all of them the same number of parts and the same --slmsec-window."
        )


def _files(paths: Sequence[Path]) -> list[Path]:
    """The journals: files as they are, and all ``*.jsonl`` of folders.

    Raises:
        UsageError: there is none.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside or not inside[0].is_file():
            raise UsageError(f"--slmsec-merge={path}: there is no journal of a shard; name its file, or the folder.")
        found += inside
    return found
