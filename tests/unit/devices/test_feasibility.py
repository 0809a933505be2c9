"""Whether a model fits a device, from its files alone: nothing is loaded."""

import json
from pathlib import Path

import pytest

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.devices.feasibility import RUNTIME_BYTES, needed_bytes, why_not
from pytest_slmsec.devices.profile import GB, Profile
from pytest_slmsec.engines.common.cache_size import cache_bytes
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.registry import QUANTIZERS

SIM = Profile("docker-sim", 2, 2, 2)
CONFIG = {"num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "hidden_size": 64}


def tinysec(name="tinysec"):
    return parse_model(name, shipped_registry(), tuple(QUANTIZERS))


def test_the_cache_holds_keys_and_values_of_every_layer_and_head():
    assert cache_bytes(CONFIG, tokens=10, width=4) == 2 * 2 * 4 * 8 * 4 * 10
    assert cache_bytes({**CONFIG, "head_dim": 16}, 10, 2) == 2 * 2 * 4 * 16 * 2 * 10
    assert cache_bytes({}, 10, 4) == 0


def test_weights_count_as_they_are_computed():
    settings = EngineSettings()
    bare = {name: needed_bytes(tinysec(name), settings, 0, 0) - RUNTIME_BYTES
            for name in ("tinysec", "tinysec-bf16", "tinysec-gptq4")}  # fmt: skip
    assert bare["tinysec"] == pytest.approx(2 * bare["tinysec-bf16"], rel=0.01)
    assert bare["tinysec"] == pytest.approx(8 * bare["tinysec-gptq4"], rel=0.01)
    config = json.loads((Path(tinysec().location) / "config.json").read_text())
    longer = needed_bytes(tinysec(), settings, 300, 28) - RUNTIME_BYTES
    assert longer - bare["tinysec"] == cache_bytes(config, 128, 4)


def test_a_model_that_is_not_here_yet_is_not_judged():
    assert needed_bytes(ModelSpec("x", "x", location="org/none"), EngineSettings(), 100, 100) is None
    assert why_not(tinysec(), SIM, None) is None


def test_a_model_that_cannot_fit_is_one_sentence():
    assert why_not(tinysec(), SIM, round(1.9 * GB)) is None
    assert why_not(tinysec(), SIM, round(3.1 * GB)) == (
        "tinysec needs about 3.1 GB (weights, cache of the longest prompt, runtime), the profile docker-sim has 2 GB: "
        "take a smaller quantisation or a larger profile."
    )
