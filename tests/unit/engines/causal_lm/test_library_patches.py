"""What gptqmodel replaces in transformers is put back, so that a model loaded later finds its weights."""

import contextlib

import pytest
import tinymodel
import transformers
from enginechecks import run_all
from transformers import conversion_mapping
from transformers.models.mixtral import modeling_mixtral

from pytest_slmsec.core.items import Choose, Message
from pytest_slmsec.engines.causal_lm.library_patches import transformers_unchanged

ASKED = [Choose("c", (Message("user", "Is this an intrusion?"),), ("A", " yes, it is"))]


@pytest.fixture
def mixtral(tmp_path):
    """Directory and configuration of a tiny mixture of experts, which stand one by one in the checkpoint."""
    config = transformers.MixtralConfig(
        vocab_size=384, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    tinymodel.build_tokenizer(tmp_path, 384)
    transformers.MixtralForCausalLM(config).save_pretrained(tmp_path)
    return tmp_path, config


def test_a_base_is_loaded_and_answers_after_a_gptq_model_of_its_architecture_as_before(mixtral, load):
    defuser = pytest.importorskip("defuser")
    directory, config = mixtral
    before = run_all(load(directory), ASKED)
    names = vars(modeling_mixtral).copy(), conversion_mapping.get_checkpoint_conversion_mapping
    with transformers_unchanged(config):
        assert defuser.replace_fused_blocks("mixtral")
        assert modeling_mixtral.MixtralSparseMoeBlock is not names[0]["MixtralSparseMoeBlock"]
    assert modeling_mixtral.MixtralSparseMoeBlock is names[0]["MixtralSparseMoeBlock"]
    assert conversion_mapping.get_checkpoint_conversion_mapping is names[1]
    assert run_all(load(directory), ASKED) == before


def test_it_is_put_back_after_an_error_as_well(mixtral):
    own = conversion_mapping.get_checkpoint_conversion_mapping
    with contextlib.suppress(ZeroDivisionError), transformers_unchanged(mixtral[1]):
        conversion_mapping.get_checkpoint_conversion_mapping = None
        raise ZeroDivisionError
    assert conversion_mapping.get_checkpoint_conversion_mapping is own
