import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.finetune.recipe import read_recipe
from pytest_slmsec.finetune.trainer_settings import LORA_LEARNING_RATE, lora_of, settings_of, sft_config

HEAD = 'base = "tinysec"\n'
DATA = '[data]\ntrain = "rows.jsonl"\n'


@pytest.fixture
def read(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")

    def read(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return read_recipe(path)

    return read


def test_a_short_recipe_has_defaults_for_all_else(read, tmp_path):
    recipe = read(HEAD + DATA)
    assert (recipe.mode, recipe.name, recipe.data.train) == ("lora", "recipe", (tmp_path / "rows.jsonl",))
    settings = settings_of(recipe)
    assert settings["report_to"] == "none"
    assert settings["learning_rate"] == LORA_LEARNING_RATE
    assert (settings["bf16"], settings["gradient_checkpointing"], settings["packing"]) == (False, False, False)
    assert lora_of(recipe)["target_modules"] == "all-linear"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base = ", "no valid TOML"),
        (DATA, "names no base"),
        (HEAD, "names no training data"),
        (HEAD + 'mod = "lora"\n' + DATA, "unknown key 'mod'; did you mean 'mode'?"),
        (HEAD + 'mode = "lore"\n' + DATA, "did you mean 'lora'"),
        (HEAD + "data = 3\n", "must be a table"),
        (HEAD + "[data]\ntrain = 3\n", "write a text or a list of texts"),
        (HEAD + '[data]\ntrain = "none.jsonl"\n', "none.jsonl, which is no file"),
        (HEAD + DATA + "eval_shares = 0.1\n", "did you mean 'eval_share'"),
        (HEAD + DATA + "eval_share = 1\n", "write a share from 0 to below 1"),
        (HEAD + DATA + 'eval = "rows.jsonl"\neval_share = 0.1\n', "both eval and eval_share"),
        (HEAD + DATA + 'too_long = "kut"\n', "did you mean 'cut'"),
        (HEAD + DATA + 'allow_unlabelled = "yes"\n', "write true or false"),
        (HEAD + DATA + '[quantization]\nbnb_4bit_quant_type = "nf4"\n', 'is for mode = "qlora"'),
        (HEAD + 'mode = "sft"\n' + DATA + "[lora]\nr = 8\n", "[lora] is for modes lora and qlora"),
        (HEAD + 'mode = "qlora"\n' + DATA + '[quantization]\nbnb_4bit_quant_type = "nf5"\n', "did you mean 'nf4'"),
        (HEAD + DATA + '[flow]\nquant = ["nf4"]\n', "did you mean 'quants'"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_sentence(read, text, words):
    with pytest.raises(UsageError) as error:
        read(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max_seq_length = 512", "'max_seq_length' is no longer a key; write max_length"),
        ("group_by_length = true", 'write train_sampling_strategy = "group_by_length"'),
        ('evaluation_strategy = "steps"', "write eval_strategy"),
        ("warmup_ratio = 0.1", "write warmup_steps, where a number below 1"),
        ("learning_rat = 1e-4", "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ('output_dir = "x"', "the option --out names the folder"),
        ("trust_remote_code = true", "code of a model is never run"),
        ("push_to_hub = true", "nothing is uploaded"),
        ("assistant_only_loss = true", "only answers are trained"),
        ('num_train_epochs = "two"', "write a number"),
        ("fp16 = 1", "write true or false"),
    ],
)
def test_a_key_of_the_trainer_that_cannot_be_used_is_one_sentence(read, line, words):
    with pytest.raises(UsageError) as error:
        settings_of(read(f"{HEAD}{DATA}[training]\n{line}\n"))
    assert words in str(error.value)


@pytest.mark.parametrize(("line", "words"), [("rank = 8", "write r."), ("lora_alfa = 8", "did you mean 'lora_alpha'")])
def test_a_key_of_the_adapter_that_cannot_be_used_is_one_sentence(read, line, words):
    with pytest.raises(UsageError) as error:
        lora_of(read(f"{HEAD}{DATA}[lora]\n{line}\n"))
    assert words in str(error.value)


def test_a_value_that_the_trainer_refuses_is_one_sentence(read, tmp_path):
    recipe = read(f'{HEAD}{DATA}[training]\nlr_scheduler_type = "bent"\n')
    with pytest.raises(UsageError, match=r"\[training\] cannot be used"):
        sft_config(recipe, settings_of(recipe), tmp_path, on_gpu=False)


def test_what_needs_a_gpu_falls_back_without_one_and_says_so(read, tmp_path):
    recipe = read(f'{HEAD}{DATA}[training]\noptim = "paged_adamw_32bit"\nfp16 = true\n')
    config, said = sft_config(recipe, settings_of(recipe), tmp_path, on_gpu=False)
    assert (config.optim, config.fp16, config.bf16) == ("adamw_torch", False, False)
    assert "paged_adamw_32bit" in said[0]
    assert "fp16" in said[1]


def test_a_tracker_is_used_only_where_it_is_asked_for(read):
    recipe = read(HEAD + DATA)
    assert settings_of(recipe)["report_to"] == "none"
    assert settings_of(recipe, "wandb")["report_to"] == "wandb"
