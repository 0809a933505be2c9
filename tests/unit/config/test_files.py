"""The configuration files: which one counts, and what they may hold."""

import pytest

from pytest_slmsec.config.files import load_config
from pytest_slmsec.config.options import PLUGIN_OPTIONS
from pytest_slmsec.core.errors import UsageError


def test_no_file_is_an_empty_table(tmp_path):
    assert load_config(tmp_path) == {}


def test_the_own_file_wins_over_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.slmsec]\nlimit = 5\nwindow = 8\n")
    (tmp_path / "slmsec.toml").write_text("limit = 7\n")
    assert load_config(tmp_path) == {"limit": 7}


def test_an_empty_own_file_leaves_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.slmsec]\nlimit = 5\n")
    (tmp_path / "slmsec.toml").write_text("# nothing yet\n")
    assert load_config(tmp_path) == {"limit": 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limt = 5", "unknown key 'limt'; did you mean 'limit'?"),
        ("data = 5", "data = 5: write a text in quotes."),
        ("judge = ['tinysec']", "judge = ['tinysec']: write a text in quotes."),
        ("window = 'many'", "window = 'many': write a number."),
        ("window = true", "window = True: write a number."),
        ("no-prefetch = 'false'", "no-prefetch = 'false': write true or false."),
        ("models = 3", "models = 3: write a table."),
        ("gate = 'strict'", "gate = 'strict': write a table."),
        ("limit =", "slmsec.toml is no valid TOML: "),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_file_and_key(tmp_path, text, said):
    (tmp_path / "slmsec.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "slmsec.toml"))
    assert said in message
    assert "\n" not in message


def test_a_value_in_place_of_the_table_of_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool]\nslmsec = 3\n")
    with pytest.raises(UsageError, match=r"tool\.slmsec = 3: write a table"):
        load_config(tmp_path)


@pytest.mark.parametrize("option", [option for option in PLUGIN_OPTIONS if not option.configurable])
def test_what_belongs_on_the_command_line_has_no_key(tmp_path, option):
    (tmp_path / "slmsec.toml").write_text(f'{option.key} = "x"\n')
    with pytest.raises(UsageError, match="unknown key"):
        load_config(tmp_path)
