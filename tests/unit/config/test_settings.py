"""From options, environment and configuration to the settings of a run."""

import pytest

from pytest_slmsec.config.options import DATA, MODEL, PLUGIN_OPTIONS
from pytest_slmsec.config.settings import DEFAULT_WINDOW, read_settings
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.scoring.base import Mode


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for option in PLUGIN_OPTIONS:
        if option.env:
            monkeypatch.delenv(option.env, raising=False)


def settings(root, **given):
    return read_settings({f"slmsec_{key}": value for key, value in given.items()}, root, {})


def test_defaults(tmp_path):
    found = settings(tmp_path)
    assert (found.models, found.data, found.mode, found.limit) == ((), None, Mode.STRICT, None)
    assert (found.window, found.wrong, found.sentinels, found.prefetch) == (DEFAULT_WINDOW, "pass", "warn", True)
    assert found.journal == tmp_path / ".slmsec" / "journal.jsonl"
    assert found.roles == {}


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "slmsec.toml").write_text(f"data = '{tmp_path / 'c'}'\n")
    assert settings(tmp_path).data == str(tmp_path / "c")
    monkeypatch.setenv(DATA.env, str(tmp_path / "b"))
    assert settings(tmp_path).data == str(tmp_path / "b")
    assert settings(tmp_path, data=str(tmp_path / "a")).data == str(tmp_path / "a")


def test_guesses_are_made_unless_they_are_switched_off(tmp_path):
    assert settings(tmp_path).engine.guesses
    assert not settings(tmp_path, guesses="off").engine.guesses


def test_a_switch_of_the_file(tmp_path):
    (tmp_path / "slmsec.toml").write_text("no-prefetch = true\nstop-when-answered = true\n")
    found = settings(tmp_path)
    assert not found.prefetch
    assert found.stop_when_answered


def test_models_and_judges_by_name(tmp_path):
    found = settings(tmp_path, model=["tinysec,tinysec-gptq4", "tinysec"], judge="tinysec-gptq8")
    assert [model.name for model in found.models] == ["tinysec", "tinysec-gptq4"]
    assert {role: model.name for role, model in found.roles.items()} == {
        "judge": "tinysec-gptq8",
        "expander": "tinysec-gptq8",
    }


def test_models_of_a_conftest_and_of_the_file(tmp_path):
    (tmp_path / "slmsec.toml").write_text("[models.ours]\nlocation = './ours'\n")
    given = {MODEL.dest: ["ours,theirs"]}
    found = read_settings(given, tmp_path, {"theirs": {"location": "/somewhere"}})
    assert [model.name for model in found.models] == ["ours", "theirs"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"window": 0}, "--slmsec-window=0: must be a whole number of at least 1."),
        ({"tdp": 0.0}, "--slmsec-tdp=0.0: must be a number of watts above 0."),
        ({"device": "tpu"}, "--slmsec-device=tpu: no such device; say auto, cpu, cuda, cuda:1 or mps."),
        ({"expander": "tinysec"}, "--slmsec-expander=tinysec: nobody judges what it finds; give --slmsec-judge=NAME."),
        ({"timeout": 0}, "--slmsec-timeout=0: must be a number of seconds above 0."),
        ({"api_key_env": "sk-secret"}, "must be the name of an environment variable, and not a key."),
        ({"data": "/no/such"}, "--slmsec-data=/no/such (or SLMSEC_DATA): there is no such folder"),
    ],
)
def test_an_option_that_cannot_be_used(tmp_path, given, said):
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, **given)
    assert said in str(caught.value)


def test_a_key_is_never_repeated_in_a_message(tmp_path):
    with pytest.raises(UsageError) as caught:
        settings(tmp_path, api_key_env="sk-secret")
    assert "sk-secret" not in str(caught.value)
