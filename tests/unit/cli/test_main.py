"""The command line of `slmsec`."""

import subprocess
import sys

import pytest

from pytest_slmsec.cli.main import main


def test_list_shows_models_quantisations_and_benchmarks(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for word in ("tinysec", "phi3", "gptq4", "bf16", "cti-mcq", "2,500"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["quantize", "tinysec", "gptq5"], "'gptq5' is no known quantisation"),
        (["quantize", "nobody", "gptq4"], "no such model"),
        (["quantize", "tinysec", "fp16"], "fp16 is a dtype, nothing to be made"),
        (["quantize", "tinysec", "gptq4", "--calibration", "/nowhere.txt"], "/nowhere.txt cannot be read"),
    ],
)
def test_an_error_is_one_sentence_and_exit_2(capsys, args, says):
    assert main(args) == 2
    error = capsys.readouterr().err
    assert error.startswith("slmsec: error: ")
    assert says in error
    assert "Traceback" not in error


def test_without_a_command_it_shows_its_help(capsys):
    assert main([]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert "pytest benchmarks/ --model=tinysec" in error
    for command in ("list", "quantize", "compare", "rescore", "sentinels", "plan"):
        assert f"\n    {command}" in error


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "pytest benchmarks/ --model=tinysec" in capsys.readouterr().out


def test_the_command_starts_without_torch():
    code = "import sys, pytest_slmsec.cli.main as c; c.main(['list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
