"""Models behind a server in a test run: --model=openai:NAME, --slmsec-base-url, --slmsec-api-key-env and the rest."""

import json
import signal
import subprocess
import sys
import time

import pytest
from faultserver import FaultServer, prompt_of

from pytest_slmsec.engines.server import rate_limit

SECRET = "sk-test-4f9a8b7c6d5e"
CONFTEST = """
from free_engine import FreeEngine

def pytest_slmsec_models(config):
    return {"alpha": {"location": "/nowhere"}}

def pytest_slmsec_make_engine(config, spec, settings):
    return FreeEngine(spec) if spec.base == "alpha" else None
"""
CHOICE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option

ITEMS = [Item(f"lettered-{n:05d}", f"item {n}?", "B", choices=("A", "B"), labels=("A", "B")) for n in range(1, 11)]

@pytest.mark.slmsec(Task("lettered", score_option, ACCURACY, ITEMS, max_new_tokens=0))
def test_lettered(answer):
    assert answer.choice
"""


def say(path, body):
    """What the prompt asks to say; what is asked of the server alone."""
    return prompt_of(body).partition("say:")[2].strip() or "42"


@pytest.fixture
def suite(toy, monkeypatch):
    """The toy suite without an engine for what a server runs."""
    for name in ("SLMSEC_API_KEY", "OPENAI_API_KEY", "SLMSEC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    toy.pytester.makeconftest(CONFTEST)
    return toy


@pytest.fixture
def server():
    with FaultServer(answer=say) as server:
        yield server


def run(suite, server, *args, models=("openai:toy",)):
    return suite.run(f"--slmsec-base-url={server.url}", *args, models=models)


def test_a_run_and_its_record(suite, server):
    result = run(suite, server, "--benchmark-json=out.json", "-k", "hashes")
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 20, "wrong": 10, "deselected": 30}
    stored = json.loads((suite.pytester.path / "out.json").read_text())
    (latency,) = [entry for entry in stored["benchmarks"] if ":latency" in entry["name"]]
    facts = latency["extra_info"]
    engine = facts["engine"]
    assert engine["extra"]["server"] == server.url.removeprefix("http://") + "/v1"
    assert (engine["device"], engine["template_sha256"], engine["extra"]["choice_mode"]) == (
        "remote", "server", "top_logprobs"
    )  # fmt: skip
    assert facts["peak_rss_bytes"] is None
    assert facts["reasons"]["peak_rss_bytes"].startswith("remote: ")
    assert facts["decode_tokens_per_s"] is None


def test_ollama_tells_its_speed(suite, server):
    run(suite, server, "--benchmark-json=out.json", "-k", "hashes", models=("ollama:toy",))
    stored = json.loads((suite.pytester.path / "out.json").read_text())
    facts = next(e["extra_info"] for e in stored["benchmarks"] if ":latency" in e["name"])
    assert facts["prefill_tokens_per_s"] == pytest.approx(24.0)  # 12 tokens in half a second
    assert facts["decode_tokens_per_s"] is None  # every answer is one token, and that one comes out of prefill
    assert facts["engine"]["load_s"] == 2.0


def test_the_key_is_in_no_file_and_no_output(suite, monkeypatch):
    monkeypatch.setenv("TEAM_KEY", SECRET)
    fault = lambda path, body, n: (400, {}, f"no quota for {SECRET}") if "hashes 7 " in str(body) else None  # noqa: E731
    with FaultServer(answer=lambda path, body: f"{say(path, body)} {SECRET}", fault=fault) as server:
        result = run(
            suite, server, "--slmsec-api-key-env=TEAM_KEY", "--benchmark-json=out.json", "--slmsec-transcript=t.jsonl",
            "--junit-xml=junit.xml", "--showlocals", "-rA", "-vv",
        )  # fmt: skip
        assert server.headers["Authorization"] == f"Bearer {SECRET}"
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*hashes-00007: * refused the request (400): no quota for [[]key[]]*"])
    assert SECRET not in result.stdout.str() + result.stderr.str()
    files = [path for path in suite.pytester.path.rglob("*") if path.is_file()]
    assert {"out.json", "t.jsonl", "junit.xml", "journal.jsonl"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_nothing_is_asked_before_a_case_runs(suite, server):
    run(suite, server, "--collect-only")
    assert server.asked == []


def test_resume_asks_only_what_had_no_answer(suite):
    broken = lambda path, body, n: (400, {}, "no") if "ports 7 " in str(body) else None  # noqa: E731
    with FaultServer(answer=say, fault=broken) as server:
        assert run(suite, server).parseoutcomes()["failed"] == 1
        server.fault = lambda path, body, n: None
        before = len(server.asked)
        result = run(suite, server, "--slmsec-resume")
        again = said(server, before)
    assert result.ret == 0
    assert again == ["ports 7 say: yes"]


def test_ctrl_c_keeps_what_was_answered(suite):
    late = lambda path, body, n: "hang" if "ports 9 " in str(body) else None  # noqa: E731
    with FaultServer(answer=say, fault=late) as server:
        command = (sys.executable, "-m", "pytest", "-k", "ports", "--model=openai:toy", "--slmsec-concurrency=2",
                   f"--slmsec-base-url={server.url}")  # fmt: skip
        hears = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - also when started in the background
        process = suite.pytester.popen(command, stdin=subprocess.DEVNULL, preexec_fn=hears)
        end = time.monotonic() + 60
        while (
            not any("ports 9 " in str(body) for _, body in server.asked) or server.at_once > 1 or len(said(server)) < 8
        ):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # the last answer is on its way to the process
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == pytest.ExitCode.INTERRUPTED
        first = len(server.asked)
        server.fault = lambda path, body, n: None
        result = run(suite, server, "-k", "ports", "--slmsec-resume")
        again = said(server, first)
    assert result.parseoutcomes()["passed"] == 20
    assert "ports 9 say: no" in again
    assert len(again) < 30 - 7


def said(server, start=0):
    """The prompts that were sent, the probe's apart."""
    return [prompt_of(body) for _, body in server.asked[start:] if "say:" in prompt_of(body)]


def test_a_server_that_is_down_is_one_error_and_the_other_models_go_on(suite, server):
    with FaultServer() as gone:
        url = gone.url
    result = suite.run(f"--slmsec-base-url={url}", models=("openai:toy", "alpha"))
    assert result.parseoutcomes() == {"errors": 1, "skipped": 59, "passed": 40, "wrong": 20}
    result.stdout.fnmatch_lines(["*openai:toy: 127.0.0.1:*/v1 cannot be reached: *; start the server, or give*"])
    assert suite.loads == ["alpha"]


def test_choices_without_log_probabilities_are_skipped_with_the_reason(suite):
    suite.pytester.makepyfile(test_choice=CHOICE)
    with FaultServer(answer=say, logprobs=False) as server:
        result = run(suite, server)
    assert result.parseoutcomes()["skipped"] == 10
    text = " ".join(result.stdout.str().split())
    assert "openai:toy was not asked lettered: the server gives no log-probabilities (the server leaves out" in text


def test_letters_are_chosen_by_the_first_token(suite, server):
    suite.pytester.makepyfile(test_choice=CHOICE)
    result = run(suite, server, "test_choice.py", "--slmsec-transcript=t.jsonl")
    assert result.parseoutcomes() == {"wrong": 10}
    first = json.loads((suite.pytester.path / "t.jsonl").read_text().splitlines()[0])
    assert first["logprobs"] == [-0.5, -1.5]


def test_a_registry_entry_names_its_server_and_key(suite, server, monkeypatch):
    monkeypatch.setenv("GROK_KEY", SECRET)
    (suite.pytester.path / "pyproject.toml").write_text(
        f'[tool.slmsec.models.grok]\nlocation = "openai:toy"\nbase_url = "{server.url}"\nkey_variable = "GROK_KEY"\n'
    )
    result = suite.run("-k", "ports", models=("grok",))
    assert result.ret == 0
    assert server.headers["Authorization"] == f"Bearer {SECRET}"


def test_one_of_several_servers_dies_in_a_run(suite):
    with FaultServer(answer=say) as one, FaultServer(answer=say) as two:
        questions = lambda: sum("say:" in prompt_of(body) for _, body in one.asked)  # noqa: E731
        one.fault = lambda path, body, n: one.die() if questions() > 3 else None
        (suite.pytester.path / "slmsec.toml").write_text(
            f'[models.fleet]\nlocation = "openai:toy"\nbase_url = ["{one.url}", "{two.url}"]\n'
        )
        result = suite.run("-k", "ports", "--benchmark-json=run.json", models=("fleet",))
        alone = suite.run("-k", "ports", f"--slmsec-base-url={two.url}", models=("openai:toy",))
    assert one.is_dead
    assert result.ret == 0
    assert result.parseoutcomes() == alone.parseoutcomes()
    result.stdout.fnmatch_lines([f"*{one.url.removeprefix('http://')}/v1 is left out for now: *"])
    record = (suite.pytester.path / "run.json").read_text()
    assert all(server.url.removeprefix("http://") in record for server in (one, two))


def test_the_address_may_stand_in_the_environment_or_the_configuration(suite, server, monkeypatch):
    (suite.pytester.path / "slmsec.toml").write_text(f'base-url = "{server.url}"\nconcurrency = 2\ntimeout = 30\n')
    assert suite.run("-k", "ports", models=("openai:toy",)).ret == 0
    assert server.most_at_once <= 2
    (suite.pytester.path / "slmsec.toml").unlink()
    monkeypatch.setenv("SLMSEC_BASE_URL", server.url)
    assert suite.run("-k", "ports", models=("openai:toy",)).ret == 0


@pytest.mark.parametrize("prefetch", [(), ("--slmsec-no-prefetch",)], ids=["in the background", "while pytest waits"])
def test_a_limit_a_minute_is_waited_for_and_said(suite, server, monkeypatch, prefetch):
    monkeypatch.setattr(rate_limit, "TOLD_FROM_S", 0.1)
    limit = (429, {"Retry-After": "0.3"}, "limit of requests a minute")
    server.fault = lambda path, body, n: limit if "ports 9 " in str(body) and n == 1 else None
    result = run(suite, server, "-k", "ports", "--slmsec-longest-wait=5", "--slmsec-window=4", *prefetch)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*slmsec: 127.0.0.1:*/v1 answered 429: limit of requests a minute; waiting 0 s, as it *"]
    )
    result = run(suite, server, "-k", "ports", "--slmsec-longest-wait=0.2")
    assert result.ret == 0  # the answers of the first run, and no limit any more


JUDGED = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import FollowUp

class Ask:
    roles = ("judge",)
    prompt_sha256 = "own wording"

    def next(self, item, output, mode):
        return None if output.replies else FollowUp("judge", Generate(item.id, (Message("user", "say:ok"),), 4))

@pytest.mark.slmsec(Task("own", score_exact, ACCURACY, [Item("a", "say:yes", "yes")], followups=Ask()))
def test_own(answer):
    (reply,) = answer.output.replies
    assert (reply.model, reply.text) == ("openai:toy", "ok")
"""


def test_a_server_may_judge(suite, server):
    suite.pytester.makepyfile(test_own=JUDGED)
    result = run(suite, server, "test_own.py", "--slmsec-judge=openai:toy", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 1}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--model=openai:"], "*openai:: name the model as its server does: openai:NAME*"),
        (["--model=openai:x", "--slmsec-concurrency=0"], "*--slmsec-concurrency=0: must be a whole number*"),
        (["--model=openai:x", "--slmsec-timeout=-1"], "*--slmsec-timeout=-1.0: must be a number of seconds above 0*"),
        (
            ["--model=openai:x", "--slmsec-longest-wait=-1"],
            "*--slmsec-longest-wait=-1.0: must be a number of seconds, 0*",
        ),
        (["--model=openai:x", "--slmsec-api-key-env=sk-1"], "*must be the name of an environment variable, and not a*"),
        (["--model=grok-gptq4"], "*what the server of grok runs is chosen there, and not by grok-gptq4*"),
        (["--model=grok+./adapter"], "*an adapter is loaded by the server of grok*"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(suite, args, says):
    (suite.pytester.path / "slmsec.toml").write_text('[models.grok]\nlocation = "openai:grok"\n')
    result = suite.pytester.runpytest_inprocess(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_streamed_run_tells_the_time_to_the_first_token(suite):
    with FaultServer(answer=say, streams=True) as server:
        result = run(suite, server, "--benchmark-json=run.json")
    result.stdout.re_match_lines([r".*decode +first +peak", r".*tok/s +token +memory"])
    saved = json.loads((suite.pytester.path / "run.json").read_text("utf-8"))
    info = next(one for one in saved["benchmarks"] if ":latency[" in one["name"])["extra_info"]
    firsts = saved["slmsec"]["groups"][0]["items"]["first_token_s"]
    assert min(firsts) <= info["time_to_first_token_s"] <= max(firsts)
    assert min(firsts) <= info["time_to_first_token_mean_s"] <= max(firsts)


def test_without_a_stream_the_record_says_why_there_is_no_time_to_the_first_token(suite, server):
    result = run(suite, server, "--benchmark-json=run.json")
    assert "token " not in result.stdout.str().partition("decode")[2].partition("size")[0]
    saved = json.loads((suite.pytester.path / "run.json").read_text("utf-8"))
    info = next(one for one in saved["benchmarks"] if ":latency[" in one["name"])["extra_info"]
    assert info["time_to_first_token_s"] is None
    assert "sends its answer whole" in info["reasons"]["time_to_first_token_s"]
