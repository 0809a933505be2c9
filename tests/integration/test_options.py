"""One option after the other: what a user sees."""

import json
import os
import pty
import subprocess
import sys

import pytest


def test_limit_takes_a_seeded_sample_under_a_name_of_its_own(toy):
    toy.run("--slmsec-limit=10", "--benchmark-json=out.json", models=("alpha",))
    first = set(toy.asked)
    assert len(first) == 20
    toy.run("--slmsec-limit=10", models=("alpha",))
    assert set(toy.asked) == first
    toy.run("--slmsec-limit=10:3", models=("alpha",))
    assert set(toy.asked) != first
    names = {e["params"]["benchmark"] for e in json.loads((toy.pytester.path / "out.json").read_text())["benchmarks"]}
    assert names == {"ports@10", "hashes@10"}


def test_a_limit_of_everything_is_the_whole(toy):
    result = toy.run("--slmsec-limit=100", models=("alpha",))
    result.stdout.no_fnmatch_line("*ports@100*")


def test_answers_that_stop_early_are_official_nowhere(toy):
    result = toy.run("--slmsec-stop-when-answered", "--slmsec-scoring=official")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--slmsec-stop-when-answered cuts answers short*"])


def test_a_benchmark_without_a_complete_answer_keeps_its_name(toy):
    toy.run("--slmsec-stop-when-answered", models=("alpha",)).stdout.no_fnmatch_line("*~answered*")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--slmsec-limit=0", "*--slmsec-limit=0: write N or N:SEED*"),
        ("--slmsec-limit=ten", "*--slmsec-limit=ten: write N or N:SEED*"),
        ("--slmsec-window=0", "*--slmsec-window=0: must be a whole number of at least 1*"),
        ("--slmsec-device=tpu", "*--slmsec-device=tpu: no such device; say auto, cpu, cuda, cuda:1 or mps*"),
        ("--slmsec-max-new-tokens=-1", "*--slmsec-max-new-tokens=-1: must be*"),
        ("--slmsec-data=/nowhere", "*--slmsec-data=/nowhere*there is no such folder*"),
        ("--slmsec-scoring=lax", "*argument --slmsec-scoring: invalid choice*"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(toy, option, says):
    result = toy.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert toy.notes() == []


def test_configuration_in_pyproject(toy):
    (toy.pytester.path / "pyproject.toml").write_text("[tool.slmsec]\nlimit = 5\n")
    toy.run(models=("alpha",))
    assert len(toy.asked) == 10
    toy.run("--slmsec-limit=7", models=("alpha",))
    assert len(toy.asked) == 14


def test_an_unknown_key_is_named_with_its_neighbour(toy):
    (toy.pytester.path / "pyproject.toml").write_text("[tool.slmsec]\nlimits = 5\n")
    result = toy.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pyproject.toml: *unknown key 'limits'; did you mean 'limit'?*"])


def test_a_model_of_ones_own_in_pyproject(toy):
    (toy.pytester.path / "slmsec.toml").write_text("[models.gamma]\nlocation = './somewhere'\n")
    toy.run(models=("gamma",))
    assert toy.loads == ["gamma"]


def test_wrong_answers_as_failures(toy):
    result = toy.run("--slmsec-wrong=fail", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "failed": 20}
    result.stdout.fnmatch_lines(["*wrong answer: 'no', right is 'yes'*", "ports*66.7 %*"])


def test_wrong_answers_as_expected_failures(toy):
    result = toy.run("--slmsec-wrong=xfail", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "xfailed": 20}


def test_a_wrong_answer_reads_wrong(toy):
    result = toy.run("-v", models=("alpha",))
    result.stdout.fnmatch_lines(["test_hashes.py::test_hashes?alpha-hashes-00003? WRONG*"])


def test_junit_tells_right_from_wrong(toy):
    toy.run("--junitxml=out.xml", models=("alpha",))
    text = (toy.pytester.path / "out.xml").read_text()
    assert text.count('name="correct" value="False"') == 20
    assert text.count('name="correct" value="True"') == 40
    assert 'failures="0"' in text


def test_transcript(toy):
    toy.run("--slmsec-transcript=logs/out.jsonl", models=("alpha",))
    lines = [json.loads(line) for line in (toy.pytester.path / "logs" / "out.jsonl").open()]
    assert len(lines) == 60
    assert lines[0]["prompt"] == "hashes 1 say: yes"
    assert lines[0]["text"] == " yes"
    assert lines[0]["score"]["correct"] is True


def test_a_transcript_that_cannot_be_written_is_said_before_anything_runs(toy):
    (toy.pytester.path / "file").write_text("")
    result = toy.run("--slmsec-transcript=file/out.jsonl", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "cannot be written" in result.stdout.str() + result.stderr.str()
    assert toy.notes() == []


def test_help_lists_the_options_in_a_group_of_their_own(toy):
    result = toy.run("--help", models=())
    result.stdout.fnmatch_lines(["small language models for security*", "*--model*NAME*", "*--slmsec-resume*"])


def test_a_plugin_with_its_own_model_option_keeps_it(toy):
    toy.pytester.makepyfile(early="def pytest_addoption(parser):\n    parser.addoption('--model', dest='mine')\n")
    result = toy.run("-p", "early", "--slmsec-model=alpha", models=(), subprocess=True)
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}


def test_a_marker_without_a_benchmark(toy):
    toy.pytester.makepyfile(
        test_bad="""
        import pytest

        @pytest.mark.slmsec("cti-mcp")
        def test_typo(answer):
            pass
        """
    )
    result = toy.run("test_bad.py", models=("alpha",))
    result.stdout.fnmatch_lines(["*There is no benchmark 'cti-mcp'; did you mean cti-mcq*"])


def test_a_marker_without_the_fixture(toy):
    toy.pytester.makepyfile(
        test_bad="""
        import pytest

        @pytest.mark.slmsec("cti-mcq")
        def test_nothing():
            pass
        """
    )
    result = toy.run("test_bad.py", models=("alpha",))
    result.stdout.fnmatch_lines(["*test_nothing is marked slmsec but does not take the fixture `answer`*"])


@pytest.mark.parametrize("args", [(), ("-q",), ("-n1",)])
def test_without_a_model_the_run_says_how_to_name_one(toy, args):
    if args == ("-n1",):
        pytest.importorskip("xdist")
    result = toy.run(*args, models=(), subprocess=args == ("-n1",))
    hints = [line for line in result.outlines if line.startswith("slmsec: no --model given: try `--model=tinysec`")]
    assert len(hints) == 1
    toy.run("test_ports.py", models=("alpha",)).stdout.no_fnmatch_line("*no --model given*")


def on_a_terminal(command, folder):
    """What a command writes to standard error, which is a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "60", "NO_COLOR": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=theirs)
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        return done.returncode, terminal.read1().decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("command", "code", "begins"),
    [
        (("-m", "pytest", "--model=tinysec-gptq5"), 4, "ERROR: --model=tinysec-gptq5: 'gptq5' is no known"),
        (
            ("-m", "pytest_slmsec.cli.main", "list", "tinysec-gptq5"),
            2,
            "slmsec: error: --model=tinysec-gptq5: 'gptq5' is no",
        ),
    ],
)
def test_on_a_terminal_a_mistake_is_told_in_lines(toy, command, code, begins):
    returned, text = on_a_terminal([sys.executable, *command], toy.pytester.path)
    lines = text.strip().splitlines()
    assert returned == code
    assert lines[0].startswith(begins)
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    assert "tinysec-gptq4 or tinysec-gptq8?" in " ".join(text.split())


def test_in_a_file_a_mistake_is_one_line(toy):
    result = toy.pytester.runpytest_subprocess("--model=tinysec-gptq5")
    result.stderr.fnmatch_lines(["ERROR: --model=tinysec-gptq5: 'gptq5' is no known quantisation *, fp8."])
