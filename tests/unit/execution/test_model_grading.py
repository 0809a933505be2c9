"""Questions to other models about answers: rounds, replies, and what fails."""

from types import SimpleNamespace

import pytest

from pytest_slmsec.core.items import Generate, Item, Message, Output
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.execution.model_grading import follow_up, judge_identity, prompt_sha256
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.base import FollowUp


class TwoQuestions:
    """Asks the expander about every answer that does not say no, then the judge about what it wrote."""

    roles = ("judge", "expander")
    prompt_sha256 = "5" * 64

    def next(self, item, output, mode):
        if output.text == "no" or len(output.replies) == 2:
            return None
        role, about = ("judge", output.replies[0].text) if output.replies else ("expander", output.text)
        return FollowUp(role, Generate(item.id, (Message("user", f"{role}: {about}"),), 8))


ROLES = {"judge": ModelSpec("j", "j"), "expander": ModelSpec("e", "e")}
GROUP = SimpleNamespace(task=SimpleNamespace(followups=TwoQuestions()), roles=ROLES, mode=Mode.STRICT)
ITEMS = [Item(f"q-{n}", "?", "benign") for n in range(3)]


def follow(outputs, answer):
    """The outcome, and what was asked of whom in which order."""
    asked = []

    def ask(group, role, requests):
        asked.append((role, [request.id for request in requests]))
        return [answer(role, request) for request in requests]

    return follow_up(GROUP, ITEMS, outputs, ask), asked


def echo(role, request):
    return Output(f"<{request.messages[0].content}>", hit_limit=role == "judge")


def test_each_round_asks_one_model_about_all_answers():
    found, asked = follow([Output("yes"), Output("no"), Output("well")], echo)
    assert asked == [("expander", ["q-0", "q-2"]), ("judge", ["q-0", "q-2"])]
    expanded, judged = found[0].replies
    assert (expanded.role, expanded.model, expanded.text, expanded.hit_limit) == (
        "expander", "e", "<expander: yes>", False
    )  # fmt: skip
    assert (judged.role, judged.model, judged.text, judged.hit_limit) == (
        "judge", "j", "<judge: <expander: yes>>", True
    )  # fmt: skip
    assert judged.prompt_sha256 == prompt_sha256(Generate("any", (Message("user", "judge: <expander: yes>"),), 99))
    assert found[1] == Output("no")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Output(error="q-0: the prompt has 9 tokens"), "q-0: the judge j failed: the prompt has 9 tokens"),
        (Output(" \n"), "q-0: the judge j wrote nothing, so there is no verdict; name another model."),
        (Output("Generation Error: CUDA"), "q-0: the judge j failed: Generation Error: CUDA"),
    ],
)
def test_a_judge_that_fails_is_an_error_of_that_item_and_others_go_on(reply, message):
    def answer(role, request):
        return reply if (role, request.id) == ("judge", "q-0") else echo(role, request)

    found, _ = follow([Output("yes"), Output("no"), Output("well")], answer)
    assert found[0].error == message
    assert found[0].text == "yes"
    assert [output.error for output in found[1:]] == [None, None]


def test_nothing_is_asked_about_an_answer_that_is_an_error():
    found, asked = follow([Output(error="q-0: broke"), Output("no"), Output("no")], echo)
    assert asked == []
    assert found[0].error == "q-0: broke"


def info(weights):
    return EngineInfo("transformers 5", "k", "cpu", "fp32", 0.1, 1, 512, weights, "t", "c")


def test_the_identity_of_a_judge_names_model_engine_weights_and_prompts():
    infos = {ROLES["judge"]: info("a" * 64), ROLES["expander"]: info("b" * 64)}
    assert judge_identity(GROUP, infos.get) == (
        "j (transformers 5, weights aaaaaaaaaaaa), expander e (transformers 5, weights bbbbbbbbbbbb), "
        "prompts 555555555555"
    )
    assert judge_identity(SimpleNamespace(task=GROUP.task, roles={}), infos.get) == "rule"
    assert judge_identity(SimpleNamespace(task=SimpleNamespace(followups=None), roles={}), infos.get) is None
