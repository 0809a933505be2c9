"""From a plan to rows: topics, questions, answers, verdicts, with a filter behind each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Generate, Output
from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.execution.model_grading import prompt_sha256
from pytest_slmsec.scoring.stated_letters import stated_letter
from pytest_slmsec.synthesize import filters
from pytest_slmsec.synthesize.filters import Benchmarks, Duplicates
from pytest_slmsec.synthesize.lists import read_list
from pytest_slmsec.synthesize.plan import Plan
from pytest_slmsec.synthesize.prompts import (
    ACCEPTED,
    REJECTED,
    Path,
    answer_request,
    judge_request,
    list_request,
)
from pytest_slmsec.synthesize.topics import Tree, grow

Ask = Callable[[str, Sequence[Generate]], list[Output]]
"""Asks the teacher; the first argument says what for. Outputs in the order of the requests."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a topic, and the digest of the prompt that asked for it."""

    topic: Path
    text: str
    prompt_sha256: str


@dataclass(frozen=True, slots=True)
class Row:
    """A question with its answer. `prompt_sha256`: digest of the messages that were answered."""

    question: Question
    answer: str
    prompt_sha256: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was left out: at which step, why (`filters.REASONS`), and the texts."""

    step: str
    reason: str
    detail: str
    topic: Path
    question: str = ""
    answer: str = ""


@dataclass
class Synthesis:
    """What one run makes of a plan.

    Attributes:
        rejected: all that was left out, in order. asked: number of requests by step. listed: questions that were read.
        surplus: lines beyond the number asked for. tokens: of all prompts and answers, where they are counted.
    """

    plan: Plan
    ask: Ask
    benchmarks: Benchmarks
    rejected: list[Rejected] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    listed: int = 0
    surplus: int = 0
    tokens: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Requests that got no answer."""
        return sum(one.reason == filters.FAILED for one in self.rejected)

    def counts(self, step: str) -> dict[str, int]:
        """How many were left out at a step, by reason; all reasons, also those that met nothing."""
        found = Counter(one.reason for one in self.rejected if one.step == step)
        return {reason: found[reason] for reason in filters.REASONS}

    def grown_tree(self) -> Tree:
        """The tree of topics from the model.

        Raises:
            DataError: the model named no subtopic of the root.
        """
        topics = self.plan.topics
        said: list[Output] = []

        def subtopics(level: Sequence[Path]) -> list[Output]:
            outputs = self._all(
                "topics", level, [list_request(topics.prompt, topics.breadth, path, topics) for path in level]
            )
            said.extend(outputs)
            return outputs

        tree, unparsable = grow(topics.root, topics.breadth, topics.depth, subtopics)
        if all(len(leaf) == 1 for leaf in tree.leaves()):
            text = said[0].error or repr(shortened(" ".join((said[0].text or "").split()), 120))
            raise DataError(f"{self.plan.model} named no subtopic of {topics.root!r}; it said {text}. Give the tree "
                            "yourself ([topics] tree or file), or name a better teacher.")  # fmt: skip
        self.rejected += [Rejected("topics", filters.UNPARSABLE, "no list was read", ())] * unparsable
        return tree

    def questions(self, leaves: Sequence[Path]) -> list[Question]:
        """Questions about each topic that pass the filters of questions."""
        settings, found = self.plan.questions, list[Question]()
        requests = [list_request(settings.prompt, settings.per_topic, path, settings) for path in leaves]
        for path, request, output in zip(leaves, requests, self._all("questions", leaves, requests), strict=True):
            if output.error is not None:
                continue
            text = output.text or ""
            entries = read_list(text)
            if filters.refuses(text):
                self._reject("questions", filters.REFUSAL, "the teacher refused", path, answer=text)
            elif not entries:
                self._reject("questions", filters.UNPARSABLE, "no list was read", path, answer=text)
            else:
                self.listed += len(entries)
                self.surplus += max(len(entries) - settings.per_topic, 0)
                found += [Question(path, entry, prompt_sha256(request)) for entry in entries[: settings.per_topic]]
        return self._passing(found)

    def _passing(self, found: Sequence[Question]) -> list[Question]:
        limits, duplicates = self.plan.filters.question_words, Duplicates(self.plan.filters.near_duplicate)
        held = self.benchmarks.held_by([one.text for one in found])
        kept: list[Question] = []
        for place, one in enumerate(found):
            problem = filters.length_problem(one.text, *limits)
            if problem is not None:
                self._reject("questions", filters.LENGTH, problem, one.topic, one.text)
            elif (again := duplicates.find(one.text)) is not None:
                self._reject("questions", again[0], f"as {again[1]!r}", one.topic, one.text)
            elif place in held:
                self._reject("questions", filters.OVERLAP, f"holds the item {held[place]}", one.topic, one.text)
            else:
                kept.append(one)
        return kept

    def answers(self, questions: Sequence[Question]) -> list[Row]:
        """The questions with their answers, where these pass the filters of answers."""
        requests = [answer_request(self.plan.answers.system, one.text, self.plan.answers) for one in questions]
        outputs = self._all("answers", [one.topic for one in questions], requests, [one.text for one in questions])
        held = self.benchmarks.held_by([output.text or "" for output in outputs])
        duplicates = Duplicates(self.plan.filters.near_duplicate)
        kept: list[Row] = []
        for place, (one, request, output) in enumerate(zip(questions, requests, outputs, strict=True)):
            if output.error is not None:
                continue
            text = (output.text or "").strip()
            why = self._problem(text, output.hit_limit, duplicates)
            if why is None and place in held:
                why = filters.OVERLAP, f"holds the item {held[place]}"
            if why is None:
                kept.append(Row(one, text, prompt_sha256(request)))
            else:
                self._reject("answers", *why, one.topic, one.text, text)
        return kept

    def _problem(self, text: str, cut: bool, duplicates: Duplicates) -> tuple[str, str] | None:
        """The reason and the detail why an answer is left out by its text, or None."""
        if not text:
            return filters.UNPARSABLE, "the answer is empty"
        if cut:
            return filters.LENGTH, f"cut off at max_new_tokens = {self.plan.answers.max_new_tokens}"
        if (problem := filters.length_problem(text, *self.plan.filters.answer_words)) is not None:
            return filters.LENGTH, problem
        if filters.refuses(text):
            return filters.REFUSAL, "the teacher refused"
        again = duplicates.find(text)
        return None if again is None else (again[0], f"as {shortened(again[1], 80)!r}")

    def judged(self, rows: Sequence[Row], ask: Ask) -> list[Row]:
        """The rows whose answer the judge accepts; without a verdict that is read, it is rejected.

        Args:
            ask: asks the judge.
        """
        requests = [judge_request(row.question.text, row.answer) for row in rows]
        outputs = self._all("judge", [row.question.topic for row in rows], requests, None, ask)
        kept: list[Row] = []
        for row, output in zip(rows, outputs, strict=True):
            letter = stated_letter(output.text or "", ACCEPTED + REJECTED)
            if letter == ACCEPTED:
                kept.append(row)
            elif output.error is None:
                said = "rejected" if letter == REJECTED else f"no verdict in {shortened(output.text or '', 80)!r}"
                self._reject("judge", filters.JUDGE, said, row.question.topic, row.question.text, row.answer)
        return kept

    def _all(
        self, step: str, topics: Sequence[Path], requests: Sequence[Generate], questions: Sequence[str] | None = None,
        ask: Ask | None = None,
    ) -> list[Output]:  # fmt: skip
        """The outputs of a step; those with an error are counted as failed."""
        self.asked[step] += len(requests)
        outputs = (ask or self.ask)(step, requests) if requests else []
        for place, output in enumerate(outputs):
            self.tokens["prompt"] += output.prompt_tokens or 0
            self.tokens["new"] += output.new_tokens or 0
            if output.error is not None:
                question = questions[place] if questions else ""
                self._reject(step, filters.FAILED, output.error, topics[place], question)
        return outputs

    def _reject(self, step: str, reason: str, detail: str, topic: Path, question: str = "", answer: str = "") -> None:
        self.rejected.append(Rejected(step, reason, detail, topic, question, answer))
