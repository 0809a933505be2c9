"""`slmsec synthesize` against a server on loopback that counts, and with the embedded model."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
from faultserver import FaultServer, prompt_of

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.items import Generate
from pytest_slmsec.core.journal import read

PLAN = """\
model = "openai:toy"
[topics]
root = "Mail"
breadth = 2
depth = 1
[questions]
per_topic = 3
[filters]
benchmarks = {benchmarks}
{more}
"""
QUESTIONS = "1. What is {topic} and who sends it?\n2. How is {topic} seen in a log?\n3. Who reports {topic} to whom?"
PATIENCE_S = 300


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SLMSEC_API_KEY", "OPENAI_API_KEY", "SLMSEC_BASE_URL", "SLMSEC_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def teacher(path, body):
    """A teacher that names topics, asks about them, answers, and judges."""
    prompt = prompt_of(body)
    topic = prompt.rpartition("Topic: ")[2].rpartition(" > ")[2]
    if "different subtopics" in prompt:
        return "Phishing\nSpam"
    if "different questions" in prompt:
        return QUESTIONS.format(topic=topic)
    if "You check training data" in prompt:
        return "B" if "Who reports" in prompt else "A"
    return f"An answer of several words to this: {prompt}"


def plan(more="", benchmarks="[]", name="soc.toml"):
    with open(name, "w") as file:
        file.write(PLAN.format(more=more, benchmarks=benchmarks))
    return name


def run(server, *args):
    return main(["synthesize", "soc.toml", "--slmsec-base-url", server.url, "--slmsec-concurrency", "2", *args])


def asked(server):
    """How often each prompt of the verb was sent; the probe of the server is left out."""
    found = Counter(prompt_of(body) for path, body in server.asked if path.endswith("/chat/completions"))
    return Counter({text: n for text, n in found.items() if "Topic: " in text or "Phishing" in text or "Spam" in text})


def text_of(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def lines(name):
    return [json.loads(line) for line in text_of(name).splitlines()]


def test_topics_questions_and_answers_become_rows_with_their_origin(capsys):
    plan()
    pair = threading.Barrier(2)

    def two_at_once(path, body):
        text = teacher(path, body)
        if text.startswith("An answer") and prompt_of(body).startswith(("What is Phishing", "How is Phishing")):
            pair.wait(PATIENCE_S)
        return text

    with FaultServer(answer=two_at_once) as server:
        assert run(server) == 0
        assert not pair.broken
        bodies = [body for _, body in server.asked if "different questions" in prompt_of(body)]
    assert {(body["temperature"], body["seed"]) for body in bodies} == {(0.7, 0)}
    rows = lines("soc/data.jsonl")
    assert len(rows) == 6
    first = rows[0]
    assert [turn["role"] for turn in first["messages"]] == ["user", "assistant"]
    assert first["messages"][0]["content"] == "What is Phishing and who sends it?"
    assert (first["topic"], first["model"]) == (["Mail", "Phishing"], "openai:toy")
    assert len({row["prompt_sha256"] for row in rows}) == 6
    assert len({row["question_prompt_sha256"] for row in rows}) == 2
    manifest = json.loads(text_of("soc/manifest.json"))
    assert manifest["requests"] == {"topics": 1, "questions": 2, "answers": 6}
    assert (manifest["rows"], manifest["questions"]["read"]) == (6, 6)
    assert manifest["model"]["name"] == "openai:toy"
    assert json.loads(text_of("soc/topics.json")) == {"Mail": ["Phishing", "Spam"]}
    printed = capsys.readouterr()
    assert "2 topics, 6 questions read, 6 rows kept" in printed.out
    assert all(len(line) <= 80 for line in printed.out.splitlines())
    assert "answers by openai:toy" in printed.err


def test_each_filter_counts_what_it_leaves_out():
    item = "Which UDP-based protocol, first standardised as RFC 768, carries queries of a name resolver?"

    def answer(path, body):
        prompt = prompt_of(body)
        if "different subtopics" in prompt:
            return "Phishing\nSpam"
        if "different questions" in prompt:
            if "Spam" in prompt:
                return "I'm sorry, but I cannot help with that."
            copy = "How does an analyst see in the log of the mail host that somebody opened {}?"
            listed = ["Why?", "What is a lure in a mail?", "what is a LURE in a mail", copy.format("a lure"),
                      copy.format("one link"), "Who is told of a cut answer?", "Who is told of a refusal?",
                      "Who is told of an empty answer?", "Who is told of a bad answer?", "How long is it?",
                      "One more?"]  # fmt: skip
            return "\n".join(listed)
        answers = {
            "cut": "x y z " * 5,
            "refusal": "I cannot help with that request.",
            "empty answer": " ",
            "long": "Yes.",
        }
        if "You check training data" in prompt:
            return "B" if "bad answer" in prompt else "A"
        return next((text for word, text in answers.items() if word in prompt), f"Several words about: {prompt} {item}")

    def cut(path, body, n):
        if "of a cut answer" in prompt_of(body):
            return lambda value: {**value, "choices": [{**value["choices"][0], "finish_reason": "length"}]}
        return None

    plan('judge = "openai:toy"')
    with open("soc.toml") as file:
        text = file.read().replace("per_topic = 3", "per_topic = 10\n[answers]\nmax_new_tokens = 15")
    with open("soc.toml", "w") as file:
        file.write(text)
    with FaultServer(answer=answer, fault=cut) as server:
        assert run(server) == 0
    manifest = json.loads(text_of("soc/manifest.json"))
    left = {step: {reason: n for reason, n in counts.items() if n} for step, counts in manifest["left_out"].items()}
    assert left == {
        "topics": {},
        "questions": {"refusal": 1, "length": 1, "exact_duplicate": 1, "near_duplicate": 1},
        "answers": {"length": 2, "refusal": 1, "unparsable": 1},
        "judge": {"judge": 1},
    }
    assert manifest["questions"]["beyond_the_number"] == 1
    assert manifest["rows"] == 2
    assert len(lines("soc/rejected.jsonl")) == 9


def test_items_of_benchmarks_do_not_get_into_the_data():
    from pytest_slmsec.core.paths import fixtures_dir
    from pytest_slmsec.tasks.registry import find_task

    item = find_task("cti-rcm").load(fixtures_dir() / "data")[0]
    text = " ".join(item.prompt.split())

    def answer(path, body):
        return (
            f"1. {text}\n2. What else is there to know?"
            if "different questions" in prompt_of(body)
            else teacher(path, body)
        )

    plan("question_words = [1, 1000]", '["cti-rcm"]')
    with FaultServer(answer=answer) as server:
        run(server)
    held = [one for one in lines("soc/rejected.jsonl") if one["reason"] == "benchmark_overlap"]
    assert held[0]["detail"] == f"holds the item {item.id}"
    manifest = json.loads(text_of("soc/manifest.json"))
    assert manifest["benchmarks"]["checked"] == ["cti-rcm@fixture"]
    assert text not in text_of("soc/data.jsonl")


def test_after_a_kill_no_journaled_request_is_sent_again_and_the_data_is_that_of_a_whole_run(tmp_path):
    plan()
    stuck = threading.Event()

    def hang(path, body, n):
        if n == 1 and "Who reports Spam" in prompt_of(body):
            stuck.set()
            return "hang"
        return None

    with FaultServer(answer=teacher, fault=hang) as server:
        command = [sys.executable, "-m", "pytest_slmsec.cli.main", "synthesize", "soc.toml", "--slmsec-base-url",
                   server.url, "--slmsec-concurrency", "1"]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ)
        assert stuck.wait(PATIENCE_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
        journaled = sum(len(line.get("keys", ())) for line in read(tmp_path / "soc" / "journal.jsonl")[0])
        before = asked(server)
        assert run(server, "--resume") == 0
        after = asked(server)
    assert not (tmp_path / "soc" / "data.jsonl").exists() or lines("soc/data.jsonl")
    assert journaled == 7  # the topics, both lists of questions, and the first batch of answers
    sent_again = [text for text, n in after.items() if n > 1]
    assert len(before) > journaled
    assert len(sent_again) == len(before) - journaled
    assert all("Spam" in text for text in sent_again)
    resumed = text_of("soc/data.jsonl")
    with FaultServer(answer=teacher) as server:
        run(server, "--out", "whole")
    assert resumed == text_of("whole/data.jsonl")


def test_a_finished_run_is_gone_over_again_without_a_request_and_edited_topics_are_taken(capsys):
    plan()
    with FaultServer(answer=teacher) as server:
        assert run(server, "--topics-only") == 0
        assert "Mail > Spam" in capsys.readouterr().out
        assert not os.path.exists("soc/data.jsonl")
        with open("soc/topics.json", "w") as file:
            json.dump({"Mail": ["Phishing"]}, file)
        assert run(server, "--resume") == 0
        first, sent = text_of("soc/manifest.json"), sum(asked(server).values())
        assert run(server, "--resume") == 0
        assert sum(asked(server).values()) == sent
    assert text_of("soc/manifest.json") == first
    assert {tuple(row["topic"]) for row in lines("soc/data.jsonl")} == {("Mail", "Phishing")}


def test_ctrl_c_keeps_all_and_says_how_to_go_on(capsys, monkeypatch):
    plan()
    from pytest_slmsec.execution import batch_runner

    ask = batch_runner.ask

    def interrupted(model, requests: list[Generate], journal, advance):
        if "who sends it" in requests[0].messages[-1].content:
            raise KeyboardInterrupt
        return ask(model, requests, journal, advance)

    monkeypatch.setattr(batch_runner, "ask", interrupted)
    with FaultServer(answer=teacher) as server:
        assert run(server) == 130
        said = capsys.readouterr().err
        assert "interrupted; 3 answers in soc/journal.jsonl are kept" in said
        assert "slmsec synthesize soc.toml --out soc --resume" in said
        monkeypatch.undo()
        monkeypatch.setenv("COLUMNS", "80")


def test_requests_without_an_answer_are_told_and_asked_again(capsys):
    plan()

    def down(path, body, n):
        return 400 if "log?" in prompt_of(body) and n < 2 and "Topic: " not in prompt_of(body) else None

    with FaultServer(answer=teacher, fault=down) as server:
        assert run(server) == 1
        assert "2 requests got no answer" in capsys.readouterr().err.replace("\n", " ")
        assert len(lines("soc/data.jsonl")) == 4
        assert run(server, "--resume") == 0
    assert len(lines("soc/data.jsonl")) == 6


@pytest.mark.parametrize(("args", "says"), [
    ([], "soc holds an earlier run already: go on with it by --resume"),
    (["--out", "other"], "other holds other files already: name a new folder"),
    (["--out", "soc.toml"], "soc.toml exists already and is no folder"),
    (["--out", "none", "--resume"], "none holds no earlier run to go on with"),
])  # fmt: skip
def test_folders_that_cannot_be_used_are_one_sentence(args, says, capsys):
    plan()
    for folder, name in (("soc", "journal.jsonl"), ("other", "notes.txt")):
        os.mkdir(folder)
        with open(f"{folder}/{name}", "w"):
            pass
    assert main(["synthesize", "soc.toml", *args]) == 2
    assert says in capsys.readouterr().err


def test_a_model_that_is_not_known_is_one_sentence(capsys):
    with open("soc.toml", "w") as file:
        file.write("model = 'tinysex'\n[topics]\ntree = ['Mail']\n")
    assert main(["synthesize", "soc.toml"]) == 2
    assert "tinysec" in capsys.readouterr().err


def test_a_teacher_that_names_no_topic_is_an_error_with_a_remedy(capsys):
    plan()
    with FaultServer(answer=lambda path, body: "") as server:
        assert run(server) == 2
    assert "named no subtopic of 'Mail'; it said ''. Give the tree yourself" in capsys.readouterr().err.replace(
        "\n", " "
    )


def test_the_embedded_model_shows_the_machinery(capsys):
    with open("soc.toml", "w") as file:
        file.write("model = 'tinysec'\n[topics]\ntree = ['Cross-site scripting', 'SQL injection']\n"
                   "[questions]\nper_topic = 2\nmax_new_tokens = 40\n[answers]\nmax_new_tokens = 40\n"
                   "[filters]\nquestion_words = [1, 99]\nanswer_words = [1, 99]\nbenchmarks = []\n")  # fmt: skip
    assert main(["synthesize", "soc.toml"]) == 0
    first = text_of("soc/data.jsonl")
    assert all(row["model"] == "tinysec" for row in lines("soc/data.jsonl"))
    assert main(["synthesize", "soc.toml", "--out", "again"]) == 0
    assert text_of("again/data.jsonl") == first
