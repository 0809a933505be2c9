"""The tags that models write around a thought: those that are known, and those that a tokenizer or chat template names.

Tags are compared without differences in case and blanks (`tag_key`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple


class Tag(NamedTuple):
    """What opens a thought and what closes it."""

    open: str
    close: str


THINK = Tag("<think>", "</think>")
KNOWN_TAGS = (
    THINK,
    Tag("<thinking>", "</thinking>"),
    Tag("<thought>", "</thought>"),  # EXAONE Deep
    Tag("<seed:think>", "</seed:think>"),  # Seed-OSS
    Tag("<reasoning>", "</reasoning>"),  # Reka
    Tag("<reflection>", "</reflection>"),
    Tag("<scratchpad>", "</scratchpad>"),
    Tag("<thoughts>", "</thoughts>"),
    Tag("<internal_thoughts>", "</internal_thoughts>"),
    Tag("<inner_monologue>", "</inner_monologue>"),
    Tag("<antThinking>", "</antThinking>"),
    Tag("<longcat_think>", "</longcat_think>"),  # LongCat-Flash-Thinking
    Tag("[THINK]", "[/THINK]"),  # Magistral
    Tag("<|thinking|>", "<|/thinking|>"),
    Tag("<|think|>", "<|/think|>"),
    Tag("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    Tag("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    Tag("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Tag("<|channel>thought", "<channel|>"),  # Gemma 4
    Tag("<unused94>thought", "<unused95>"),  # MedGemma
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
HARMONY = Tag("<|channel|>analysis<|message|>", "<|channel|>final<|message|>")
"""What a thought and an answer of gpt-oss begin with."""
APRIEL = Tag("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]")
"""What a thought and an answer of Apriel begin with. Its prompts end with the first."""
QUOTES = {"`": "`", '"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb", "\u300c": "\u300d"}
# "<think>", "[/THINK]", "<|begin_of_thought|>" in a vocabulary or a template.
NAMED_TAG = re.compile(
    r"<[|/]{0,2}[\w:./-]{0,24}(?:think|thought|reason|reflect|scratch)[\w:./-]{0,24}\|?>|"
    r"\[/?(?:think|thinking|thought|reasoning)\]",
    re.IGNORECASE,
)
# The same in an answer, without "<reason>", which is also a field of logs.
WRITTEN_TAG = re.compile(
    r"<[|/]{0,2}(?:[a-z0-9]{1,20}[_:-]){0,2}(?:think|thinking|thoughts?|reasoning)(?:[_:-][a-z0-9]{1,20}){0,2}\|?>",
    re.IGNORECASE | re.ASCII,
)
WRITTEN_TAGS = 8
# "<analysis>" at the beginning of a text; parts of an answer are called so too.
LEADING_TAG = re.compile(
    r"\s{0,20}<(analysis|cot|chain[_-]of[_-]thoughts?|deliberation|internal|plan|planning|rationale|work)>",
    re.IGNORECASE,
)
# " type="deep"" of "<think type="deep">".
ATTRIBUTES = re.compile(r"\s[\w-]{1,30}\s?=[^<>]{0,200}(?=>$)")
_ANY_ATTRIBUTES = r"(?:\s[\w-]{1,30}\s?=[^<>\n]{0,100})?"
ENDS_OF = (("start", "end"), ("begin", "end"), ("open", "close"), ("prefix", "suffix"))


class TagVocabulary(NamedTuple):
    """The tags that are looked for.

    Attributes:
        pattern: finds any of them in a text.
        opens, closes: `tag_key` of a tag to the number of the pair that it opens, and to those that it may close.
    """

    pattern: re.Pattern[str]
    opens: dict[str, int]
    closes: dict[str, frozenset[int]]


@lru_cache(maxsize=64)
def tag_vocabulary(more: tuple[Tag, ...]) -> TagVocabulary:
    """The vocabulary of `KNOWN_TAGS` and `more`."""
    pairs = list(dict.fromkeys([*KNOWN_TAGS, *more]))
    opens: dict[str, int] = {}
    for index, pair in enumerate(pairs):
        opens.setdefault(tag_key(pair.open), index)
    closes: dict[str, set[int]] = {}
    for pair in pairs:
        for close in (pair.close, *OTHER_CLOSINGS.get(tag_key(pair.open), ())):
            closes.setdefault(tag_key(close), set()).add(opens[tag_key(pair.open)])
    texts = sorted({*opens, *closes}, key=len, reverse=True)
    first, second = ("".join(sorted({re.escape(text[at]) for text in texts})) for at in (0, 1))
    begin = rf"(?=[{first}][ \t{second}])"  # so that a text full of "<" is passed over quickly
    pattern = re.compile(rf"{begin}(?:{'|'.join(map(_loose, texts))})", re.IGNORECASE)
    return TagVocabulary(pattern, opens, {key: frozenset(found) for key, found in closes.items()})


def tag_key(tag: str) -> str:
    """A tag without differences in case and blanks, and without attributes."""
    return "".join(ATTRIBUTES.sub("", tag).split()).lower()


def _loose(tag: str) -> str:
    """A pattern of a tag in which blanks may stand behind its first and before its last mark, and attributes behind the
    name of an opening tag as in XML."""
    found = re.fullmatch(r"(\W+)(.*?)(\W+)", tag, re.DOTALL)
    if found is None:
        return re.escape(tag)
    head, middle, tail = map(re.escape, found.groups())
    attributes = _ANY_ATTRIBUTES if (found[1], found[3]) == ("<", ">") else ""
    return rf"{head}[ \t]{{0,3}}{middle}{attributes}[ \t]{{0,3}}{tail}"


def between_quotes(text: str, start: int, end: int) -> bool:
    """Whether a part of a text stands directly between a pair of quotation marks. `start`, `end`: its indices."""
    return start > 0 and end < len(text) and QUOTES.get(text[start - 1]) == text[end]


def named_tags(tokens: Iterable[str], template: str) -> tuple[Tag, ...]:
    """The pairs of tags of thoughts among the added tokens of a tokenizer and in the text of a chat template.

    Of `KNOWN_TAGS` one of the two is enough: many templates name only what closes a thought.
    """
    texts = list(dict.fromkeys([*(token for token in tokens if NAMED_TAG.fullmatch(token)),
                                *NAMED_TAG.findall(template)]))  # fmt: skip
    known = {tag_key(text): text for text in texts}
    pairs = [pair for pair in KNOWN_TAGS if tag_key(pair.open) in known or tag_key(pair.close) in known]
    seen = {tag_key(pair.open) for pair in pairs}
    pairs += [
        Tag(text, known[close])
        for text in texts
        for close in _closings(tag_key(text))
        if close in known and tag_key(text) not in seen
    ]
    return tuple(dict.fromkeys(pairs))


def written_tags(text: str) -> tuple[Tag, ...]:
    """Pairs of tags of thoughts that a text opens and closes, whatever model wrote it: ``<cot_thought>``.

    At most `WRITTEN_TAGS` different tags are looked at.
    """
    written: dict[str, None] = {}
    for match in WRITTEN_TAG.finditer(text):
        written[match[0]] = None
        if len(written) == WRITTEN_TAGS:
            break
    return named_tags(written, "") if len(written) > 1 else ()


def leading_tag(text: str) -> tuple[Tag, ...]:
    """The pair of tags whose first one a text begins with, if it is one of `LEADING_TAG` and an answer follows behind
    the last of its closing tags, or none of these is there because the text was cut off."""
    begun = LEADING_TAG.match(text)
    if begun is None:
        return ()
    tag = Tag(f"<{begun[1]}>", f"</{begun[1]}>")
    ends = [found.end() for found in re.finditer(re.escape(tag.close), text, re.IGNORECASE)]
    return (tag,) if not ends or text[ends[-1] :].strip() else ()


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
