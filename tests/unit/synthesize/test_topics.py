"""The tree of topics: normalised, without doubles, saved as it can be read again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import Output
from pytest_slmsec.synthesize.topics import grow, normalised, read_tree, read_tree_file

GIVEN = {
    "Phishing": ["Spear phishing", " spear  Phishing.", "Vishing"],
    "Malware": {"Worms": [], "Viruses": ["Macro viruses"]},
}


def test_names_are_normalised_and_no_topic_is_there_twice():
    tree = read_tree(GIVEN, "topics")
    assert list(tree.leaves()) == [
        ("Phishing", "Spear phishing"), ("Phishing", "Vishing"), ("Malware", "Worms"),
        ("Malware", "Viruses", "Macro viruses"),
    ]  # fmt: skip
    assert tree.duplicates == 1
    assert normalised(" 'Smishing' ") == normalised("Smishing;") == "Smishing"


def test_a_topic_is_not_below_itself_but_may_be_below_two_others():
    tree = read_tree({"Logs": ["logs", "Windows"], "Windows": ["Logs"]}, "topics")
    assert list(tree.leaves()) == [("Logs", "Windows"), ("Windows", "Logs")]


def test_a_tree_grows_level_by_level_and_takes_no_more_than_its_breadth():
    said = {("Mail",): "1. Phishing\n2. Spam\n3. Spoofing", ("Mail", "Phishing"): "Vishing\nmail", ("Mail", "Spam"): ""}
    levels = []

    def ask(level):
        levels.append(list(level))
        return [Output(said[path]) for path in level]

    tree, unparsable = grow("Mail", 2, 2, ask)
    assert levels == [[("Mail",)], [("Mail", "Phishing"), ("Mail", "Spam")]]
    assert list(tree.leaves()) == [("Mail", "Phishing", "Vishing"), ("Mail", "Spam")]
    assert (tree.duplicates, unparsable) == (1, 1)


names = st.text("abcDE 1", min_size=1, max_size=4)
trees = st.recursive(
    st.lists(names, max_size=3), lambda below: st.dictionaries(names, below, max_size=3), max_leaves=12
)


@given(trees)
def test_what_is_saved_is_read_again_as_it_was(value):
    try:
        tree = read_tree(value, "topics")
    except UsageError:
        return
    again = read_tree(json.loads(json.dumps(tree.plain())), "saved")
    assert list(again.leaves()) == list(tree.leaves())
    assert (again.duplicates, again.too_long) == (0, 0)
    assert len(set(tree.leaves())) == len(list(tree.leaves()))


@pytest.mark.parametrize(("content", "says"), [
    ("[1]", "1 is no name of a topic"), ("{}", "holds no topic"), ('"Mail"', "no list of names"), 
    ("{", "no valid JSON"),
    ('{"Mail": 3}', "3 below Mail is no list"), ("[]", "holds no topic"),
])  # fmt: skip
def test_a_file_that_holds_no_tree_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "topics.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        read_tree_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tree_may_be_toml(tmp_path):
    path = tmp_path / "topics.toml"
    path.write_text('Mail = ["Phishing"]\n[Malware]\nWorms = []\n')
    assert list(read_tree_file(path).leaves()) == [("Mail", "Phishing"), ("Malware", "Worms")]
