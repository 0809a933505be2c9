"""The recipes that ship: each is read, and the one after ALSATE holds every row of that project's table."""

import json
import shutil
from pathlib import Path

import pytest

import pytest_slmsec.finetune
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.finetune.recipe import read_recipe
from pytest_slmsec.finetune.trainer_settings import lora_of, settings_of, sft_config
from pytest_slmsec.quantize.registry import QUANTIZERS

RECIPES = Path(pytest_slmsec.finetune.__file__).parent / "recipes"


@pytest.fixture
def shipped(tmp_path):
    """Reads a shipped recipe in a folder where its data is."""

    def read(name):
        for data in ("train.jsonl", "eval.jsonl", "iio.jsonl", "turn.jsonl"):
            (tmp_path / data).write_text(json.dumps({"question": "a", "answer": "b"}) + "\n")
        return read_recipe(Path(shutil.copy(RECIPES / f"{name}.toml", tmp_path)))

    return read


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_a_shipped_recipe_can_be_trained(shipped, tmp_path, name):
    recipe = shipped(name)
    assert parse_model(recipe.base, shipped_registry(), tuple(QUANTIZERS)).adapter is None
    assert set(recipe.flow.quants) <= set(QUANTIZERS)
    config, _ = sft_config(recipe, settings_of(recipe), tmp_path, on_gpu=False)
    assert config.report_to == []
    assert lora_of(recipe)["task_type"] == "CAUSAL_LM"


ALSATE = {
    "per_device_train_batch_size": 1, "per_device_eval_batch_size": 1, "gradient_accumulation_steps": 2,
    "num_train_epochs": 2, "learning_rate": 2e-4, "weight_decay": 0.1, "max_grad_norm": 0.8, "eval_steps": 0.05,
    "save_steps": 0.05, "save_total_limit": 3, "load_best_model_at_end": True, "logging_steps": 1, "fp16": False,
    "bf16": False, "warmup_steps": 1000, "optim": "paged_adamw_32bit", "train_sampling_strategy": "group_by_length",
    "max_length": 512, "report_to": "none",
}  # fmt: skip
ALSATE_LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "bias": "none", "task_type": "CAUSAL_LM",
               "target_modules": "all-linear"}  # fmt: skip


@pytest.mark.parametrize("key", ALSATE)
def test_alsate_has_each_row_of_the_table_of_its_trainer(shipped, key):
    recipe = shipped("alsate")
    assert recipe.training[key] == ALSATE[key]
    assert settings_of(recipe)[key] == ALSATE[key]


@pytest.mark.parametrize("key", ALSATE_LORA)
def test_alsate_has_each_row_of_the_table_of_its_adapter(shipped, key):
    assert shipped("alsate").lora[key] == ALSATE_LORA[key]


def test_alsate_is_quantised_to_its_two_files():
    assert 'quants = ["q4_k_s", "q4_k_m"]' in (RECIPES / "alsate.toml").read_text()


def test_alsate_says_that_its_layers_are_not_told_there():
    assert "a variable of a notebook whose value is not written down" in (RECIPES / "alsate.toml").read_text()


def test_the_study_is_qlora_as_it_is_told_and_no_further(shipped):
    recipe = shipped("study-qlora")
    assert recipe.mode == "qlora"
    wanted = recipe.quantization
    assert (wanted.bnb_4bit_quant_type, wanted.bnb_4bit_use_double_quant, wanted.bnb_4bit_compute_dtype) == (
        "nf4", True, "float16",
    )  # fmt: skip
    assert recipe.training == {
        "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "gradient_checkpointing": True,
    }  # fmt: skip
    assert recipe.lora == {}
