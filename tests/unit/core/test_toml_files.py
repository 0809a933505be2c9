"""TOML files that users write: what is said of a file or a key that cannot be used."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import MOST_LISTED, check_keys, read_toml


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "plan.toml").write_bytes('name = "ö"\n'.encode("utf-8-sig"))
    assert read_toml(tmp_path / "plan.toml") == {"name": "ö"}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b"name", "is no valid TOML: "), (b'name = "\xff"', "is no valid TOML: ")],
)
def test_one_sentence_for_a_file_that_cannot_be_used(tmp_path, content, said):
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=f"plan.toml {said}"):
        read_toml(path)


def test_the_page_of_the_manual_is_named_where_there_is_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"name a TOML file \(docs/flow.md\)"):
        read_toml(tmp_path / "none.toml", "docs/flow.md")


LONG = [f"key{number}" for number in range(MOST_LISTED + 1)]


@pytest.mark.parametrize(
    ("key", "known", "said"),
    [
        ("limt", ["limit", "seed"], "plan.toml: unknown key 'limt'; did you mean 'limit'?"),
        ("colour", ["limit", "seed"], "plan.toml: unknown key 'colour'; known: limit, seed."),
        ("colour", LONG, "plan.toml: unknown key 'colour'; see docs/flow.md."),
    ],
)
def test_a_key_that_is_not_known(key, known, said):
    check_keys("plan.toml", known, known)
    with pytest.raises(UsageError) as error:
        check_keys("plan.toml", [known[0], key], known, page="docs/flow.md")
    assert str(error.value) == said
