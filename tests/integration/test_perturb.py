"""Variants of items (``--slmsec-perturb``) in whole runs."""

import json

import pytest

SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.letters import score_letter
from pytest_slmsec.scoring.metrics import ACCURACY

PROMPT = "Which one has the number?\\nA) one {n}\\nB) two {n}\\nReply with a letter. say:A"
ITEMS = [Item(f"own-{n:05d}", PROMPT.format(n=n), "AB"[n % 2]) for n in range(1, 9)]

@pytest.mark.slmsec(Task("own", score_letter, ACCURACY, ITEMS, max_new_tokens=8))
def test_own(answer):
    assert answer.parsed
"""


@pytest.fixture
def own(toy):
    """One benchmark whose options the engine answers with A, wherever the right one stands."""
    for name in ("ports", "hashes"):
        (toy.pytester.path / f"test_{name}.py").unlink()
    toy.pytester.makepyfile(test_own=SUITE)
    return toy


def test_variants_are_a_group_of_their_own_beside_the_published_texts(own):
    result = own.run("--slmsec-perturb=typo:2,options,defang", "--benchmark-json=out.json", models=("alpha",))
    assert len(own.asked) == 8 + 24
    stored = json.loads((own.pytester.path / "out.json").read_text())
    clean, robust = stored["slmsec"]["groups"]
    assert (clean["benchmark"], robust["benchmark"]) == ("own", "own+robust")
    assert robust["items"]["item"][:3] == ["own-00001#typo1", "own-00001#typo2", "own-00001#options1"]
    assert robust["items"]["cluster"][:4] == ["own-00001"] * 3 + ["own-00002"]
    assert robust["items"]["variant"][2] == {"item": "own-00001", "kind": "options", "n": 1, "shift": 1, "options": 2}
    [facts] = [e["extra_info"] for e in stored["benchmarks"] if "extras" in e["extra_info"]
               and e["params"]["benchmark"] == "own+robust"]  # fmt: skip
    assert facts["perturbed"]["left_out"] == {"defang": "none of the 8 items can be changed so"}
    # A is right in half of the items, and where the options are shifted in the other half.
    shares = {name: facts["extras"][name] for name in ("clean", "kind=typo", "kind=options", "flips")}
    assert shares == {"clean": 0.5, "kind=typo": 0.5, "kind=options": 0.5, "flips": pytest.approx(1 / 3)}
    assert facts["extras"]["all_variants_right"] == 0
    assert facts["extras"]["consistent"] == 0
    result.stdout.fnmatch_lines(["*defang is not asked: none of the 8 items can be changed so.*"])


def test_a_sample_has_the_variants_of_the_sample(own):
    own.run("--slmsec-perturb=typo", "--slmsec-limit=3", models=("alpha",))
    names = list(own.asked)
    assert len(names) == 6
    assert {name.partition("#")[0] for name in names if "#" in name} == {name for name in names if "#" not in name}


def test_single_variants_are_chosen_by_their_id(own):
    own.run("--slmsec-perturb=typo,case", "test_own.py::test_own[alpha-own-00002#case1]", models=("alpha",))
    assert set(own.asked) == {"own-00002#case1"}
    own.run("--slmsec-perturb=typo,case", "-k", "case1", models=("alpha",))
    assert len(own.asked) == 8


def test_a_benchmark_without_variants_says_so_in_one_skip(own):
    result = own.run("--slmsec-perturb=defang", "-rs", models=("alpha",))
    result.stdout.fnmatch_lines(["*own has no variants for --slmsec-perturb (defang: none of the 8 items*"])


def test_an_unknown_kind_is_a_mistake_of_the_command_line(own):
    result = own.run("--slmsec-perturb=tipo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--slmsec-perturb=tipo: there is no kind 'tipo'; did you mean typo?*"])


def test_recorded_variants_are_replayed_and_scored_alike(own):
    own.run("--slmsec-perturb=typo,options", "--slmsec-transcript=run.jsonl", models=("alpha",))
    result = own.run("--slmsec-perturb=typo,options", models=("replay:run.jsonl",))
    result.stdout.fnmatch_lines(["*own+robust*accuracy*"])


def test_variants_are_judged_beside_their_items_and_whole(own):
    """A rule of the marker holds for both; variants never stop early, also where their items may."""
    suite = own.pytester.path / "test_own.py"
    gate = '@pytest.mark.slmsec_gate("own", max_drop="40pt", early_stop="obf")\n@pytest.mark.slmsec('
    suite.write_text(suite.read_text().replace("@pytest.mark.slmsec(", gate))
    options = ("--slmsec-perturb=typo,options", "-p", "no:cacheprovider")
    own.run(*options, "--benchmark-json=out.json", models=("alpha",))
    result = own.run(*options, "--slmsec-baseline=out.json", "-v", models=("alpha",))
    result.stdout.fnmatch_lines(["own+robust, 16 items", "*accuracy*50.0*50.0*40.0*", "*all variants right*"])
    result = own.run(*options, "--slmsec-baseline=out.json", "--slmsec-plan", models=("alpha",))
    result.stdout.fnmatch_lines(["*own+robust*8 *"])


def test_a_table_for_variants_is_no_mistake_where_none_are_asked(own):
    (own.pytester.path / "pyproject.toml").write_text('[tool.slmsec.gate."own+robust"]\nmax_drop = "5pt"\n')
    own.run(models=("alpha",))
    assert len(own.asked) == 8
    (own.pytester.path / "pyproject.toml").write_text('[tool.slmsec.gate."own+robbust"]\nmax_drop = "5pt"\n')
    assert own.run(models=("alpha",)).ret == pytest.ExitCode.USAGE_ERROR
