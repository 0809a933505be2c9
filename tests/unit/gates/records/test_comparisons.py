"""Who is judged against whom."""

import pytest
from benchmark_runs import run

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.gates.records.comparisons import live_comparisons, stored_comparisons

REGISTRY = {name: {"location": "/nowhere"} for name in ("phi3", "qwen")}


def specs(*names):
    return [parse_model(name, REGISTRY, ("gptq4", "gptq8")) for name in names]


def pairs(*names, base=None):
    found = live_comparisons(specs(*names), base)
    return [(one.candidate.name, one.live_baseline.name) for one in found]


def test_each_quantised_model_is_judged_against_its_own_base():
    assert pairs("phi3-gptq4", "phi3", "qwen-gptq4", "phi3-gptq8") == [("phi3-gptq4", "phi3"), ("phi3-gptq8", "phi3")]


def test_a_dtype_is_judged_against_its_base_as_every_other_form_is():
    assert pairs("phi3", "phi3-fp16") == [("phi3-fp16", "phi3")]
    assert pairs("phi3-bf16", "phi3", "phi3-gptq4") == [("phi3-bf16", "phi3"), ("phi3-gptq4", "phi3")]


LORA = "hf:me/lora"


def test_an_adapter_is_judged_against_its_base():
    assert pairs(f"phi3+{LORA}", "phi3") == [(f"phi3+{LORA}", "phi3")]
    assert pairs(f"phi3+{LORA}", "phi3-fp16") == [(f"phi3+{LORA}", "phi3-fp16")]
    assert pairs(f"phi3+{LORA}", "phi3+hf:me/other") == []


def test_a_quantised_adapter_is_judged_against_the_unquantised_one_and_without_that_against_the_base():
    both, small = f"phi3+{LORA}", f"phi3-gptq4+{LORA}"
    assert pairs(small, "phi3", both) == [(small, both), (both, "phi3")]
    assert pairs(small, "phi3") == [(small, "phi3")]
    assert pairs(small, "phi3-gptq4", "phi3+hf:me/other") == []


def test_a_dtype_of_an_adapter_is_judged_against_its_own_dtype():
    half = f"phi3-fp16+{LORA}"
    assert pairs(half, f"phi3-bf16+{LORA}", f"phi3+{LORA}")[0] == (half, f"phi3+{LORA}")


def test_a_dtype_stands_in_for_a_base_that_is_not_in_the_run():
    assert pairs("phi3-bf16", "phi3-fp16", "phi3-gptq4") == [("phi3-gptq4", "phi3-bf16")]


def test_a_base_by_name_is_that_of_all_others():
    assert pairs("qwen", "phi3", "phi3-gptq4", base="phi3") == [("qwen", "phi3"), ("phi3-gptq4", "phi3")]
    with pytest.raises(UsageError, match="this run has no --model=phi4"):
        pairs("phi3", base="phi4")


def stored(name, *runs):
    (comparison,) = stored_comparisons(specs(name), runs, "base.json")
    return {run.model for run in comparison.stored_runs}


def test_a_stored_base_is_the_model_itself_then_its_base_then_the_only_one():
    base, candidate = run("10"), run("10", model="phi3-gptq4", quant="gptq4")
    assert stored("phi3-gptq4", base, candidate) == {"phi3-gptq4"}
    assert stored("phi3-gptq8", base, candidate) == {"phi3"}
    assert stored("qwen", base) == {"phi3"}
    with pytest.raises(CompareError, match=r"base.json holds phi3, phi3-gptq4, but neither qwen-gptq4 nor qwen"):
        stored("qwen-gptq4", base, candidate)


def test_a_stored_base_with_the_same_adapter_is_nearer_than_the_plain_one():
    plain, tuned = run("10"), run("10", model=f"phi3+{LORA}", adapter=LORA)
    assert stored(f"phi3-gptq4+{LORA}", plain, tuned) == {f"phi3+{LORA}"}
    assert stored(f"phi3-gptq4+{LORA}", plain, run("10", model="phi3+x", adapter="x")) == {"phi3"}
    assert stored("phi3-gptq4", tuned, plain) == {"phi3"}
