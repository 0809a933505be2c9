"""The configuration files: ``[tool.slmsec]`` of pyproject.toml, or slmsec.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.options import PLUGIN_OPTIONS, Option
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.model_registry import check_entry
from pytest_slmsec.core.toml_files import check_keys, read_toml

if TYPE_CHECKING:
    from pytest_slmsec.gates.policy.config import GateConfig


def load_config(root: Path) -> dict[str, Any]:
    """The table ``[tool.slmsec]`` of `root`/pyproject.toml, or all of `root`/slmsec.toml, which wins.

    Raises:
        UsageError: no valid TOML, an unknown key, named with its nearest match, or a value of the wrong kind.
    """
    where, table = _find_table(root)
    options = {option.key: option for option in PLUGIN_OPTIONS if option.configurable}
    known = [*options, "models", "gate", "card", "devices"]
    check_keys(f"{where}: [tool.slmsec]", table, known)
    for key, value in table.items():
        problem = _wrong_kind(options[key], value) if key in options else _no_table(value)
        if problem is not None:
            raise UsageError(f"{where}: [tool.slmsec] {key} = {value!r}: {problem}.")
    for name, entry in table.get("models", {}).items():
        check_entry(name, entry, str(where))
    return table


def _find_table(root: Path) -> tuple[Path, dict[str, Any]]:
    """The table of the configuration, empty where there is none, and the file that it stands in."""
    pyproject, own = root / "pyproject.toml", root / "slmsec.toml"
    if own.is_file():
        table = read_toml(own)
        if table:
            return own, table
    if not pyproject.is_file():
        return pyproject, {}
    table = read_toml(pyproject).get("tool", {}).get("slmsec", {})
    problem = _no_table(table)
    if problem is not None:
        raise UsageError(f"{pyproject}: tool.slmsec = {table!r}: {problem}.")
    return pyproject, table


def _no_table(value: Any) -> str | None:
    return None if isinstance(value, dict) else "write a table"


def _wrong_kind(option: Option, value: Any) -> str | None:
    """What to write instead of a value that is no switch, number, list or text as its option wants it, or None.

    `config.settings` checks numbers, and whether a text is one of the choices.
    """
    action = option.kwargs.get("action")
    if action == "store_true":
        return None if isinstance(value, bool) else "write true or false"
    if action == "append":
        is_list = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        return None if is_list else "write a list of texts in quotes"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if "type" in option.kwargs:
        return None if is_number else "write a number"
    if isinstance(value, str) or (is_number and option.key == "limit"):
        return None
    return "write a text in quotes"


def read_gate(root: Path, preset: str | None) -> GateConfig:
    """What the gate tolerates: the table ``[tool.slmsec.gate]`` that `load_config` finds in `root`.

    Args:
        preset: the margins of an occasion, by name; None: the default.

    Raises:
        UsageError: see `gates.policy.config.read_config`.
    """
    from pytest_slmsec.gates.policy.config import read_config  # slower to import than all other settings

    return read_config(load_config(root).get("gate", {}), f"{root / 'pyproject.toml'} [tool.slmsec.gate]", preset)
