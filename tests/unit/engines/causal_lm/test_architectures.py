"""Every text architecture of the installed transformers answers as its own plain forward passes do, or is refused."""

import warnings
from pathlib import Path

import pytest
import torch
from text_architectures import (
    NAMES,
    SKIPPED,
    WITH_IMAGES,
    asked,
    config_of,
    made,
    path_of,
    plain_scores,
    plain_text,
    routes_of,
    rows,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from pytest_slmsec.core.errors import ModelError

ENDS = (2,)
EXACT_NATS = 2e-3
NOT_CAUSAL = {"cpmant", "prophetnet", "xlm", "xlnet"}
PATHS = {
    "llama": "packed", "qwen3": "packed", "gemma3_text": "packed", "phi3": "packed", "mistral3": "packed",
    "lfm2": "padded", "qwen3_next": "padded", "qwen3_5": "padded", "jamba": "padded", "bamba": "padded",
    "falcon_h1": "padded", "granitemoehybrid": "padded", "nemotron_h": "padded", "mamba2": "padded",
    "gpt_oss": "padded", "mamba": "alone", "rwkv": "alone", "recurrent_gemma": "alone, without cache",
}  # fmt: skip
"""What is known of some architectures: a slower path than before is a loss that must be seen."""


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny products are fastest on one thread; transformers warns of kernels that are not installed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(threads)


def score(routes, questions):
    if routes.packed is not None:
        return routes.packed.choose(questions)
    return routes.choose(questions, lambda: None)


def write(routes, answers):
    path = routes.packed if routes.packed is not None else routes
    path.generate(answers, ENDS)
    return [row.tokens for row in answers]


@pytest.mark.parametrize("name", sorted({*NAMES, *WITH_IMAGES}))
def test_an_architecture_answers_as_its_plain_forward_passes_do(name):
    """Choices of several tokens and greedy texts, each alone and all in one batch."""
    model = made(name)
    if name in NOT_CAUSAL or getattr(config_of(name), "is_encoder_decoder", False):
        with pytest.raises(ModelError, match=r"^[^\n]*(no causal language model|an encoder and a decoder)[^\n]*$"):
            routes_of(model, name)
        return
    routes = routes_of(model, name)
    assert path_of(routes) == PATHS.get(name, path_of(routes))
    questions = asked()
    expected = [plain_scores(model, one) for one in questions]
    together, alone = score(routes, questions), score(routes, questions[:1])
    for one, plain in zip([*together, *alone], [*expected, expected[0]], strict=True):
        assert one.logprobs == pytest.approx(plain, abs=EXACT_NATS)
    texts = [plain_text(model, row, ENDS) for row in rows()]
    assert write(routes, rows()) == texts
    assert write(routes, rows()[1:2]) == texts[1:2]


def test_every_architecture_is_built_or_has_a_reason():
    assert {*NAMES, *SKIPPED} == {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    assert all(len(why) > 20 for why in SKIPPED.values())


HEADER = "| path | architectures |"
MANUAL = Path(__file__).parents[4] / "docs" / "architectures.md"


def rows_of_the_manual():
    """What docs/architectures.md says of each architecture."""
    table = MANUAL.read_text("utf-8").partition(HEADER)[2].partition("\n\n")[0]
    lines = [line.split("|") for line in table.splitlines() if line.startswith("| ")]
    return [(name, cells[1].strip()) for cells in lines for name in cells[2].strip().split(", ")]


def test_the_table_of_the_manual_names_every_architecture_once():
    """It is printed anew by ``python tests/text_architectures.py``."""
    rows = rows_of_the_manual()
    named = dict(rows)
    assert len(named) == len(rows)
    assert {*named} == {*NAMES, *WITH_IMAGES, *SKIPPED}
    assert {name: named[name] for name in PATHS} == PATHS
    assert {name for name, path in named.items() if path.startswith("not built: ")} == {*SKIPPED}
