from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.finetuned import FINETUNED, keep_record
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.merge import merge, merged_folder
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.store import ensure_quantized


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny):
    """An adapter with random weights and a record that names a benchmark."""
    import peft
    from transformers import AutoModelForCausalLM

    place = tmp_path_factory.mktemp("adapter") / "a"
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    peft.get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), config).save_pretrained(place)
    (place / FINETUNED).write_text('{"overlap": {"found": {"cti-rcm": 3}}}')
    return place


def spec(name):
    return parse_model(str(name), {}, tuple(QUANTIZERS))


def logits(name, settings):
    """Of one text of 37 tokens, in float32."""
    engine: Any = make_engine(spec(name), settings)
    return engine.logits(tuple(range(3, 40))).float()


def test_a_merged_model_computes_what_the_adapter_computes(tiny, adapter, tmp_path):
    settings = EngineSettings(cache_dir=tmp_path / "cache")
    out = merged_folder(spec(tiny), adapter, tmp_path, settings)
    merge(spec(tiny), adapter, out, settings)
    live, merged, plain = (logits(name, settings) for name in (f"{tiny}+{adapter}", out, tiny))
    assert torch.allclose(live, merged, atol=1e-4)
    assert not torch.allclose(plain, merged, atol=1e-2)
    assert (out / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


def test_its_folder_is_named_by_the_content_of_base_and_adapter(tiny, adapter, tmp_path):
    settings = EngineSettings(cache_dir=tmp_path / "cache")
    first = merged_folder(spec(tiny), adapter, tmp_path, settings)
    assert merged_folder(spec(tiny), adapter, tmp_path, settings) == first
    other = tmp_path / "other"
    other.mkdir()
    for path in adapter.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert merged_folder(spec(tiny), other, tmp_path, settings) == first
    tensors = {name: tensor + 1 for name, tensor in load_file(adapter / "adapter_model.safetensors").items()}
    save_file(tensors, other / "adapter_model.safetensors")
    assert merged_folder(spec(tiny), other, tmp_path, settings) != first


def test_what_it_was_trained_on_goes_with_it_and_with_what_is_quantised_of_it(tiny, adapter, tmp_path):
    settings = EngineSettings(cache_dir=tmp_path / "cache")
    out = tmp_path / "merged"
    merge(spec(tiny), adapter, out, settings)
    quantised = ensure_quantized(spec(f"{out}-int8wo"), settings)
    for name in (str(out), str(quantised), f"{out}-int8wo"):
        assert make_engine(spec(name), settings).info.extra["trained_overlap"] == {"cti-rcm": 3}


def test_a_model_without_a_record_keeps_none(tiny, tmp_path):
    keep_record(tiny, tmp_path)
    assert not (tmp_path / FINETUNED).exists()


def test_a_quantised_base_is_not_merged_into(tiny, adapter, tmp_path):
    with pytest.raises(FinetuneError, match="is quantised"):
        merge(spec(f"{tiny}-int8wo"), adapter, tmp_path / "merged", EngineSettings())
