"""The distance of two models along given answers, on real tiny models."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import tinymodel

from pytest_slmsec.core.errors import CompareError, EngineError, UsageError
from pytest_slmsec.core.items import Choose, Item, Message
from pytest_slmsec.core.models import Adapter, ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.policy.config import Fidelity, GateConfig
from pytest_slmsec.gates.records.topk_distributions import from_plain, to_plain
from pytest_slmsec.gates.statistics.margins import Recorded
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gating.kl_gate import measures_quantising
from pytest_slmsec.gating.kl_measurement import (
    Distance,
    distance,
    forced,
    judged_distance,
    keep,
    kl_budget,
    measure_kl,
    measure_kl_to,
)
from pytest_slmsec.quantize.load_model import make_engine

REQUESTS = [
    Choose(f"q{n}", (Message("user", f"Which port is number {n}?"),), (f"Answer: {n} and {n}",)) for n in range(25)
]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    settings = EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)

    def engine(noise=0.0):
        import torch

        made: Any = make_engine(ModelSpec("tiny", "tiny", source="path", location=str(folder)), settings)
        torch.manual_seed(0)
        with torch.no_grad():
            for weight in made.network.model.parameters():
                weight.add_(noise * weight.std() * torch.randn_like(weight) if weight.numel() > 1 else 0)
        return made

    return engine


def test_a_model_lies_at_no_distance_from_itself(load):
    found = distance(load(), load(), REQUESTS[:3])
    assert (found.kl, found.tv, found.same_top) == ((0.0,) * 3, (0.0,) * 3, 1.0)


def test_the_distance_grows_with_the_damage(load):
    base = load()
    little, much = (distance(base, load(noise), REQUESTS[:3]) for noise in (0.05, 0.5))
    assert all(0 < a < b for a, b in zip(little.kl, much.kl, strict=True))
    assert all(0 < a < b <= 1 for a, b in zip(little.tv, much.tv, strict=True))
    assert much.same_top < little.same_top <= 1


def test_the_distance_is_that_of_the_whole_distributions(load):
    import torch

    base, other = load(), load(0.3)
    (row,) = base.prompts.encode(REQUESTS[:1])
    ids = torch.tensor([[*row.prompt, *row.choices[0]]])
    with torch.inference_mode():
        p, q = (engine.network.model(input_ids=ids).logits[0].double().softmax(-1) for engine in (base, other))
    places = range(len(row.prompt) - 1, ids.shape[1] - 1)
    expected = sum(float((p[i] * (p[i].log() - q[i].log())).sum()) for i in places) / len(places)
    found = distance(base, other, REQUESTS[:1])
    assert found.kl == (pytest.approx(expected, rel=1e-6),)
    assert found.tv == (pytest.approx(sum(float((p[i] - q[i]).abs().sum()) / 2 for i in places) / len(places)),)
    assert found.same_top == sum(int(p[i].argmax() == q[i].argmax()) for i in places) / len(places)
    assert found.places == len(places)


def spec(quant):
    return ModelSpec("tiny", "tiny", quant)


@pytest.mark.parametrize(("noise", "verdict"), [(0.0, Verdict.PASS), (0.5, Verdict.FAIL)])
def test_the_verdict_against_a_budget(load, noise, verdict):
    engines = {None: load, "gptq4": lambda: load(noise)}
    found = measure_kl(spec(None), spec("gptq4"), lambda s: engines[s.quant](), REQUESTS)
    gate = judged_distance(found, 0.001, GateConfig(), Fidelity())
    assert (gate.result.verdict, gate.result.n, gate.result.margin) == (verdict, 25, 0.001)
    assert gate.result.details["same_top"] == found.same_top
    assert f"The likeliest token is the same in {100 * found.same_top:.1f} %" in gate.result.reasons[-1]


def items_of(requests):
    return {request.id: Item(request.id, request.messages[-1].content, "A") for request in requests}


def test_the_distance_to_what_was_kept_is_a_lower_bound(load):
    answers = {("ports", request.id): request for request in REQUESTS[:5]}
    kept = [from_plain(to_plain(one), "base.json") for one in keep(spec(None), lambda s: load(), answers)]
    assert [(one.benchmark, one.item, one.text) for one in kept[:1]] == [("ports", "q0", "Answer: 0 and 0")]
    items = items_of(REQUESTS)
    pairs = [(one, items[one.item]) for one in kept]
    same = measure_kl_to(pairs, spec("gptq4"), lambda s: load())
    assert max(same.kl) < 1e-4  # half precision
    assert same.same_top == 1.0
    coarse = measure_kl_to(pairs, spec("gptq4"), lambda s: load(0.3))
    whole = distance(load(), load(0.3), REQUESTS[:5])
    assert all(0 < low <= high + 1e-3 for low, high in zip(coarse.kl, whole.kl, strict=True))
    assert all(0 < low <= high + 1e-3 for low, high in zip(coarse.tv, whole.tv, strict=True))
    assert (coarse.same_top, coarse.places, coarse.partition) == (whole.same_top, whole.places, "top 64")


def test_a_lower_bound_proves_nothing_against_a_number():
    coarse = Distance((0.001,) * 25, (0.01,) * 25, 0.99, 500, "top 64")
    assert judged_distance(coarse, 0.05, GateConfig(), Fidelity(budget=0.05)).result.verdict is Verdict.INCONCLUSIVE
    assert judged_distance(coarse, 0.05, GateConfig(), Fidelity(budget=Recorded(1.5))).result.verdict is Verdict.PASS


def test_another_prompt_is_no_comparison(load):
    answers = {("ports", REQUESTS[0].id): REQUESTS[0]}
    (kept,) = keep(spec(None), lambda s: load(), answers)
    with pytest.raises(EngineError, match="q0: base and candidate cut the same text into different tokens"):
        measure_kl_to([(kept, Item("q0", "Another question?", "A"))], spec("gptq4"), lambda s: load())


@pytest.mark.parametrize(
    "damage",
    [{"ids": "no base64!"}, {"places": 3}, {"tail": ""}, {"logprobs": None}, {"places": "many"}],
)
def test_damaged_distributions(load, damage):
    (kept,) = keep(spec(None), lambda s: load(), {("ports", "q0"): REQUESTS[0]})
    with pytest.raises(CompareError, match=r"base\.json: the stored distribution of q0 is damaged"):
        from_plain({**to_plain(kept), **damage}, "base.json")
    with pytest.raises(CompareError, match="a stored distribution is damaged: it lacks a key"):
        from_plain({"item": "q0"}, "base.json")


def test_an_engine_without_logits(load):
    engine = SimpleNamespace(info=SimpleNamespace(engine="remote 1"))
    with pytest.raises(EngineError, match="The distance of remote 1 cannot be measured: it gives no logits"):
        distance(load(), engine, REQUESTS)


MEASURED = Distance((0.01,) * 25, (0.02,) * 25, 0.9, 500)


def budget(wanted, quant, recorded=None, update=False, measured=MEASURED):
    return kl_budget(wanted, spec(quant), recorded, measured, update)


def test_budgets():
    assert budget(Fidelity(), "gptq4") == 0.05
    assert budget(Fidelity(budget=0.3), "gptq2") == 0.3
    with pytest.raises(UsageError, match="no budget is known for the quantisation 'gptq2'; set one"):
        budget(Fidelity(), "gptq2")


def test_a_recorded_budget():
    wanted, record = Fidelity(budget=Recorded(1.5)), {**MEASURED.record("tiny"), "kl": 0.04}
    assert budget(wanted, "gptq2", record) == pytest.approx(0.06)
    assert budget(wanted, "gptq2", update=True) is None
    with pytest.raises(UsageError, match="the baseline holds no KL of tiny; record one with --slmsec-baseline=FILE"):
        budget(wanted, "gptq2")
    coarse = replace(MEASURED, partition="top 64")
    with pytest.raises(UsageError, match="the baseline holds no KL over the top 64 of tiny"):
        budget(wanted, "gptq2", record, measured=coarse)


def test_the_first_distance_is_shown_and_becomes_the_record():
    gate = judged_distance(MEASURED, None, GateConfig(), Fidelity(blocks=True))
    assert (gate.advisory, gate.result.verdict) == (True, Verdict.INCONCLUSIVE)
    assert MEASURED.record("tiny") == {
        "base": "tiny", "kl": pytest.approx(0.01), "tv": pytest.approx(0.02), "same_top": 0.9, "items": 25,
        "places": 500, "partition": "whole vocabulary",
    }  # fmt: skip


def cases(n):
    group = SimpleNamespace(label="ports")
    return [SimpleNamespace(evaluation=group, item=Item(f"p{row}", f"Port {row}?", "A")) for row in range(n)]


def test_answers_of_the_base_are_spread_evenly_and_taken_once():
    texts = {("ports", f"p{row}"): f"answer {row}" for row in range(1, 40)}
    chosen = forced([*cases(40), *cases(40)], texts, 4)
    assert [request.id for request in chosen.values()] == ["p1", "p11", "p21", "p30"]
    assert chosen["ports", "p1"].choices == ("answer 1",)
    assert len(forced(cases(40), texts, 200)) == 39


def test_a_distance_is_measured_where_quantising_alone_changed_the_model():
    plain, lora = ModelSpec("m", "m"), Adapter("lora", "hub", "me/lora")
    tuned, small = replace(plain, adapter=lora), replace(plain, quant="gptq4")
    both = replace(small, adapter=lora)
    assert measures_quantising(small, plain)
    assert measures_quantising(both, tuned)
    assert measures_quantising(small, None)
    assert not any(
        (measures_quantising(tuned, plain), measures_quantising(both, plain), measures_quantising(both, None))
    )
