import json

import pytest
from tinymodel import CHATML, build_tiny_llama

CHATS = [
    {"messages": [{"role": "user", "content": f"Which port is number {n}?"},
                  {"role": "assistant", "content": "It is port 22."}]} for n in range(12)
]  # fmt: skip


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A Llama of random weights with its own tokenizer."""
    return build_tiny_llama(tmp_path_factory.mktemp("tiny") / "base", template=CHATML.replace("<|end|>", "</s>"))


@pytest.fixture
def recipe_file(tmp_path, tiny):
    """Writes a recipe for the tiny model beside twelve chats; `extra` is appended, `top` stands above the tables."""

    def write(extra="", rows=CHATS, top='mode = "lora"', data="", training="max_steps = 4"):
        write_rows(tmp_path / "train.jsonl", rows)
        path = tmp_path / "recipe.toml"
        path.write_text(
            f'base = "{tiny}"\n{top}\n[data]\ntrain = "train.jsonl"\n{data}\n'
            f"[training]\nper_device_train_batch_size = 4\nlearning_rate = 1e-2\n{training}\n{extra}"
        )
        return path

    return write
