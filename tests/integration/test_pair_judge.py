"""--slmsec-pair-judge: a judge behind a server on loopback compares answers of a candidate with those of its base."""

import json
import re
from pathlib import Path

import numpy  # noqa: F401  -- inner runs in this process import it otherwise once each
import pytest
import scipy.stats  # noqa: F401
from faultserver import FaultServer, prompt_of

from pytest_slmsec.cli.main import main

CONFTEST = """
from dataclasses import replace
from free_engine import FreeEngine

class Speaker(FreeEngine):
    # beta is right on three items of four, alpha on the fourth, and gamma speaks as alpha
    def __init__(self, spec):
        super().__init__(spec)
        self.base = spec.base

    def answer(self, request, prompt):
        number = int(request.id.rpartition("-")[2])
        fourth = number % 4 == 0
        right = fourth if self.base != "beta" else not fourth
        tail = " and more" if self.base == "beta" and "long" in prompt else ""
        return replace(super().answer(request, prompt), text=f"{number} is {'right' if right else 'wrong'}{tail}")

def pytest_slmsec_models(config):
    return {name: {"location": "/nowhere"} for name in ("alpha", "beta", "gamma")}

def pytest_slmsec_make_engine(config, spec, settings):
    return None if spec.source == "server" else Speaker(spec)
"""
SUITE = """
import pytest
from pytest_slmsec import Item, Score, Task
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [
    Item(f"chat-{n:05d}", f"Question {n} KIND?", f"{n} is right", meta={"cluster": f"d{n // 2}"}) for n in range(SIZE)
]

def score(item, output, mode):
    right = item.gold in output.text
    return Score(float(right), True, right, output.text)

@pytest.mark.slmsec(Task("chat", score, ACCURACY, ITEMS, max_new_tokens=8, judged_in_pairs=JUDGED))
def test_chat(answer):
    pass
"""
GATE = '[tool.slmsec.gate]\nbaseline = "live:alpha"\n'
ASKED = '[tool.slmsec.gate.judge]\nmax_drop = "5pt"\n'


def shown(body):
    """Both answers as a judge sees them; None where the server is only probed."""
    found = re.findall(r"^\[Answer [AB]\]\n(.*?)\n\[End of answer [AB]\]$", prompt_of(body), re.M | re.S)
    return found if len(found) == 2 else None


def judge(rule):
    """A server that answers by `rule`, which gets both answers."""
    return FaultServer(model="umpire", answer=lambda path, body: rule(*shown(body)) if shown(body) else "42")


def right(first, second):
    return {(True, False): "A", (False, True): "[[B]]"}.get(("right" in first, "right" in second), "C")


@pytest.fixture
def chat(toy, monkeypatch):
    for name in ("SLMSEC_API_KEY", "OPENAI_API_KEY", "SLMSEC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(toy.pytester.path)
    for old in toy.pytester.path.glob("test_*.py"):
        old.unlink()
    toy.pytester.makeconftest(CONFTEST)

    def run(server, *args, size=40, kind="short", models=("alpha", "beta"), table="", judged=True):
        text = SUITE.replace("SIZE", str(size)).replace("KIND", kind).replace("JUDGED", str(judged))
        toy.pytester.makepyfile(test_chat=text)
        (toy.pytester.path / "pyproject.toml").write_text(GATE + table)
        options = (f"--slmsec-base-url={server.url}", "--slmsec-pair-judge=openai:umpire", "--benchmark-json=run.json")
        return toy.run(*options, *args, models=models)

    return run


def said(result):
    return " ".join(result.stdout.str().split())


def stored(name="run.json"):
    return json.loads(Path(name).read_text())


def judged_rows():
    groups = {group["model"]: group for group in stored()["slmsec"]["groups"]}
    return groups["beta"]["items"]["pair_verdicts"]


def test_a_judge_that_is_right_decides_and_needs_not_be_asked_again(chat, capsys):
    with judge(right) as server:
        result = chat(server, size=160, table=ASKED)
        asked = sum(shown(body) is not None for _, body in server.asked)
    assert asked == 320  # both orders of each
    assert "win share 50.0 75.0" in said(result)
    assert "SUITE: PASS" in said(result)
    first, second = judged_rows()[1]
    assert (first["first"], first["points"], first["raw"]) == ("beta", 1.0, "A")
    assert (second["first"], second["points"], second["raw"]) == ("alpha", 0.0, "[[B]]")
    assert first["first_sha256"] == second["second_sha256"] != first["second_sha256"]
    capsys.readouterr()
    assert main(["compare", "run.json::alpha", "run.json::beta", "--json", "verdict.json"]) == 0
    assert "win share" in capsys.readouterr().out
    gates = stored("verdict.json")["judgements"][0]["gates"]
    (gate,) = [gate for gate in gates if gate["what"] == "win share"]
    assert (gate["verdict"], gate["details"]["win_share"], gate["details"]["inconsistent"]) == ("PASS", 0.75, 0.0)
    assert main(["arena", "run.json"]) == 0
    assert "320 verdicts on 160 items, Bradley-Terry" in capsys.readouterr().out
    assert main(["arena", "run.json", "--gate", "beta,alpha"]) == 0
    assert "win share 75.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "kind", "finding", "fact"),
    [
        (lambda first, second: "A", "short", "judge-constant", "all 80 verdicts are the same"),
        (
            lambda first, second: "C" if first.startswith("1") else "A",
            "short",
            "judge-prefers-first",
            "the first answer won 100 % of 58 verdicts",
        ),
        (
            lambda first, second: "A" if len(first) > len(second) else "B",
            "long",
            "judge-prefers-longer",
            "the longer answer won 100 % of 80 verdicts",
        ),
    ],
)
def test_a_judge_with_a_habit_is_found_out_and_decides_nothing(chat, rule, kind, finding, fact):
    with judge(rule) as server:
        result = chat(server, kind=kind, table=ASKED)
    (found,) = [one for one in stored()["slmsec"]["sentinels"] if one["id"] == finding]
    assert (found["benchmark"], found["model"], found["fact"].startswith(fact)) == ("chat", "beta", True)
    assert "SUITE: INCONCLUSIVE" in said(result)


def test_a_model_against_itself_gives_exactly_one_half_and_asks_nobody(chat):
    with judge(right) as server:
        result = chat(server, size=160, models=("alpha", "gamma"), table=ASKED)
        assert not [body for _, body in server.asked if shown(body)]
    assert "win share 50.0 50.0" in said(result)


def test_without_a_table_the_judge_is_shown_and_no_part_of_the_verdict(chat):
    with judge(lambda first, second: "I cannot say.") as server:
        result = chat(server)
    assert re.search(r"win share 50\.0 50\.0 .*\(\?\)", said(result))
    assert "80 of the judge's 80 replies are no verdict" in said(result)
    assert judged_rows()[0][0]["points"] is None
    assert judged_rows()[0][0]["raw"] == "I cannot say."


def test_verdicts_on_other_answers_are_refused(chat, capsys):
    with judge(right) as server:
        chat(server)
    content = stored()
    next(g for g in content["slmsec"]["groups"] if g["model"] == "alpha")["items"]["text"][3] = "another"
    (group,) = [g for g in content["slmsec"]["groups"] if g["model"] == "beta"]
    assert group["items"]["item"][3] == "chat-00003"
    Path("run.json").write_text(json.dumps(content))
    main(["compare", "run.json::alpha", "run.json::beta"])
    told = " ".join(capsys.readouterr().out.split())
    assert "item chat-00003: the judge saw other answers than these two runs hold; have it judged again" in told


@pytest.mark.parametrize(
    ("args", "options", "says"),
    [
        ((), {"models": ("alpha",)}, "compares a candidate with its base, and this run has no such pair"),
        (("--slmsec-no-gate",), {}, "leave out --slmsec-no-gate, --slmsec-shard, or it"),
        (("-n2",), {}, "is asked in one process, which holds all answers: leave out -n"),
        (("--slmsec-pair-judge=bta",), {}, "--slmsec-pair-judge=bta: no such model"),
    ],
)
def test_what_cannot_be_judged_is_told_before_anything_runs(chat, args, options, says):
    with judge(right) as server:
        result = chat(server, *args, **options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in " ".join(result.stderr.str().split())


def test_a_run_without_free_answers_and_a_judge_that_fails_are_errors(chat):
    with judge(right) as server:
        result = chat(server, judged=False)
    assert "no benchmark of this run is judged in pairs" in said(result)
    with judge(lambda first, second: "Error generating response") as server:
        result = chat(server)
    assert "--slmsec-pair-judge=openai:umpire: the judge failed on chat-00000" in said(result)
    assert result.ret == 1


def test_a_table_that_asks_for_a_judge_nobody_named_is_no_silent_pass(chat, toy):
    toy.pytester.makepyfile(test_chat=SUITE.replace("SIZE", "40").replace("KIND", "x").replace("JUDGED", "True"))
    (toy.pytester.path / "pyproject.toml").write_text(GATE + ASKED)
    result = toy.run(models=("alpha", "beta"))
    assert "[tool.slmsec.gate.judge] asks for a judge's gate, and no judge was asked" in said(result)
    assert result.ret == 1
