"""The variants of an item: other texts with the same question, each an item of its own with an id such as
``cti-mcq-00001#typo1``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_slmsec.core.items import VARIANT, Item
from pytest_slmsec.perturb.injection import injected
from pytest_slmsec.perturb.option_order import all_options, shifted
from pytest_slmsec.perturb.protected import Ground, ground_of
from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span
from pytest_slmsec.perturb.typing_slips import case, space, typo
from pytest_slmsec.perturb.unicode_tricks import defang, homoglyph, zerowidth
from pytest_slmsec.perturb.wanted import KINDS, Wanted
from pytest_slmsec.perturb.wording import reworded

TEXT_KINDS: Mapping[str, Callable[[str, Sequence[Span], Seed], str]] = {
    "typo": typo,
    "case": case,
    "space": space,
    "homoglyph": homoglyph,
    "zerowidth": zerowidth,
    "defang": defang,
}
_ID = re.compile(rf"(?P<item>.+)#(?P<kind>{'|'.join(KINDS)})(?P<n>[1-9]\d*)", re.S)


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants of some items.

    Attributes:
        items: in the order of the items, and of each in the order of the kinds.
        counts: how many there are of each kind. unchanged: how many of each kind would equal their item or another
            variant of it, so that they are not asked.
    """

    items: tuple[Item, ...]
    counts: Mapping[str, int]
    unchanged: Mapping[str, int]


def variants(items: Sequence[Item], wanted: Sequence[Wanted], kept: Sequence[str] = ()) -> Variants:
    """All variants of all items that differ from their item and from each other. Pure: see `seeds.Seed`.

    Args:
        kept: texts that no variant touches, beside what `protected.ground_of` finds.
    """
    found, counts, unchanged = list[Item](), Counter[str](), Counter[str]()
    for item in items:
        seen, ground = {_asked(item)}, ground_of(item, kept)
        for kind, n in wanted:
            for number in range(1, n + 1):
                one = None if ground is None else _variant(item, ground, Seed(item.id, kind, number))
                if one is None or _asked(one) in seen:
                    unchanged[kind] += 1
                    continue
                seen.add(_asked(one))
                found.append(one)
                counts[kind] += 1
    return Variants(tuple(found), counts, unchanged)


def variant(item: Item, seed: Seed, kept: Sequence[str] = ()) -> Item | None:
    """One variant of an item, or None where this kind cannot change it."""
    ground = ground_of(item, kept)
    return None if ground is None else _variant(item, ground, seed)


def _variant(item: Item, ground: Ground, seed: Seed) -> Item | None:
    facts: dict[str, Any] = {"item": item.id, "kind": seed.kind, "n": seed.n}
    changed: Item | None
    if seed.kind == "options":
        changed = shifted(item, seed.n)
        facts |= {} if changed is None else {"shift": seed.n, "options": len(all_options(item)[-1].texts)}
    elif seed.kind == "inject":
        changed, facts["canary"] = injected(item, ground.zone, seed)
    elif seed.kind == "template":
        changed = reworded(item, ground.free, seed)
    else:
        changed = _retold(item, ground, seed)
    if changed is None:
        return None
    meta = {**changed.meta, VARIANT: facts, "cluster": item.meta.get("cluster") or item.id}
    return replace(changed, id=f"{item.id}#{seed.kind}{seed.n}", meta=meta)


def _retold(item: Item, ground: Ground, seed: Seed) -> Item:
    """The item with its question in another text, and where the benchmark gives it by itself, there too."""
    free = ground.addressable if seed.kind == "defang" else ground.free
    prompt = TEXT_KINDS[seed.kind](item.prompt, free, seed)
    end = ground.zone.end + len(prompt) - len(item.prompt)
    return replace(item, prompt=prompt, question=prompt[ground.zone.start : end] if item.question else "")


def seed_of(name: str) -> Seed | None:
    """Which variant an id names, or None: it is no variant's."""
    found = _ID.fullmatch(name)
    return None if found is None else Seed(found["item"], found["kind"], int(found["n"]))


def wanted_by(ids: Iterable[str]) -> tuple[Wanted, ...]:
    """The kinds, and how many of each, with which the variants of these ids are made; ids of no variant count for
    nothing."""
    most: dict[str, int] = {}
    for seed in map(seed_of, ids):
        if seed is not None:
            most[seed.kind] = max(seed.n, most.get(seed.kind, 0))
    return tuple(Wanted(kind, n) for kind, n in most.items())


def _asked(item: Item) -> tuple[str, str]:
    return item.prompt, item.question
