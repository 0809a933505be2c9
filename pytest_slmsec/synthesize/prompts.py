"""What the teacher and the judge are asked. The wordings are our own."""

from __future__ import annotations

from typing import Protocol

from pytest_slmsec.core.items import Generate, Message

Path = tuple[str, ...]
"""The names from the root of the tree to a topic."""


class Sampling(Protocol):
    """How an answer is decoded; the settings of all steps have it."""

    @property
    def temperature(self) -> float:
        """As in `core.items.Generate`."""
        ...

    @property
    def seed(self) -> int:
        """As in `core.items.Generate`."""
        ...

    @property
    def max_new_tokens(self) -> int:
        """As in `core.items.Generate`."""
        ...


SLOTS = ("{n}", "{topic}")
TOPIC_PROMPT = """\
Name {n} different subtopics of the topic below, which together cover it well. Write each subtopic on a line of its \
own, in a few words, without numbers and without any explanation.

Topic: {topic}"""
QUESTION_PROMPT = """\
Write {n} different questions that somebody who works in computer security could ask about the topic below. Each \
question must be clear by itself, without the others and without the topic's name before it. Write each question on a \
line of its own, without numbers and without answers.

Topic: {topic}"""
ANSWER_SYSTEM = (
    "You are an expert in computer security. Answer correctly first of all, then completely, then briefly. Where you "
    "do not know, say so."
)
JUDGE_PROMPT = """\
You check training data about computer security. Below are a question and an answer. Is the answer correct, and does \
it answer the question? Its length is no merit.

[Question]
{question}

[Answer]
{answer}
[End of answer]

Reply with one letter and nothing else: A if the answer is correct and to the point, B if it is not."""
JUDGE_TOKENS = 64
ACCEPTED, REJECTED = "A", "B"


def filled(wording: str, n: int, topic: Path) -> str:
    """A wording with its slots filled in; braces in a topic's name are no slots."""
    before, _, behind = wording.partition("{topic}")
    parts = [part.replace("{n}", str(n)) for part in (before, behind.replace("{topic}", " > ".join(topic)))]
    return " > ".join(topic).join(parts)


def list_request(wording: str, n: int, topic: Path, sampling: Sampling) -> Generate:
    """Asks for `n` subtopics of a topic, or for `n` questions about it, by the wording."""
    return _asked(" > ".join(topic), filled(wording, n, topic), sampling)


def answer_request(system: str, question: str, sampling: Sampling) -> Generate:
    """Asks a question, behind the system turn if there is one."""
    asked = _asked(question, question, sampling)
    if not system.strip():
        return asked
    messages = (Message("system", system), *asked.messages)
    return Generate(asked.id, messages, asked.max_new_tokens, temperature=asked.temperature, seed=asked.seed)


def judge_request(question: str, answer: str) -> Generate:
    """Asks a judge about an answer; greedy."""
    before, _, rest = JUDGE_PROMPT.partition("{question}")
    between, _, behind = rest.partition("{answer}")
    text = f"{before}{question}{between}{answer}{behind}"
    return Generate(question, (Message("user", text),), JUDGE_TOKENS)


def _asked(name: str, text: str, sampling: Sampling) -> Generate:
    return Generate(
        name, (Message("user", text),), sampling.max_new_tokens, temperature=float(sampling.temperature),
        seed=sampling.seed,
    )  # fmt: skip
