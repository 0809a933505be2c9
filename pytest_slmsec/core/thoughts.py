"""What a reasoning model thinks, separated from what it answers; every engine and every recorded answer passes here.

The rules, in the order in which they are applied:

* Harmony (gpt-oss): the channel ``final`` is the answer, every other channel is thought. Where a detokenizer dropped
  the special tokens (``analysisWe need ...assistantfinalB``), the words that are left tell the channels apart.
* An opening tag (`KNOWN_TAGS`, and the tags that a tokenizer or chat template names: `named_tags`) starts a thought
  wherever it stands, and the first closing tag of its kind ends it. Case and blanks inside a tag do not matter. There
  may be several thoughts. A tag inside a thought that opens another one is part of the thought.
* Tags of other names that say what they are (``<cot_thought>``) count where a text has both of a pair. Of names that
  parts of an answer have too (``<analysis>``) the text must begin with one, and an answer follow behind its end.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.thought_tags import (
    Tag,
    TagVocabulary,
    between_quotes,
    leading_tag,
    tag_key,
    tag_vocabulary,
    written_tags,
)
from pytest_slmsec.core.untagged_thoughts import Separated, joined, separate_untagged, without_wrapper

CODE_CHARS = 200
"""How far from a tag the backticks of inline code are looked for."""
FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)", re.MULTILINE)


def separate(text: str, tags: Sequence[Tag] = (), opened: bool = False) -> Separated:
    """A text in thought and answer.

    Args:
        tags: those that the tokenizer or chat template names, beside `KNOWN_TAGS`.
        opened: the prompt ends inside a thought, so the text begins in one, unless it opens one itself.
    """
    untagged = separate_untagged(text, opened)
    if untagged is not None:
        return untagged
    return _Scan(text, tag_vocabulary((*tags, *written_tags(text), *leading_tag(text)))).run(opened)


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
        output, text=found.answer, thought=joined([output.thought or "", found.thought]), thought_tokens=tokens,
        hit_limit=output.hit_limit or not found.finished,
    )  # fmt: skip


@dataclass(slots=True)
class _Scan:
    """One pass over the tags of a text.

    Attributes:
        at: end of what is taken. thoughts, parts: taken so far; parts of the answer with the place where each begins.
    """

    text: str
    vocabulary: TagVocabulary
    at: int = 0
    thoughts: list[str] = field(default_factory=list)
    parts: list[tuple[str, int]] = field(default_factory=list)
    quoted: int = 0

    def run(self, opened: bool) -> Separated:
        """Separate the text. `opened`: it begins inside a thought."""
        text, opens, closes = self.text, self.vocabulary.opens, self.vocabulary.closes
        marks = [mark for mark in self.vocabulary.pattern.finditer(text) if not between_quotes(text, *mark.span())]
        if not marks and not opened:
            return Separated("", text, True, False, 0)
        fences = [found.start() for found in FENCE.finditer(text)]
        end = self._end_of_words(marks)
        thinking: int | None = None
        inside = opened and not (marks and tag_key(marks[0][0]) in opens and not text[: marks[0].start()].strip())
        found = inside
        for mark in marks:
            key = tag_key(mark[0])
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
            return Separated(joined(self.thoughts), "", False, True, len(text))
        if not found:
            return Separated("", text, True, False, 0)
        self.parts.append((text[self.at :], self.at))
        kept = [(part, at) for part, at in self.parts if part.strip()]
        answer = without_wrapper(" ".join(part.strip() if at != kept[0][1] else part.rstrip() for part, at in kept))
        return Separated(joined(self.thoughts), answer, True, True, kept[-1][1] if kept else len(text))

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
            if tag_key(mark[0]) not in self.vocabulary.closes or self.text[mark.end() : end].strip():
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
