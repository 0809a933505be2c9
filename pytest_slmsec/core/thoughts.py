"""What a reasoning model thinks, separated from what it answers; every engine and every recorded answer passes here.

The rules, in the order in which they are applied:

* Harmony (gpt-oss): the channel ``final`` is the answer, every other channel is thought. Where a detokenizer dropped
  the special tokens (``analysisWe need ...assistantfinalB``), the words that are left tell the channels apart.
* An opening tag (`KNOWN_TAGS`, and the tags that a tokenizer or chat template names: `named_tags`) starts a thought
  wherever it stands, and the first closing tag of its kind ends it. Case and blanks inside a tag do not matter. There
  may be several thoughts. A tag inside a thought that opens another one is part of the thought.
* A closing tag without an opening one: everything before it was thought (the opening tag stood in the prompt). Behind
  the last words of an answer that follows a thought, it is dropped.
* A thought that is never closed reaches to the end: there is no answer.
* A tag directly between quotation marks, an opening tag in inline code, or in a code block behind other text, is
  quoted, and is text like any other.
* A text without a thought is returned as it is. Else blanks around the answer are removed, and the tags of an answer
  that is wrapped in such (``<response>``), as some models write behind a thought.

Every rule takes time linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from pytest_slmsec.core.items import Output


class Tag(NamedTuple):
    """What opens a thought and what closes it."""

    open: str
    close: str


class Separated(NamedTuple):
    """A text in its parts.

    Attributes:
        thought: all thoughts, without their tags, with a blank line between two; "" where there is none.
        answer: the rest; "" where the last thought was not closed. finished: it was, or there is none.
        found: there was a thought, perhaps an empty one. answer_at: where in the text the answer's last part begins.
    """

    thought: str
    answer: str
    finished: bool
    found: bool
    answer_at: int


THINK = Tag("<think>", "</think>")
KNOWN_TAGS = (
    THINK,
    Tag("<thinking>", "</thinking>"),
    Tag("<thought>", "</thought>"),  # EXAONE Deep
    Tag("<seed:think>", "</seed:think>"),  # Seed-OSS
    Tag("<reasoning>", "</reasoning>"),  # Reka
    Tag("<reflection>", "</reflection>"),
    Tag("<scratchpad>", "</scratchpad>"),
    Tag("[THINK]", "[/THINK]"),  # Magistral
    Tag("<|thinking|>", "<|/thinking|>"),
    Tag("<|think|>", "<|/think|>"),
    Tag("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    Tag("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    Tag("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Tag("<|channel>thought", "<channel|>"),  # Gemma 4
    Tag("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi-VL
)
OTHER_CLOSINGS = {
    "<|thinking|>": ("</|thinking|>", "<|end_thinking|>", "<|thinking_end|>", "<|end_of_thinking|>"),
    "<|think|>": ("</|think|>", "<|end_think|>", "<|think_end|>"),
    "<think>": ("</thinking>", "</thought>"),
    "<thinking>": ("</think>", "</thought>"),
    "<thought>": ("</think>", "</thinking>"),
}
"""Further closing tags, by the opening one: models mix up the first three, and write the others in several ways."""
WRAPPERS = (
    Tag("<response>", "</response>"),  # Granite 3.3
    Tag("<answer>", "</answer>"),  # Hunyuan
    Tag("<|begin_of_solution|>", "<|end_of_solution|>"),
    Tag("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
HARMONY = Tag("<|channel|>analysis<|message|>", "<|channel|>final<|message|>")
"""What a thought and an answer of gpt-oss begin with."""
QUOTES = {"`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb", "\u300c": "\u300d"}
CODE_CHARS = 200
"""How far from a tag the backticks of inline code are looked for."""
# "<|channel|>final".
CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary|final)\b")
# "<|start|>assistant<|channel|>final<|message|>B<|return|>": its marks.
MARKER = re.compile(r"<\|(start|channel|message|end|return|call|constrain)\|>")
# "analysisWe need ..." and "commentaryLet me ...": what is left of a channel's name, with no blank behind it.
BARE_THOUGHT = re.compile(r"(?:analysis|commentary)(?=[A-Z\"'(\[{<])")
BARE_FINAL = "assistantfinal"
# "finalB".
BARE_ANSWER = re.compile(r"final(?=[A-Z][^a-z]|[A-Z]$)")
# Granite 3.2: "Here is my thought process: ... Here is my response: B".
GRANITE_THOUGHT = re.compile(r"\s*Here(?: is|'s) my thought process:")
GRANITE_ANSWER = re.compile(r"Here(?: is|'s) my response:")
FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)
# "<think>", "[/THINK]", "<|begin_of_thought|>" in a vocabulary or a template.
NAMED_TAG = re.compile(
    r"<[|/]{0,2}[\w:./-]{0,24}(?:think|thought|reason|reflect|scratch)[\w:./-]{0,24}\|?>|"
    r"\[/?(?:think|thinking|thought|reasoning)\]",
    re.IGNORECASE,
)
ENDS_OF = (("start", "end"), ("begin", "end"), ("open", "close"), ("prefix", "suffix"))


def separate(text: str, tags: Sequence[Tag] = (), opened: bool = False) -> Separated:
    """A text in thought and answer.

    Args:
        tags: those that the tokenizer or chat template names, beside `KNOWN_TAGS`.
        opened: the prompt ends inside a thought, so the text begins in one, unless it opens one itself.
    """
    if (channels := _harmony(text)) is not None:
        return channels
    if not opened and (begun := GRANITE_THOUGHT.match(text)) is not None:
        ended = GRANITE_ANSWER.search(text, begun.end())
        if ended is None:
            return Separated(text[begun.end() :].strip(), "", False, True, len(text))
        return Separated(text[begun.end() : ended.start()].strip(), _bare(text[ended.end() :]), True, True, ended.end())
    return _Scan(text, _vocabulary(tuple(tags))).run(opened)


def without_thoughts(
    output: Output,
    tags: Sequence[Tag] = (),
    opened: bool = False,
    tokens_before: Callable[[int], int | None] | None = None,
) -> Output:
    """An output whose text is the answer alone, and whose thought stands apart.

    Args:
        output: as generated or recorded. A thought that it has already, because a server sent it in a field of its own,
            is kept in front.
        tags, opened: see `separate`.
        tokens_before: how many tokens the text has up to one of its characters; None where that is not known.
    """
    if output.text is None or output.error is not None:
        return output
    found = separate(output.text, tags, opened)
    if not found.found:
        return output
    tokens = tokens_before(found.answer_at) if tokens_before is not None else None
    return replace(
        output, text=found.answer, thought=_joined([output.thought or "", found.thought]), thought_tokens=tokens,
        hit_limit=output.hit_limit or not found.finished,
    )  # fmt: skip


def _harmony(text: str) -> Separated | None:
    """The channels of gpt-oss; None where the text has none."""
    if CHANNEL.search(text) is None:
        return _bare_harmony(text)
    thoughts: list[str] = []
    answers: list[tuple[str, int]] = []
    channel, marks = "", list(MARKER.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        content = text[mark.end() : following.start() if following else len(text)]
        if mark[1] == "channel":
            channel = (content.split(maxsplit=1) or [""])[0]
        elif mark[1] == "message" and channel == "final":
            answers.append((content, mark.end()))
        elif mark[1] == "message":
            thoughts.append(content)
    thought = _joined(thoughts)
    if not answers:
        return Separated(thought, "", False, True, len(text))
    return Separated(thought, "\n".join(content for content, _ in answers).strip(), True, True, answers[-1][1])


def _bare_harmony(text: str) -> Separated | None:
    """Channels whose special tokens were dropped; None where the text does not look like that."""
    begun = BARE_THOUGHT.match(text)
    at = text.find(BARE_FINAL) if text.startswith(("analysis", "commentary")) else -1
    if at >= 0:
        start = at + len(BARE_FINAL)
        return Separated(text[:at].removeprefix("analysis").strip(), text[start:].strip(), True, True, start)
    if begun is not None:
        return Separated(text[begun.end() :].strip(), "", False, True, len(text))
    if (only := BARE_ANSWER.match(text)) is not None:
        return Separated("", text[only.end() :].strip(), True, True, only.end())
    return None


class _Vocabulary(NamedTuple):
    """The tags that are looked for: a pattern, the pair that each opening one belongs to, and what closes each pair."""

    pattern: re.Pattern[str]
    opens: dict[str, int]
    closes: dict[str, frozenset[int]]


@lru_cache(maxsize=64)
def _vocabulary(more: tuple[Tag, ...]) -> _Vocabulary:
    pairs = list(dict.fromkeys([*KNOWN_TAGS, *more]))
    opens: dict[str, int] = {}
    for index, pair in enumerate(pairs):
        opens.setdefault(_key(pair.open), index)
    closes: dict[str, set[int]] = {}
    for pair in pairs:
        for close in (pair.close, *OTHER_CLOSINGS.get(_key(pair.open), ())):
            closes.setdefault(_key(close), set()).add(opens[_key(pair.open)])
    texts = sorted({*opens, *closes}, key=len, reverse=True)
    first, second = ("".join(sorted({re.escape(text[at]) for text in texts})) for at in (0, 1))
    begin = rf"(?=[{first}][ \t{second}])"  # so that a text full of "<" is passed over quickly
    pattern = re.compile(rf"{begin}(?:{'|'.join(map(_loose, texts))})", re.IGNORECASE)
    return _Vocabulary(pattern, opens, {key: frozenset(found) for key, found in closes.items()})


def _key(tag: str) -> str:
    """A tag without differences in case and blanks."""
    return "".join(tag.split()).lower()


def _loose(tag: str) -> str:
    """A pattern of a tag in which blanks may stand behind its first and before its last mark."""
    found = re.fullmatch(r"(\W+)(.*?)(\W+)", tag, re.DOTALL)
    if found is None:
        return re.escape(tag)
    head, middle, tail = map(re.escape, found.groups())
    return rf"{head}[ \t]{{0,3}}{middle}[ \t]{{0,3}}{tail}"


@dataclass(slots=True)
class _Scan:
    """One pass over the tags of a text.

    Attributes:
        at: end of what is taken. thoughts, parts: taken so far; parts of the answer with the place where each begins.
    """

    text: str
    vocabulary: _Vocabulary
    at: int = 0
    thoughts: list[str] = field(default_factory=list)
    parts: list[tuple[str, int]] = field(default_factory=list)
    quoted: int = 0

    def run(self, opened: bool) -> Separated:
        """Separate the text. `opened`: it begins inside a thought."""
        text, opens, closes = self.text, self.vocabulary.opens, self.vocabulary.closes
        marks = [mark for mark in self.vocabulary.pattern.finditer(text) if not _between_quotes(text, *mark.span())]
        if not marks and not opened:
            return Separated("", text, True, False, 0)
        fences = [found.start() for found in FENCE.finditer(text)]
        end = self._end_of_words(marks)
        thinking: int | None = None
        inside = opened and not (marks and _key(marks[0][0]) in opens and not text[: marks[0].start()].strip())
        found = inside
        for mark in marks:
            key = _key(mark[0])
            if inside:
                if key in closes and (thinking is None or thinking in closes[key]):
                    self._take_thought(mark)
                    inside = False
            elif key in opens:
                if self._is_quoted(mark, fences):
                    self.quoted += 1
                    continue
                self.parts.append((text[self.at : mark.start()], self.at))
                self.at, thinking, inside, found = mark.end(), opens[key], True, True
            elif self.quoted:
                self.quoted -= 1
            elif found and mark.start() >= end:
                self.parts.append((text[self.at : mark.start()], self.at))
                self.at = mark.end()
            else:
                self._take_everything(mark)
                found = True
        if inside:
            self.thoughts.append(text[self.at :])
            return Separated(_joined(self.thoughts), "", False, True, len(text))
        if not found:
            return Separated("", text, True, False, 0)
        self.parts.append((text[self.at :], self.at))
        kept = [(part, at) for part, at in self.parts if part.strip()]
        answer = _bare(" ".join(part.strip() if at != kept[0][1] else part.rstrip() for part, at in kept))
        return Separated(_joined(self.thoughts), answer, True, True, kept[-1][1] if kept else len(text))

    def _take_thought(self, mark: re.Match[str]) -> None:
        self.thoughts.append(self.text[self.at : mark.start()])
        self.at = mark.end()

    def _take_everything(self, mark: re.Match[str]) -> None:
        """All that was taken for an answer so far is a thought."""
        self.thoughts.append("".join([part for part, _ in self.parts] + [self.text[self.at : mark.start()]]))
        self.parts, self.at = [], mark.end()

    def _end_of_words(self, marks: Sequence[re.Match[str]]) -> int:
        """Where the text ends if closing tags and blanks at its end do not count."""
        end = len(self.text)
        for mark in reversed(marks):
            if _key(mark[0]) not in self.vocabulary.closes or self.text[mark.end() : end].strip():
                break
            end = mark.start()
        return end

    def _is_quoted(self, mark: re.Match[str], fences: Sequence[int]) -> bool:
        """Whether an opening tag is in inline code, or in a code block that is not the first thing of the answer."""
        line = self.text[max(self.at, mark.start() - CODE_CHARS) : mark.start()].rpartition("\n")[2]
        rest = self.text[mark.end() : mark.end() + CODE_CHARS].partition("\n")[0]
        if line.count("`") % 2 and "`" in rest and not line.lstrip().startswith("```"):
            return True
        first, here = bisect_left(fences, self.at), bisect_left(fences, mark.start())
        inside = (here - first) % 2 == 1 and here < len(fences)
        return inside and bool(self.text[self.at : fences[first]][:CODE_CHARS].strip())


def _between_quotes(text: str, start: int, end: int) -> bool:
    return start > 0 and end < len(text) and QUOTES.get(text[start - 1]) == text[end]


def _joined(thoughts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, (thought.strip() for thought in thoughts)))


def _bare(answer: str) -> str:
    """An answer behind a thought, without blanks around it and without the tags that wrap it."""
    answer = answer.strip()
    for pair in WRAPPERS:
        if answer[: len(pair.open)].lower() == pair.open.lower():
            answer = answer[len(pair.open) :].strip()
            if answer[-len(pair.close) :].lower() == pair.close.lower():
                answer = answer[: -len(pair.close)].strip()
    return answer


def named_tags(tokens: Iterable[str], template: str) -> tuple[Tag, ...]:
    """The pairs of tags of thoughts among the added tokens of a tokenizer and in the text of a chat template.

    Of `KNOWN_TAGS` one of the two is enough: many templates name only what closes a thought.
    """
    texts = list(dict.fromkeys([*(token for token in tokens if NAMED_TAG.fullmatch(token)),
                                *NAMED_TAG.findall(template)]))  # fmt: skip
    known = {_key(text): text for text in texts}
    pairs = [pair for pair in KNOWN_TAGS if _key(pair.open) in known or _key(pair.close) in known]
    seen = {_key(pair.open) for pair in pairs}
    pairs += [
        Tag(text, known[close])
        for text in texts
        for close in _closings(_key(text))
        if close in known and _key(text) not in seen
    ]
    return tuple(dict.fromkeys(pairs))


def _closings(key: str) -> list[str]:
    """What may close a tag, in lower case: ``</x>``, ``[/x]``, ``<|/x|>``, ``<|end_x|>``, ``<|x_end|>``."""
    head, body, tail = key[0], key[1:-1], key[-1]
    if "/" in body[:2]:
        return []
    inner = body.strip("|")
    bar = "|" if body.startswith("|") else ""
    forms = [f"{head}/{body}{tail}", f"{head}{bar}/{inner}{bar}{tail}", f"{head}{bar}end_{inner}{bar}{tail}",
             f"{head}{bar}{inner}_end{bar}{tail}"]  # fmt: skip
    forms += [key.replace(begin, end) for begin, end in ENDS_OF if begin in key]
    return [form for form in dict.fromkeys(forms) if form != key]


def open_tag(tail: str, tags: Sequence[Tag] = ()) -> Tag | None:
    """The tag of the thought that the end of a prompt leaves open, or None.

    Args:
        tail: what the chat template writes behind the last turn of the user.
    """
    vocabulary = _vocabulary(tuple(tags))
    pairs = list(dict.fromkeys([*KNOWN_TAGS, *tags]))
    found: Tag | None = HARMONY if tail.rstrip().endswith(HARMONY.open) else None
    for mark in vocabulary.pattern.finditer(tail):
        key = _key(mark[0])
        found = pairs[vocabulary.opens[key]] if key in vocabulary.opens else None
    return found


def ends_in_thought(prompt: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether a prompt ends with a tag that opens a thought."""
    prompt = prompt.rstrip()
    if prompt.endswith(HARMONY.open):
        return True
    vocabulary = _vocabulary(tuple(tags))
    marks = vocabulary.pattern.finditer(prompt, max(0, len(prompt) - CODE_CHARS))
    return any(mark.end() == len(prompt) and _key(mark[0]) in vocabulary.opens for mark in marks)


def closes_unopened(text: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether a text closes a thought that it did not open, which its prompt therefore did."""
    vocabulary = _vocabulary(tuple(tags))
    marks = vocabulary.pattern.finditer(text)
    first = next((mark for mark in marks if not _between_quotes(text, *mark.span())), None)
    return first is not None and _key(first[0]) in vocabulary.closes


class Start(Enum):
    """What the first words of a text are: of a thought, of an answer, or too few to tell."""

    THOUGHT = auto()
    ANSWER = auto()
    UNKNOWN = auto()


def start_of(text: str, tags: Sequence[Tag] = ()) -> Start:
    """What a text begins with, while it is generated; tokens that are special are in it."""
    key = _key(text)
    for opening in _openings(tuple(tags)):
        if key.startswith(opening):
            return Start.THOUGHT
        if opening.startswith(key):
            return Start.UNKNOWN
    return Start.ANSWER


@lru_cache(maxsize=64)
def _openings(tags: tuple[Tag, ...]) -> tuple[str, ...]:
    harmony = ("<|channel|>analysis", "<|channel|>commentary")
    return (*_vocabulary(tags).opens, *harmony, "hereismythoughtprocess:", "here'smythoughtprocess:")


def closes_thought(tail: str, tags: Sequence[Tag] = ()) -> bool:
    """Whether the last words of a thought close it. A tag behind a quotation mark is quoted."""
    if tail.rstrip().endswith(HARMONY.close) or GRANITE_ANSWER.search(tail):
        return True
    vocabulary = _vocabulary(tuple(tags))
    return any(_key(mark[0]) in vocabulary.closes and tail[mark.start() - 1 : mark.start()] not in QUOTES
               for mark in vocabulary.pattern.finditer(tail))  # fmt: skip
