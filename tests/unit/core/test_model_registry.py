"""Entries of the registry of models."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import check_entry, shipped_registry

QUANTS = ("gptq4",)


def test_a_registry_entry_with_a_typo_is_named():
    with pytest.raises(UsageError, match="unknown key 'lokation'"):
        check_entry("x", {"lokation": "hf:a/b"}, "pyproject.toml")
    with pytest.raises(UsageError, match="needs `location`"):
        check_entry("x", {}, "pyproject.toml")
    with pytest.raises(UsageError, match="`adapter` of the model 'x' must be text"):
        check_entry("x", {"location": "hf:a/b", "adapter": True}, "pyproject.toml")


def test_every_shipped_entry_is_sound():
    for name, entry in shipped_registry().items():
        check_entry(name, entry, "models.toml")
        served = parse_model(name, shipped_registry(), QUANTS).source == "server"
        for quant in ("",) if served else ("", "-gptq4", "-bf16"):
            assert parse_model(name + quant, shipped_registry(), QUANTS).base == name


def test_every_shipped_model_says_what_a_user_has_to_know():
    for name in shipped_registry():
        spec = parse_model(name, shipped_registry(), QUANTS)
        assert spec.licence, name
        assert spec.context_tokens, name
        assert spec.chat_template is not None or spec.source == "server", name
