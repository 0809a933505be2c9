"""What the overlap of 8 and of 13 words finds of a benchmark in training rows: python tests/contamination_table.py

Clean rows, and rows that hold an item with a share of its words replaced by others: our own words, drawn by a seed.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import NamedTuple

from pytest_slmsec.core.items import Item
from pytest_slmsec.tasks.contamination import overlaps

TEXT = """
the a an each one of in on at by with without and or but then server client host disk log key file token cookie session
user group role script service driver kernel worm mail rule share port proxy gateway cloud backup update attacker
analyst alarm queue entry value table page query reads writes copies deletes encrypts sends hides renames scans stops
restarts waits fails opens closes open old new hidden remote local weak long short first last before after while until
never always two three
"""
WORDS = TEXT.split()
LENGTHS, HIDDEN = range(25, 46), 200
SHARES = (0.0, 0.1, 0.3)


class Line(NamedTuple):
    """Rows that were flagged, for one length of overlap.

    Attributes:
        words: in a row. clean: of the clean rows. found: of the `HIDDEN` rows that hold an item, by the share of words
            that were changed. seconds: for the clean rows.
    """

    words: int
    clean: int
    found: tuple[int, ...]
    seconds: float


def text(rng: random.Random) -> str:
    """25 to 45 words."""
    return " ".join(rng.choices(WORDS, k=rng.choice(LENGTHS)))


def changed(words: str, share: float, rng: random.Random) -> str:
    """A text with each word replaced by another with the probability `share`."""
    return " ".join(rng.choice(WORDS) if rng.random() < share else word for word in words.split())


def measure(rows: int, items: int, seed: int = 3) -> list[Line]:
    """The lines of the table."""
    rng = random.Random(seed)
    benchmark = [Item(f"own-{n:05d}", text(rng), "x") for n in range(items)]
    clean = [text(rng) for _ in range(rows)]
    chosen = rng.sample(benchmark, min(HIDDEN, items))
    hidden = [[f"Explain: {changed(item.prompt, share, rng)}" for item in chosen] for share in SHARES]
    lines = []
    for words in (8, 13):
        began = time.perf_counter()
        flagged = count(benchmark, clean, words)
        seconds = time.perf_counter() - began
        lines.append(Line(words, flagged, tuple(count(benchmark, texts, words) for texts in hidden), seconds))
    return lines


def count(benchmark: list[Item], texts: list[str], words: int) -> int:
    """How many of some texts hold an item."""
    return len({overlap.text for overlap in overlaps([benchmark], texts, words)})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1_000)
    args = parser.parse_args()
    heads = [f"{100 * share:.0f} % changed" for share in SHARES]
    print(f"| words in a row | of {args.rows:,} clean rows | {' | '.join(heads)} | seconds |")
    print("|---|---|" + "---|" * len(heads) + "---|")
    for line in measure(args.rows, args.items):
        cells = [str(line.words), str(line.clean), *map(str, line.found), f"{line.seconds:.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
