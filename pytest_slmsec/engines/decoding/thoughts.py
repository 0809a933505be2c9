"""Generated tokens of reasoning models: the text in thought and answer, and a token limit for each of the two."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.open_thoughts import Start, closes_thought, start_of
from pytest_slmsec.core.thought_tags import Tag
from pytest_slmsec.core.thoughts import separate, without_thoughts

CLOSING_TOKENS = 24
"""A closing tag has at most so many tokens."""
CLOSING_CHARS = (">", "]", ":", "\u25b7")
"""What closing tags end with."""


class GeneratedTexts:
    """Decodes generated tokens of one tokenizer into thought and answer.

    Args:
        tags: of thoughts that the tokenizer or its chat template names.
    """

    def __init__(self, tokenizer: Any, tags: Sequence[Tag]) -> None:
        self._tokenizer, self.tags = tokenizer, tuple(tags)
        special = sorted(filter(None, map(str, tokenizer.all_special_tokens)), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None
        self._may_close: dict[int, bool] = {}

    def read(self, tokens: Sequence[int], opened: bool) -> Output:
        """The answer, the thought, and the number of its tokens; special tokens are removed from both.

        Args:
            tokens: without the end-of-text token. opened: the prompt ends inside a thought.
        """
        raw = self.decode(tokens)
        if not separate(raw, self.tags, opened).found:
            return Output(str(self._tokenizer.decode(list(tokens), skip_special_tokens=True)))

        def tokens_before(at: int) -> int:
            return bisect_left(range(len(tokens)), at, key=lambda n: len(self.decode(tokens[:n])))

        found = without_thoughts(Output(raw), self.tags, opened, tokens_before)
        return Output(self._plain(found.text or ""), thought=self._plain(found.thought or ""),
                      thought_tokens=found.thought_tokens, hit_limit=found.hit_limit)  # fmt: skip

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, with the special ones."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

    def may_close(self, token: int) -> bool:
        """Whether a token may be the last one of a closing tag."""
        if token not in self._may_close:
            text = self.decode([token]).rstrip()
            self._may_close[token] = any(char in text for char in CLOSING_CHARS)
        return self._may_close[token]

    def _plain(self, text: str) -> str:
        return text if self._special is None else self._special.sub("", text).strip()


class ThoughtLimit:
    """Follows one answer while it is generated, and says how long it may become.

    Thoughts at the beginning of a text, with the blanks behind them, count against a budget of their own, all together;
    the answer's limit begins behind them. A thought in the middle of an answer counts as a part of it.

    Args:
        texts: decodes the tokens. budget: most tokens of thoughts. opened: the prompt ends inside a thought.

    Attributes:
        thinking: a thought is open. since: index of the first token of the open thought, or of what is not a thought.
    """

    def __init__(self, texts: GeneratedTexts, budget: int, opened: bool = False) -> None:
        self._texts, self.budget = texts, budget
        self.thinking = opened
        self.since = 0
        self._spent = 0
        self._decided = False

    def follow(self, tokens: Sequence[int]) -> None:
        """Take in the last one of the tokens generated so far."""
        if self.thinking:
            if self._texts.may_close(tokens[-1]) and self._closes(tokens):
                self._spent += len(tokens) - self.since
                self.thinking, self.since = False, len(tokens)
        elif not self._decided:
            text = self._texts.decode(tokens[self.since :])
            if not text.strip() and 0 < self._spent < self.budget:  # blanks behind a thought are no answer
                self._spent += len(tokens) - self.since
                self.since = len(tokens)
                return
            start = start_of(text, self._texts.tags)
            self.thinking = start is Start.THOUGHT
            self._decided = start is Start.ANSWER

    def most(self, limit: int) -> int:
        """How many tokens may be generated in all, as far as is known now. `limit`: the answer's."""
        return self.since + (self.budget - self._spent if self.thinking else limit)

    def _closes(self, tokens: Sequence[int]) -> bool:
        tail = tokens[max(self.since, len(tokens) - CLOSING_TOKENS) :]
        return closes_thought(self._texts.decode(tail), self._texts.tags)
