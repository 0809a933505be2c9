"""The command `slmsec ask`: one question to a causal model, an encoder and a server, and what it prints."""

import io
import sys

import pytest
import tinyencoders
from faultserver import FaultServer
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.cli.ask import request_of
from pytest_slmsec.cli.ask_output import answer_lines, choice_lines, figures, text_lines
from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import Choose, Generate, Message, Output
from pytest_slmsec.execution.batch_runner import MeasuredOutput


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SLMSEC_API_KEY", "OPENAI_API_KEY", "SLMSEC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def typed(monkeypatch, text):
    """Standard input that holds these bytes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_a_prompt_becomes_one_user_turn_behind_the_system_turn():
    assert request_of("Port of SSH?", None, "Be brief.", raw=False, max_new_tokens=8) == Generate(
        "the prompt", (Message("system", "Be brief."), Message("user", "Port of SSH?")), 8)  # fmt: skip


def test_choices_begin_with_a_blank_behind_a_raw_prompt_only():
    raw = request_of("SSH uses port", ["22", "80"], None, raw=True)
    assert raw.choices == (" 22", " 80")
    chat = request_of("Port of SSH?", ["22", "80"], None, raw=False)
    assert (chat.choices, chat.question, chat.options) == (("22", "80"), "Port of SSH?", ("22", "80"))


@pytest.mark.parametrize(("args", "says"), [
    (("  ", None, None, False), "The prompt is empty"),
    (("x", ["a", " "], None, False), "one of them is empty"),
    (("x", None, "y", True), "leave out --system"),
    (("x", None, None, False, 0), "--max-new-tokens=0: must be a whole number of at least 1."),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(args, says):
    with pytest.raises(UsageError, match=says):
        request_of(*args)


@given(st.text())
def test_no_text_of_a_model_reaches_the_terminal_with_a_control_character(text):
    lines = text_lines(text)
    assert len(lines) == text.count("\n") + 1
    assert all(line.isprintable() for line in lines)


def test_choices_are_ranked_with_their_share():
    request = Choose("x", (), ("a", "b"), options=("a", "b\x1b[2J"))
    lines = choice_lines(request, Output(choice_logprobs=(-3.0, -1.0)))
    assert [line.split() for line in lines] == [
        ["log-prob.", "share", "choice"],
        ["-1.0000", "88.1", "%", "b\\x1b[2J"],
        ["-3.0000", "11.9", "%", "a"],
    ]


def test_a_thought_stands_apart_before_the_answer():
    output = Output(text="22", thought="SSH?\x07", prompt_tokens=3, new_tokens=5, thought_tokens=4)
    lines = answer_lines(MeasuredOutput(output, None), Generate("x", (), 8))
    assert lines[:6] == ["thought:", "SSH?\\x07", "", "answer:", "22", ""]
    assert "answer 5 tokens, 4 of them thought" in lines[6]


def test_figures_that_were_not_measured_are_not_shown_as_zero():
    found = figures(Output(text="22", prompt_tokens=3, new_tokens=1), {"new_tokens": 1, "decode_s": 0.0}, {})
    assert found == ["prompt 3 tokens", "answer 1 token", "peak memory unknown: not read"]


def test_the_embedded_model_answers_standard_input(capsys, monkeypatch):
    typed(monkeypatch, b"Which port does SSH use?\n")
    assert main(["ask", "tinysec", "--max-new-tokens", "4", "--show-prompt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("prompt as sent:\n<|bos|><|user|>Which port does SSH use?<|end|><|assistant|>\n\n")
    words = " ".join(out.split())
    assert "prompt 12 tokens, answer 4 tokens (cut at the limit), prefill " in words
    assert "MiB resident" in words
    assert " decode " in words
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("args", "says"), [
    (["tinysec,phi3", "x"], "One model is asked at a time, and here are 2: tinysec, phi3."),
    (["tinyseq", "x"], "tinysec"),
    pytest.param(["tinysec", "port " * 40000], "shorten it, or ask a model with a longer context.", id="long"),
    (["tinysec", "-"], "Standard input is no UTF-8 text (byte 3)"),
])  # fmt: skip
def test_an_error_is_one_sentence_and_exit_2(capsys, monkeypatch, args, says):
    typed(monkeypatch, b"ab\xff")
    assert main(["ask", *args]) == 2
    error = capsys.readouterr().err
    assert error.startswith("slmsec: error: ")
    assert says in error
    assert "Traceback" not in error


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(tinyencoders.build_tiny_encoder(tmp_path_factory.mktemp("encoder") / "bert", "bert"))


def test_an_encoder_fills_a_gap_or_ranks_choices(capsys, bert):
    assert main(["ask", bert, "The adversary moves [MASK] laterally."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["%  " in line for line in lines[:6]] == [*[True] * 5, False]
    assert main(["ask", bert, "The adversary moves", "--choices", "tools", "phishing", "--show-prompt"]) == 0
    out = capsys.readouterr().out
    assert "prompt as sent:\n[CLS] the adversary moves tools [SEP]\n" in out
    assert "       score  choice\n" in out


@pytest.mark.parametrize(("prompt", "more", "says"), [
    ("Which port?", [], "it generates no text: give --choices, or put [MASK] into the prompt"),
    ("[MASK] or [MASK]", [], "The prompt has 2 gaps ([MASK]); one at a time can be filled"),
    ("port " * 70 + "[MASK]", [], "the context of"),
    ("Which port?", ["--choices", "22", "80", "--system", "Be brief."], "leave out --system"),
])  # fmt: skip
def test_what_an_encoder_cannot_do_is_one_sentence(capsys, bert, prompt, more, says):
    assert main(["ask", bert, prompt, *more]) == 2
    assert says in capsys.readouterr().err


def test_a_server_answers_and_its_text_is_escaped(capsys):
    with FaultServer(answer=lambda path, body: "port\x1b[2J 22\nyes") as server:
        assert main(["ask", "openai:toy", "Which port?", "--slmsec-base-url", server.url, "--show-prompt"]) == 0
    out = capsys.readouterr().out
    assert out.startswith('messages as sent; the server renders them:\n[{"role": "user", "content": "Which port?"}]\n')
    assert "port\\x1b[2J 22\nyes\n" in out
    assert "peak memory unknown: remote:" in " ".join(out.split())
