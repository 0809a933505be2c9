"""The file of a campaign: the sessions that it stands for, and what is said where it cannot be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.campaign.plan import _parts, read_campaign
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.model_registry import shipped_registry

SMALL = 'models = ["tinysec", "tinysec-gptq4"]\nbenchmarks = ["cti-mcq", "cti-rcm", "cti-ate"]\n'


@pytest.fixture
def read(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.chdir(tmp_path)

    def read(text):
        (tmp_path / "soc.toml").write_text(text)
        return read_campaign((tmp_path / "soc.toml").relative_to(tmp_path), shipped_registry())

    return read


def test_each_model_and_a_few_benchmarks_are_a_session(read):
    found = read(SMALL + 'benchmarks-per-session = 2\noptions = ["--slmsec-limit=10"]\n')
    assert [str(session) for session in found.sessions] == [
        "tinysec: cti-mcq, cti-rcm", "tinysec: cti-ate", "tinysec-gptq4: cti-mcq, cti-rcm", "tinysec-gptq4: cti-ate",
    ]  # fmt: skip
    assert found.sessions[0].arguments == (
        "benchmarks", "--slmsec-limit=10", "--model=tinysec", "--slmsec-benchmarks=cti-mcq,cti-rcm",
    )  # fmt: skip
    assert str(found.sessions[1].file("json")) == "soc/tinysec/cti-ate.json"


def test_a_benchmark_added_at_the_end_leaves_full_sessions_as_they_were(read):
    two = "benchmarks-per-session = 2\n"
    before, after = read(SMALL + two), read(SMALL.replace('"cti-ate"', '"cti-ate", "cti-taa", "cti-vsp"') + two)
    assert before.sessions[0] == after.sessions[0]
    assert after.benchmarks == ("cti-mcq", "cti-rcm", "cti-ate", "cti-taa", "cti-vsp")


def test_a_pattern_stands_for_all_benchmarks_that_it_fits(read):
    found = read('models = ["tinysec"]\nbenchmarks = ["cti-mcq", "cti-mcq*"]')
    assert found.benchmarks[0] == "cti-mcq"
    assert "cti-mcq-choice" in found.benchmarks
    assert len(set(found.benchmarks)) == len(found.benchmarks)


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 9))
def test_parts_hold_every_benchmark_once_and_in_order(names, most):
    parts = _parts(names, most)
    assert [name for part in parts for name in part] == names
    assert all(1 <= len(part) <= most for part in parts)


def test_sessions_of_all_models_and_choices_have_files_of_their_own(read, tmp_path):
    for place in ("a/m", "b/m"):
        (tmp_path / place).mkdir(parents=True)
    found = read('models = ["./a/m", "./b/m"]\nbenchmarks = ["cti-mcq", "cti-rcm"]')
    assert len({session.stem for session in found.sessions}) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + 'modles = ["x"]', "soc.toml: unknown key 'modles'; did you mean 'models'?"),
        (SMALL.replace('"tinysec"', '"tinysek"'), "models=tinysek: no such model; did you mean tinysec?"),
        (SMALL.replace("cti-ate", "cti-aet"), "There is no benchmark 'cti-aet'; did you mean cti-ate"),
        (SMALL.replace("cti-ate", "cti-x*"), "no benchmark fits 'cti-x*'"),
        (SMALL + 'tests = ["nowhere.py"]', "tests: there is no nowhere.py"),
        (SMALL + 'options = ["--slmsec-limt=3"]', "there is no option --slmsec-limt; did you mean --slmsec-limit?"),
        (SMALL + 'options = ["--model=x"]', "--model is set by the campaign"),
        (SMALL + "benchmarks-per-session = 0", "write a whole number of at least 1"),
        (SMALL + "report = 1", "write true or false"),
        ('benchmarks = ["cti-mcq"]', 'models is missing: write a list, such as models = ["tinysec"]'),
        ("models = [", "is no valid TOML"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(read, text, said):
    with pytest.raises(UsageError) as caught:
        read(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
