"""What a task is: where its published files are, how an item is asked, and who scores it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from pytest_slmsec.core.extras import require
from pytest_slmsec.core.items import Choose, Generate, Item, Output, Request
from pytest_slmsec.scoring.base import Metric, Mode, Scorer
from pytest_slmsec.scoring.similarity import Passages
from pytest_slmsec.tasks.baselines import ConstantAnswer

READERS = "2"
"""Version of the scorers that read answers after `scoring.normalise`."""


class Loader(Protocol):
    """Reads a benchmark's published files below `root` into items, in file order.

    Raises `DataUnavailable` when the files are not there and `DataError` (file, row, column, remedy) when they are
    damaged.
    """

    def __call__(self, root: Path) -> Sequence[Item]:  # noqa: D102
        ...


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where the same rows are on the Hugging Face hub.

    Attributes:
        dataset, config, split, revision: as `datasets.load_dataset` takes them; the revision is pinned.
        shots_split: rows of the examples that stand before each question; `Task.from_rows` takes them second.
        data_files: the one file of a data set that holds several of different form.
    """

    dataset: str
    config: str | None
    split: str
    revision: str
    shots_split: str | None = None
    data_files: str | None = None


class FollowUp(NamedTuple):
    """A question to another model about an answer.

    Attributes:
        role: which model answers it: ``judge`` or ``expander`` (one of `FollowUps.roles`).
        request: the question.
    """

    role: str
    request: Request


class FollowUps(Protocol):
    """The questions that are asked about an answer once the model under test has given it.

    Attributes:
        roles: ``("judge", "expander")``; the first one gives the verdict. Each role is a command-line option that names
            a model.
        prompt_sha256: digest of the wording of all questions.
    """

    @property
    def roles(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def prompt_sha256(self) -> str: ...  # noqa: D102

    def next(self, item: Item, output: Output, mode: Mode) -> FollowUp | None:
        """The next question, given the answer with the replies so far (`Output.replies`); None: no more. Pure."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One benchmark: the registry line of a task module, or an object in a user's own test file.

    Attributes:
        name: the benchmark's id, lower case with hyphens: ``cti-mcq``.
        scorer: one item's output to a `Score`.
        metric: all scores to the headline number.
        items: the items themselves (a user's own benchmark), or None when `load` reads published files.
        load: reads published files from a directory.
        count: how many items the files in a directory hold, where that is known without the packages that `load` needs;
            ids are then numbered from 1.
        files: published paths below the data directory that `load` needs, for messages and for the content hash.
        hub: where the rows are on the hub, and `from_rows`, which turns those rows into items; None where they are not.
        n_items: items of the published set: ids and counts are known before anything is downloaded; 0: they are not.
        max_new_tokens: default token limit of an answer; 0 for tasks scored by log-probability.
        official_max_new_tokens: the limit the authors used.
        stop: strings that end an answer.
        answered: a regular expression that finds a complete answer, for ``--slmsec-stop-when-answered``; empty: none.
        constant: the best constant answer and its score on given items, for the baseline column; None: no baseline.
        version: of the scorer; changes whenever a score could change.
        followups: questions that other models are asked about each answer, or None.
        unjudged: the metric where no such model is named (``--slmsec-judge=rule``); None: it is then skipped.
        cut_counts: in strict mode an answer that was cut off at the token limit is scored as it stands, because its
            beginning decides; otherwise it counts like no answer.
        fault: a sentence where an answer is no valid measurement at all (empty, or the text of an error), or None.
        chat: its raw prompts may be asked as the user turn of the model's own chat template as well.
        needs: packages that its scorer imports, and the `extra` of this project that brings them.
        judged_in_pairs: its answers are compared by ``--slmsec-pair-judge``.
        kept: texts of the prompt that a right answer repeats to the letter, besides gold; no perturbation touches them.
        perturb: the kinds of ``--slmsec-perturb`` that its scorer allows; None: all.
        passages: what a sentence-embedding model compares, from the gold answer, the answer and the mode; or None.
    """

    name: str
    scorer: Scorer
    metric: Metric
    items: Sequence[Item] | None = None
    load: Loader | None = None
    files: tuple[str, ...] = ()
    hub: HubSource | None = None
    from_rows: Callable[..., Sequence[Item]] | None = None
    n_items: int = 0
    max_new_tokens: int = 256
    official_max_new_tokens: int = 2048
    stop: tuple[str, ...] = ()
    constant: Callable[[Sequence[Item], Mode], ConstantAnswer | tuple[str, float]] | None = None
    version: str = "1"
    followups: FollowUps | None = None
    unjudged: Metric | None = None
    cut_counts: bool = False
    fault: Callable[[Item, Output], str | None] | None = None
    chat: bool = False
    needs: tuple[str, ...] = ()
    extra: str = ""
    passages: Callable[[str, str, Mode], Passages] | None = None
    count: Callable[[Path], int] | None = None
    answered: str = ""
    judged_in_pairs: bool = False
    perturb: tuple[str, ...] | None = None
    kept: tuple[str, ...] = ()

    @property
    def by_choice(self) -> bool:
        """Scored by option log-probability, without generation."""
        return self.max_new_tokens == 0

    def check_installed(self) -> None:
        """See that the packages of its scorer are there, without importing them.

        Raises:
            MissingExtraError: names the first that is not.
        """
        require(self.name, self.extra, *self.needs)

    def request(
        self, item: Item, mode: Mode, max_new_tokens: int | None = None, chat: bool = False
    ) -> Generate | Choose:
        """The request that asks `item`.

        Args:
            max_new_tokens: overrides the limit of the task and mode.
            chat: a raw prompt is asked as the user turn of the model's chat template; see `chat` of the task.
        """
        if self.by_choice:
            return Choose(item.id, item.messages(), item.choices, item.raw, item.contexts, item.question, item.options)
        limit = self.official_max_new_tokens if mode is Mode.OFFICIAL else self.max_new_tokens
        return Generate(item.id, item.messages(), max_new_tokens or limit, self.stop, item.raw and not chat)

    def as_scored(self, output: Output, mode: Mode) -> Output:
        """The output as the scorer sees it: in strict mode an answer that was cut off counts like no answer."""
        cut = output.hit_limit and mode is Mode.STRICT and not self.cut_counts
        return replace(output, text="") if cut else output
