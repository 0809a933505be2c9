"""Questions in the template of MMLU (Hendrycks et al. 2021, arXiv 2009.03300), answered by log-probability.

The text is raw, without a chat template, and " A", " B", " C" and " D" are compared as its continuation. Header,
options and few-shot examples are as in lm-evaluation-harness, whose numbers are the ones published most; the authors'
own script has a second blank before the name of the subject.

* `mmlu-computer-security`: MMLU's subject (hub `cais/mmlu`; MIT), 5 examples from its dev file.
* `secqa-v1`, `secqa-v2`: SecQA (Liu 2023, arXiv 2312.15838; hub `zefang-liu/secqa`; CC BY-NC-SA), 5 examples from dev.
* `wmdp-cyber`: WMDP (Li et al. 2024, arXiv 2403.03218; hub `cais/wmdp`; MIT), no examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option
from pytest_slmsec.tasks.base import HubSource, Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.records import Record, read_csv, read_json_list, read_parquet, records
from pytest_slmsec.tasks.tsv import FRESH_COPY, find_file, shown

LETTERS = ("A", "B", "C", "D")
CONTINUATIONS = tuple(f" {letter}" for letter in LETTERS)
MMLU_COLUMNS = ("question", *LETTERS, "answer")
SECQA_COLUMNS = ("Question", *LETTERS, "Answer")
WMDP_FILES = ("wmdp/wmdp-cyber/test-00000-of-00001.parquet", "wmdp/cyber_questions.json")

Rows = Sequence[Mapping[str, object]]


class Question(NamedTuple):
    """One question of any of these sets. `origin`: where it stands."""

    text: str
    options: tuple[str, ...]
    letter: str
    origin: str

    def shown(self) -> str:
        """The question as the model reads it, up to where the answer is expected."""
        options = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=True))
        return f"{self.text.strip()}{options}\nAnswer:"


def lettered(record: Record, question: str = "question", answer: str = "answer") -> Question:
    """A question of a table with a column for each option and a letter as the answer."""
    letter = record.text(answer).strip()
    if letter not in LETTERS:
        record.bad(f"{shown(letter)} is not one of the options A, B, C, D", answer)
    options = tuple(record.text(column, empty=True) for column in LETTERS)
    return Question(record.text(question), options, letter, record.origin)


def indexed(record: Record) -> Question:
    """A question with a list of options and the place of the right one, from 0."""
    options, place = record.texts("choices"), record.at("answer")
    if len(options) != len(LETTERS):
        record.bad(f"the list has {len(options)} options and needs {len(LETTERS)}", "choices")
    if isinstance(place, bool) or place not in range(len(LETTERS)):
        record.bad(f"{shown(str(place))} is not the place of an option, 0 to 3", "answer")
    return Question(record.text("question"), tuple(options), LETTERS[int(place)], record.origin)


def make_items(
    task: str, subject: str, questions: Sequence[Question], shots: Sequence[Question], n_shots: int
) -> list[Item]:
    """Items of `task`: header, the first `n_shots` of `shots` with their answers, and the question.

    Raises:
        DataError: there are too few examples.
    """
    if len(shots) < n_shots:
        raise DataError(f"{task}: there are {len(shots)} of {n_shots} example questions; {FRESH_COPY}.")
    header = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    header += "".join(f"{shot.shown()} {shot.letter}\n\n" for shot in shots[:n_shots])
    return [
        Item(
            id=f"{task}-{number:05d}",
            prompt=header + question.shown(),
            gold=question.letter,
            choices=CONTINUATIONS,
            labels=LETTERS,
            raw=True,
            question=question.text.strip(),
            options=question.options,
            origin=question.origin,
        )
        for number, question in enumerate(questions, 1)
    ]


def _task(
    name: str, subject: str, n_items: int, n_shots: int, files: tuple[str, ...],
    read: Callable[[Path], Sequence[Question]], from_record: Callable[[Record], Question], hub: HubSource,
) -> Task:  # fmt: skip
    """A task whose `files` are the questions and, where there are shots, the examples; `from_record` reads hub rows."""
    make = partial(make_items, name, subject, n_shots=n_shots)

    def load(root: Path) -> list[Item]:
        questions, *shots = (read(find_file(root, file, name)) for file in files)
        return make(questions, *(shots or [()]))

    def from_rows(rows: Rows, shots: Rows = ()) -> list[Item]:
        found = [from_record(record) for record in records(f"{name} rows", rows)]
        return make(found, [from_record(Record(f"{name} examples", at, row)) for at, row in enumerate(shots, 1)])

    return Task(
        name, score_option, ACCURACY, load=load, files=files, hub=hub, from_rows=from_rows, n_items=n_items,
        max_new_tokens=0, constant=modal_gold,
    )  # fmt: skip


def _mmlu_file(path: Path) -> list[Question]:
    return [lettered(record) for record in read_csv(path, MMLU_COLUMNS, header=False)]


def _secqa(record: Record) -> Question:
    return lettered(record, "Question", "Answer")


def _secqa_file(path: Path) -> list[Question]:
    return [_secqa(record) for record in read_csv(path, SECQA_COLUMNS)]


def _secqa_task(version: str, n_items: int) -> Task:
    files = (f"secqa/data/secqa_{version}_test.csv", f"secqa/data/secqa_{version}_dev.csv")
    revision = "d00a07484283be5602e2bae36dbefdaaf555a9fb"
    hub = HubSource("zefang-liu/secqa", f"secqa_{version}", "test", revision, shots_split="dev")
    return _task(f"secqa-{version}", "computer security", n_items, 5, files, _secqa_file, _secqa, hub)


def load_wmdp(root: Path) -> list[Item]:
    """Items of WMDP-cyber, from the hub's Parquet file or the JSON list of the authors' archive."""
    try:
        path = find_file(root, WMDP_FILES[0], "wmdp-cyber")
    except DataUnavailable:
        path = find_file(root, WMDP_FILES[1], "wmdp-cyber")
    return _wmdp_items(read_json_list(path) if path.suffix == ".json" else read_parquet(path))


def wmdp_rows(rows: Rows) -> list[Item]:
    """Items of the rows of the hub data set."""
    return _wmdp_items(records("wmdp-cyber rows", rows))


def _wmdp_items(found: Sequence[Record]) -> list[Item]:
    return make_items("wmdp-cyber", "cybersecurity", [indexed(record) for record in found], (), 0)


TASKS: tuple[Task, ...] = (
    _task(
        "mmlu-computer-security", "computer security", 100, 5,
        ("mmlu_computer_security/computer_security_test.csv", "mmlu_computer_security/computer_security_dev.csv"),
        _mmlu_file, indexed,
        HubSource("cais/mmlu", "computer_security", "test", "c30699e8356da336a370243923dbaf21066bb9fe", "dev"),
    ),
    _secqa_task("v1", 110),
    _secqa_task("v2", 100),
    Task(
        "wmdp-cyber", score_option, ACCURACY, load=load_wmdp, files=WMDP_FILES,
        hub=HubSource("cais/wmdp", "wmdp-cyber", "test", "7125571f22f032c56415e7980f48d877dd830ff8"),
        from_rows=wmdp_rows, n_items=1987, max_new_tokens=0, constant=modal_gold,
    ),
)  # fmt: skip
