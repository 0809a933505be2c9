"""Writes docs/options.md, the reference of all options of the plugin, from the table that also declares them.

python tests/option_reference.py
"""

from __future__ import annotations

import re
from pathlib import Path

from pytest_slmsec.config.options import GATE_OPTIONS, MODEL, PLUGIN_OPTIONS, SERVER_OPTIONS, Option

PAGE = Path(__file__).parent.parent / "docs" / "options.md"
INTRODUCTION = """\
# Options

Every option of the pytest plugin. This page is made from the table that declares them
(`python tests/option_reference.py`); `pytest --help` lists them under "small language models for security".

A value is taken from the command line, else from the environment variable (where one is named), else from the key in
`[tool.slmsec]` of `pyproject.toml` (or in `slmsec.toml`). Options marked "command line only" have no key. The limits of
the gate have tables of their own: see [the gate](gate.md).
"""


def usage(option: Option) -> str:
    """The option as it is typed: ``--slmsec-limit=N[:SEED]``."""
    if str(option.kwargs.get("action", "")).startswith("store_"):
        return option.flag
    return f"{option.flag}={option.kwargs.get('metavar') or '|'.join(map(str, option.kwargs['choices']))}"


def escaped(text: str) -> str:
    """Help text as Markdown: brackets and signs of Markdown escaped outside of code spans, named pages as links."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = "".join(part if part.startswith("`") else re.sub(r"([\[\]<>*|])", r"\\\1", part) for part in parts)
    return re.sub(r"docs/([\w-]+)\.md", r"[\1](\1.md)", plain)


def section(option: Option) -> str:
    """One option: how it is typed, its help, and where else its value may come from."""
    places = [f"variable `{option.env}`"] if option.env else []
    places.append(f"key `{option.key}`" if option.configurable else "command line only")
    text = "; ".join(places)
    return f"### `{usage(option)}`\n\n{escaped(option.help)}\n\n*{text[0].upper()}{text[1:]}.*\n"


def reference() -> str:
    """The whole page."""
    own = {"Models on a server": SERVER_OPTIONS, "The gate": GATE_OPTIONS}
    grouped = {option.name for options in own.values() for option in options}
    rest = [option for option in PLUGIN_OPTIONS if option is not MODEL and option.name not in grouped]
    groups = {"Models, items and runs": [MODEL, *rest], **own}
    parts = [f"## {title}\n\n" + "\n".join(map(section, options)) for title, options in groups.items()]
    return INTRODUCTION + "\n" + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), "utf-8")
