"""The configuration files: ``[tool.slmsec]`` of pyproject.toml, or slmsec.toml."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.options import PLUGIN_OPTIONS
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.models import check_entry

if TYPE_CHECKING:
    from pytest_slmsec.gates.policy.config import GateConfig


def load_config(root: Path) -> dict[str, Any]:
    """The table ``[tool.slmsec]`` of `root`/pyproject.toml, or all of `root`/slmsec.toml, which wins.

    Raises:
        UsageError: no valid TOML, or an unknown key, named with its nearest match.
    """
    table: dict[str, Any] = {}
    where = root / "pyproject.toml"
    for path, inside in ((where, ("tool", "slmsec")), (root / "slmsec.toml", ())):
        if path.is_file():
            value = _toml(path)
            for key in inside:
                value = value.get(key, {})
            if value:
                table, where = value, path
    known = [option.key for option in PLUGIN_OPTIONS if option.configurable] + ["models", "gate"]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
            raise UsageError(f"{where}: [tool.slmsec] has the unknown key {key!r}; {hint}")
    for name, entry in table.get("models", {}).items():
        check_entry(name, entry, str(where))
    return table


def read_gate(root: Path, preset: str | None) -> GateConfig:
    """What the gate tolerates: ``[tool.slmsec.gate]`` of the configuration that counts in `root`.

    Raises:
        UsageError: see `gates.policy.config.read_config`.
    """
    from pytest_slmsec.gates.policy.config import read_config  # slower to import than all other settings

    return read_config(load_config(root).get("gate", {}), f"{root / 'pyproject.toml'} [tool.slmsec.gate]", preset)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}.") from error
