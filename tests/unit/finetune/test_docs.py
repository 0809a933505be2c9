"""The recipes in the manual are read, with the trainer's own keys."""

import re
from pathlib import Path

import pytest

from pytest_slmsec.finetune.recipe import read_recipe
from pytest_slmsec.finetune.trainer_settings import lora_of, settings_of

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "finetune.md"
RECIPES = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_of_the_manual_is_read(tmp_path, text):
    (tmp_path / "train.jsonl").write_text("{}\n")
    (tmp_path / "recipe.toml").write_text(text)
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert settings_of(recipe)
    assert lora_of(recipe)
