"""Questions and dialogues about security: own items by key facts, and HackMentor's by chrF (Zhang et al. 2023,
repository `tmylla/HackMentor`, folder `eval/eval_data`; Apache-2.0), which are read by path.

Earlier turns stand in the conversation as they were written, so that each turn is asked with the history of the
reference and not with the model's own. Clusters: the topic, or the dialogue.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import fsum
from pathlib import Path

from pytest_slmsec.core.items import Item, Message, Output, Role
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chat_facts import FACTS, FORBID, HISTORY, score_chat_facts, score_reference
from pytest_slmsec.scoring.chrf import EXTRA
from pytest_slmsec.scoring.metrics import CHRF
from pytest_slmsec.scoring.metrics import FACTS as FACTS_METRIC
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer
from pytest_slmsec.tasks.records import Record, read_json, read_json_lines, read_json_list, records
from pytest_slmsec.tasks.tsv import find_file, shown

REMEDY = "correct the row"
SYSTEM = "You help the analysts of a security team. Answer in a few plain sentences."
COMMONPLACE = (
    "An attacker sends messages or requests to gain passwords, access or data. Look for many failed logins, unknown "
    "processes and unusual traffic in the log. Patch systems, train users, filter traffic, limit rights and demand "
    "multi-factor logins."
)
"""A constant answer in the field's vocabulary: what it scores is the baseline of the own items."""
USER: Role = "user"
ASSISTANT: Role = "assistant"


# Own items.


def own_iio(found: Sequence[Record]) -> list[Item]:
    """Items of rows `{topic, aspect, instruction, output, facts[, forbid]}`."""
    return [
        _checked(row, (), Item(f"secchat-iio-{number:05d}", row.text("instruction"), _gold(row), SYSTEM,
                               origin=row.origin, meta={"cluster": row.text("topic"), "category": row.text("aspect")}),
                 row.text("output"))
        for number, row in enumerate(found, 1)
    ]  # fmt: skip


def own_turns(found: Sequence[Record]) -> list[Item]:
    """An item of each turn of rows `{topic, turns: [{user, assistant, facts, history[, forbid]}]}`."""
    items: list[Item] = []
    for row in found:
        earlier: list[Message] = []
        for place in range(len(row.at("turns"))):
            path = ("turns", place)
            asked, answer = row.text(*path, "user"), row.text(*path, "assistant")
            history = row.at(*path, HISTORY)
            if not isinstance(history, bool) or (history and not place):
                row.bad("it must be true or false, and false in the first turn", *path, HISTORY, remedy=REMEDY)
            facts = {"cluster": f"dialogue {row.number}", "category": row.text("topic"), HISTORY: history}
            item = Item(f"secchat-turn-{len(items) + 1:05d}", asked, _gold(row, *path), SYSTEM, shots=tuple(earlier),
                        origin=row.origin, meta=facts)  # fmt: skip
            items.append(_checked(row, path, item, answer))
            earlier += [Message(USER, asked), Message(ASSISTANT, answer)]
    return items


def _gold(row: Record, *path: str | int) -> str:
    facts = row.at(*path, FACTS)
    if not isinstance(facts, list) or not facts:
        row.bad(f"{shown(str(facts))} is no list of facts", *path, FACTS, remedy=REMEDY)
    wordings = [row.texts(*path, FACTS, place) for place in range(len(facts))]
    holder = row.at(*path) if path else row.value
    forbid = row.texts(*path, FORBID, least=0) if FORBID in holder else []
    return json.dumps({FACTS: wordings, FORBID: forbid}, ensure_ascii=False)


def _checked(row: Record, path: tuple[str | int, ...], item: Item, reference: str) -> Item:
    """The item, once its own reference answer was found to meet every fact."""
    if not score_chat_facts(item, Output(reference), Mode.STRICT).correct:
        row.bad("the reference answer does not meet all facts, or meets a forbidden one", *path, FACTS, remedy=REMEDY)
    return item


def commonplace(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """`COMMONPLACE` and its mean recall: one constant text, not the best there is, which cannot be searched for."""
    scores = tuple(score_chat_facts(item, Output(COMMONPLACE), mode).value for item in items)
    return ConstantAnswer(COMMONPLACE, fsum(scores) / len(items), scores)


# HackMentor's items.


def published_seeds(path: Path) -> list[Item]:
    """An item of each instance of `{instruction, instances: [{input, output}]}`; instruction and input are asked."""
    places = [(row, place) for row in read_json_list(path) for place in range(len(row.at("instances")))]
    return [_seed(f"hackmentor-seed-{number:05d}", *found) for number, found in enumerate(places, 1)]


def _seed(name: str, row: Record, place: int) -> Item:
    asked = (row.text("instruction"), row.text("instances", place, "input", empty=True))
    prompt = "\n\n".join(part for part in asked if part.strip())
    return Item(name, prompt, row.text("instances", place, "output"), origin=row.origin)


def published_dialogues(path: Path) -> list[Item]:
    """The last answered turn of each dialogue: a list of `{user: text}` and `{assistant: text}` in turns, of which one
    object may hold two. A question at the end that nobody answered is left out."""
    dialogues = read_json(path)
    listed = dialogues if isinstance(dialogues, list) else []
    rows = records(path, [{"turns": turns} for turns in listed])
    return [_dialogue(f"hackmentor-dialogue-{number:05d}", row) for number, row in enumerate(rows, 1)]


def _dialogue(name: str, row: Record) -> Item:
    turns = [turn for place in range(len(row.at("turns"))) for turn in _spoken(row, place)]
    if turns and turns[-1].role == USER:
        turns.pop()
    return _conversation(name, row, turns, "turns")


def _spoken(row: Record, place: int) -> list[Message]:
    said = row.at("turns", place)
    if not isinstance(said, Mapping) or not said or not set(said) <= {USER, ASSISTANT}:
        row.bad("the turn is neither of user nor of assistant", "turns", place, remedy=REMEDY)
    return [Message(USER if role == USER else ASSISTANT, row.text("turns", place, role)) for role in said]


def published_turns(path: Path) -> list[Item]:
    """An item of each entry `{messages: [{role, content}]}`, whose last message is the reference. Entries that begin
    with the same question and answer are one dialogue."""
    return [_entry(f"hackmentor-turn-{number:05d}", row) for number, row in enumerate(read_json_list(path), 1)]


def _entry(name: str, row: Record) -> Item:
    turns = []
    for place in range(len(row.at("messages"))):
        role = row.text("messages", place, "role")
        if role not in (USER, ASSISTANT):
            row.bad(f"{shown(role)} is neither user nor assistant", "messages", place, "role", remedy=REMEDY)
        turns.append(Message(USER if role == USER else ASSISTANT, row.text("messages", place, "content")))
    return _conversation(name, row, turns, "messages")


def _conversation(name: str, row: Record, turns: Sequence[Message], key: str) -> Item:
    """The item that asks the last question of a dialogue, whose answer is the reference.

    Raises:
        DataError: a role speaks twice in a row, the user does not begin, or there is no answer.
    """
    for place, turn in enumerate(turns):
        if turn.role != (USER, ASSISTANT)[place % 2]:
            row.bad(f"the {turn.role} speaks where the other one has to", key, place, remedy=REMEDY)
    if not turns or turns[-1].role == USER:
        row.bad("the dialogue has no answer at its end to compare with", key, remedy=REMEDY)
    *earlier, question, answer = turns
    facts = {"cluster": " ".join(turn.content for turn in turns[:2])}
    return Item(name, question.content, answer.content, shots=tuple(earlier), origin=row.origin, meta=facts)


# Tasks.


def load_own(name: str, file: str, read: Callable[[Sequence[Record]], list[Item]], root: Path) -> list[Item]:
    """Own items; see `tasks.base.Loader`."""
    return read(read_json_lines(find_file(root, file, name)))


def load_published(name: str, file: str, read: Callable[[Path], list[Item]], root: Path) -> list[Item]:
    """Published items; see `tasks.base.Loader`."""
    return read(find_file(root, file, name))


def _own(name: str, file: str, read: Callable[[Sequence[Record]], list[Item]]) -> Task:
    return Task(name, score_chat_facts, FACTS_METRIC, load=partial(load_own, name, file, read), files=(file,),
                n_items=240, max_new_tokens=256, constant=commonplace, cut_counts=True,
                judged_in_pairs=True)  # fmt: skip


def _published(name: str, file: str, read: Callable[[Path], list[Item]], n_items: int) -> Task:
    return Task(name, score_reference, CHRF, load=partial(load_published, name, file, read), files=(file,),
                n_items=n_items, max_new_tokens=512, cut_counts=True, needs=("sacrebleu",), extra=EXTRA,
                judged_in_pairs=True)  # fmt: skip


TASKS: tuple[Task, ...] = (
    _own("secchat-iio", "secchat/iio.jsonl", own_iio),
    _own("secchat-turn", "secchat/turn.jsonl", own_turns),
    _published("hackmentor-seed", "hackmentor/eval_seed_data.json", published_seeds, 145),
    _published("hackmentor-dialogue", "hackmentor/eval_turn_data.json", published_dialogues, 73),
    _published("hackmentor-turn", "hackmentor/eval_turn_data_cached.json", published_turns, 316),
)
