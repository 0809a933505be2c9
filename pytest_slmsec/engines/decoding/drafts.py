"""Guesses of the next tokens of an answer from its own text (prompt-lookup decoding).

Answers repeat their prompts, and small models repeat themselves. Where the last tokens of a text stand in it before,
what followed them there is likely to follow again. Several guessed tokens are fed in one step together with the newest
one, and each is kept only if it is the token that the model finds most probable at its place. So a guess saves a step
or costs some work, but never changes which tokens are chosen.

Source: Saxena 2023, Prompt Lookup Decoding, https://github.com/apoorvumang/prompt-lookup-decoding; verification of
greedy tokens: Stern et al. 2018, Blockwise Parallel Decoding, https://arxiv.org/abs/1811.03115.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pytest_slmsec.engines.decoding.greedy import Row

DRAFTED = {"cpu": 8}
"""Most tokens of an answer that are guessed in one step, by device; none on others, where steps are recorded for one
token in every slot."""
MATCHED = 3
"""Tokens that must stand in the text before."""
FIRST = 2
"""Most tokens of the first guess; twice as many after each guess that was right, half after one that was not."""


class Drafts:
    """The guesses of one answer. They depend on nothing but its own text and on which guesses were right before.

    Args:
        text: the prompt. most: most tokens of a guess; 0 guesses nothing.
    """

    def __init__(self, text: Iterable[int], most: int) -> None:
        self._most, self._length = most, min(FIRST, most)
        self._text: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._known = 0
        if most:
            self.follow(text)

    def follow(self, tokens: Iterable[int]) -> None:
        """Take in the tokens that follow the text so far."""
        if self._most:
            self._text += tokens

    def guess(self, room: int) -> list[int]:
        """The tokens that may come next, at most `room`: what followed the latest earlier place of the last tokens.

        A text that repeats itself with a short period is continued by that period.
        """
        for end in range(max(self._known, MATCHED), len(self._text)):
            self._after[tuple(self._text[end - MATCHED : end])] = end
        self._known = len(self._text)
        at = self._after.get(tuple(self._text[-MATCHED:])) if len(self._text) >= MATCHED else None
        if at is None:
            return []
        period = len(self._text) - at
        return [self._text[at + step % period] for step in range(max(0, min(self._length, room)))]

    def learn(self, guessed: int, right: int) -> None:
        """How many tokens of the last guess were right. No guess is made any more once none of a short one is."""
        if guessed:
            self._length = min(self._most, 2 * self._length) if right == guessed else max(1, self._length // 2)

    def stop(self) -> None:
        """Guess nothing any more."""
        self._length = 0


class DraftedRow:
    """A row, and the guesses of its next tokens. Tokens that are drawn are not guessed.

    Args:
        drafted: most tokens of a guess.
    """

    def __init__(self, row: Row, drafted: int) -> None:
        self.row = row
        self.drafts = Drafts(row.text, 0 if row.sampler is not None else drafted)
        self.guess: list[int] = []

    def next(self, guessed: int) -> list[int]:
        """The tokens to feed: the newest one, and a guess of at most `guessed` of those behind it."""
        self.guess = self.drafts.guess(min(guessed, self.row.longest - len(self.row.tokens) - 1))
        return [self.row.tokens[-1], *self.guess]

    def follow(self, best: Sequence[int | None], ends: Collection[int]) -> int:
        """Append the next token after each of the tokens fed, up to the first that was guessed wrong.

        If logits behind a guess are not finite, nothing is appended, and nothing is guessed any more: in the next step
        the newest token is alone, and its logits are its own.

        Args:
            best: for each token fed the next one, or None where the logits are not finite. ends: token ids that end a
                text.

        Returns:
            How many of the tokens fed are right.
        """
        if self.guess and None in best:
            self.drafts.stop()
            return 0
        before = len(self.row.tokens)
        for token, guessed in zip(best, [*self.guess, None], strict=True):
            self.row.append_next_token(token, ends)
            if token != guessed or not self.row.running:
                break
        added = self.row.tokens[before:]
        self.drafts.follow(added)
        self.drafts.learn(len(self.guess), sum(map(int.__eq__, added, self.guess)))
        return max(1, len(added))
