"""Every code block of README, docs/ and examples/ is run: test files with tinysec, command lines up to collection."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from reportpages import two_models

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language):
    """(page, code) of every block in one language."""
    found = [(page.name, code) for page in PAGES for kind, code in BLOCK.findall(page.read_text("utf-8"))
             if kind == language]  # fmt: skip
    return [pytest.param(code, id=f"{page}-{number}") for number, (page, code) in enumerate(found)]


def lines(command):
    """Lines of shell blocks that begin with a command, without their comment."""
    code = "\n".join(block.values[0] for block in blocks("sh"))
    return [line.partition("  #")[0].strip() for line in code.splitlines() if command in line.split("  #")[0].split()]


def own_benchmark():
    """The first benchmark that the pages make, for a block that is a conftest."""
    codes = [block.values[0] for block in blocks("python")]
    return next(code for code in codes if code.startswith("# test_mine.py\n"))


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_block_is_a_test_file_that_runs(pytester, monkeypatch, code):
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    for package in re.findall(r"^import (trackio)$", code, re.MULTILINE):
        pytest.importorskip(package)
    name = re.match(r"# (test_\w+|conftest)\.py\n", code)
    assert name, "a python block begins with the name of its file: # test_mine.py"
    pytester.makepyfile(**{name[1]: code})
    if name[1] == "conftest":
        pytester.makepyfile(test_mine=own_benchmark())
    (pytester.path / "run.json").write_text(json.dumps(two_models()))
    models = ["--model=tinysec", *(["--model=tinysec-fp32"] if "slm_pair" in code else [])]
    result = pytester.runpytest_subprocess(*models, "-p", "no:cacheprovider")
    counts = result.parseoutcomes()
    assert result.ret == 0
    assert sum(counts.get(status, 0) for status in ("passed", "wrong", "gate", "gates")) >= 1


def recorded_runs(home):
    """The recorded answers that the pages name: two folders, a run of AthenaBench, and a transcript of two models."""
    with (ROOT / "fixtures/data/cti-bench/data/cti-mcq.tsv").open(encoding="utf-8", newline="") as file:
        prompts = [line.split("\t") for line in file.read().splitlines()[:4]]
    column = prompts[0].index("Prompt")
    rows = [{"item_id": f"index_{row}", "prompt": cells[column].strip('"').replace('""', '"'), "response": "A",
             "tokens_generated": 2} for row, cells in enumerate(prompts[1:])]  # fmt: skip
    line = {"group": "cti-mcq@fixture", "item": "cti-mcq-00001", "error": None, "score": None, "hit_limit": False,
            "gold": "A", "text": "A", "prompt": rows[0]["prompt"]}  # fmt: skip
    for run in ("bare", "gptq4"):
        folder = home / "runs" / "phi3" / run
        folder.mkdir(parents=True)
        (folder / "cti-mcq.outputs.json").write_text(json.dumps(rows))
    athena = (ROOT / "fixtures/data/athenabench/benchmark-mini/athena-cti-ate.jsonl").read_text("utf-8").splitlines()
    scored = [{"id": 0, "prompt": json.loads(row)["prompt"], "response": "Answer: T1059"} for row in athena]
    folder = home / "data" / "athenabench" / "runs-mini" / "Qwen" / "Qwen3-4B-Instruct-2507"
    folder.mkdir(parents=True)
    (folder / "ATE-scored.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored))
    transcript = [json.dumps({**line, "model": model}) + "\n" for model in ("tinysec", "phi3")]
    (home / "runs" / "run.jsonl").write_text("".join(transcript))


@pytest.mark.parametrize("line", lines("pytest"))
def test_a_pytest_line_collects(pytester, monkeypatch, line):
    home = pytester.path
    for folder in ("benchmarks", "examples"):
        shutil.copytree(ROOT / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("my-model", "cti", "data"):
        shutil.copytree(ROOT / "fixtures" / "data", home / folder)
    recorded_runs(home)
    (home / "my-model.gguf").write_bytes(b"GGUF")
    (home / "soc.csv").write_text("question,answer\nWhich port does SSH use?,22\n")
    (home / "training.jsonl").write_text('{"messages": [{"role": "user", "content": "Which port does RDP use?"}]}\n')
    (home / "faq.csv").write_text("Frage,Antwort\nWelchen Port hat SSH?,22\n")
    (home / "test_mine.py").write_text("def test_mine():\n    pass\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    words = shlex.split(line)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).replace("~", str(home)).split("=", 1))
    args = [word.replace("~", str(home)) for word in words[1:]]
    result = pytester.runpytest_subprocess(*args, "--collect-only", "-q")
    assert result.ret == 0, result.stdout.str() + result.stderr.str()


def test_the_links_of_every_page_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    for name in ("benchmarks", "tests"):
        assert re.search(rf"^<!-- {name} -->\n```sh\n.*tox run -e {name}\n```", text, re.MULTILINE)
