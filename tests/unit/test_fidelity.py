"""The distance of two models along given answers, on real tiny models."""

from types import SimpleNamespace

import pytest
import tinymodel

from pytest_slmsec.core.errors import EngineError, UsageError
from pytest_slmsec.core.items import Choose, Item, Message
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.registry import make_engine
from pytest_slmsec.engines.settings import EngineSettings
from pytest_slmsec.fidelity import Distance, distance, forced, judged_distance, kl_budget, measure_kl
from pytest_slmsec.gates.config import Fidelity, GateConfig
from pytest_slmsec.gates.units import Recorded
from pytest_slmsec.gates.verdict import Verdict

REQUESTS = [
    Choose(f"q{n}", (Message("user", f"Which port is number {n}?"),), (f"Answer: {n} and {n}",)) for n in range(25)
]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    settings = EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)

    def engine(noise=0.0):
        import torch

        made = make_engine(ModelSpec("tiny", "tiny", source="path", location=str(folder)), settings)
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
    gate = judged_distance(found, 0.001, GateConfig(), False)
    assert (gate.result.verdict, gate.result.n, gate.result.margin) == (verdict, 25, 0.001)
    assert gate.result.details["same_top"] == found.same_top
    assert f"The likeliest token is the same in {100 * found.same_top:.1f} %" in gate.result.reasons[-1]


def test_an_engine_without_logits(load):
    engine = SimpleNamespace(info=SimpleNamespace(engine="remote 1"))
    with pytest.raises(EngineError, match="The distance of remote 1 cannot be measured: it gives no logits"):
        distance(load(), engine, REQUESTS)


def test_budgets():
    assert kl_budget(Fidelity(), spec("gptq4"), None, False) == 0.05
    assert kl_budget(Fidelity(budget=0.3), spec("gptq2"), None, False) == 0.3
    with pytest.raises(UsageError, match="no budget is known for the quantisation 'gptq2'; set one"):
        kl_budget(Fidelity(), spec("gptq2"), None, False)


def test_a_recorded_budget():
    wanted = Fidelity(budget=Recorded(1.5))
    assert kl_budget(wanted, spec("gptq2"), 0.04, False) == pytest.approx(0.06)
    assert kl_budget(wanted, spec("gptq2"), None, True) is None
    with pytest.raises(UsageError, match="the baseline holds no KL of tiny; record one with --slmsec-baseline=FILE"):
        kl_budget(wanted, spec("gptq2"), None, False)


def test_the_first_distance_is_shown_and_becomes_the_record():
    found = Distance((0.01,) * 25, (0.02,) * 25, 0.9, 500)
    gate = judged_distance(found, None, GateConfig(), True)
    assert (gate.advisory, gate.result.verdict) == (True, Verdict.INCONCLUSIVE)
    assert found.record("tiny") == {"base": "tiny", "kl": pytest.approx(0.01), "tv": pytest.approx(0.02),
                                    "same_top": 0.9, "items": 25, "places": 500}  # fmt: skip


def cases(n):
    group = SimpleNamespace(label="ports")
    return [SimpleNamespace(group=group, item=Item(f"p{row}", f"Port {row}?", "A")) for row in range(n)]


def test_answers_of_the_base_are_spread_evenly_and_taken_once():
    texts = {("ports", f"p{row}"): f"answer {row}" for row in range(1, 40)}
    chosen = forced([*cases(40), *cases(40)], texts, 4)
    assert [request.id for request in chosen] == ["p1", "p11", "p21", "p30"]
    assert chosen[0].choices == ("answer 1",)
    assert len(forced(cases(40), texts, 200)) == 39
