"""The navigation of the documentation site (zensical.toml) and the pages in docs/."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def pages(navigation):
    """Files of all entries, in order."""
    for entry in navigation:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else pages(target)


def test_every_page_is_in_the_navigation_once():
    navigation = list(pages(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]))
    assert sorted(navigation) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
