"""Plans: every wrong key and value is one sentence that names it."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.synthesize.plan import read_plan
from pytest_slmsec.synthesize.prompts import answer_request, filled, list_request

WHOLE = 'model = "toy"\n[topics]\nroot = "Mail"\n'


def plan(tmp_path, text):
    path = tmp_path / "topics.toml"
    path.write_text(text, "utf-8")
    return read_plan(path)


def test_a_plan_needs_a_model_and_topics_only(tmp_path):
    read = plan(tmp_path, WHOLE)
    assert (read.model, read.topics.root, read.topics.breadth, read.topics.depth) == ("toy", "Mail", 4, 2)
    assert read.filters.benchmarks == ("*",)


@pytest.mark.parametrize(("text", "says"), [
    ("[topics]\nroot = 'x'", "names no model"),
    ("model = ''\n[topics]\nroot = 'x'", "names no model"),
    ("model = 'toy'", r"\[topics\] has none of them: write root"),
    ("model = 'toy'\n[topics]\nroot = 'x'\ntree = ['y']", "has root and tree"),
    ("model = 'toy'\n[topics]\nroot = ' '", r"\[topics\] root = ' ': write a text in quotes that is not empty"),
    ("model = 'toy'\ntopics = 3", r"topics = 3 must be a table: write \[topics\]"),
    (WHOLE + "breadth = 0", "breadth = 0: write a whole number of at least 1"),
    (WHOLE + "depth = 1.5", "depth = 1.5: write a whole number"),
    (WHOLE + "breadth = 100\ndepth = 3", "make 1,000,000 topics, and at most 10,000"),
    (WHOLE + "breath = 3", "unknown key 'breath'; did you mean 'breadth'"),
    (WHOLE + "[question]\nper_topic = 1", "unknown key 'question'; did you mean 'questions'"),
    (WHOLE + "[questions]\nper_topic = true", "per_topic = True: write a whole number"),
    (WHOLE + "[questions]\ntemperature = 3", "temperature = 3: write a number from 0 to 2"),
    (WHOLE + "[questions]\nprompt = 'Ask {n} things'", "with {n} and {topic} in it"),
    (WHOLE + "[answers]\nsystem = 3", "system = 3: write a text in quotes"),
    (WHOLE + "[filters]\nquestion_words = [9, 3]", "write the fewest and the most words"),
    (WHOLE + "[filters]\nnear_duplicate = 0", "near_duplicate = 0: write a number from 0.05 to 1"),
    (WHOLE + "[filters]\nbenchmarks = 'all'", "write a list of names or patterns"),
    ("model = 'toy'\n[topics", "is no valid TOML"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(tmp_path, text, says):
    with pytest.raises(UsageError, match=says) as caught:
        plan(tmp_path, text)
    assert "topics.toml" in str(caught.value)
    assert "\n" not in str(caught.value).partition("TOML:")[0]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_plan(tmp_path / "none.toml")


def test_wordings_are_filled_in_and_braces_of_names_are_no_slots(tmp_path):
    assert filled("{n} about {topic}; {n}", 3, ("Mail", "{n} {topic}")) == "3 about Mail > {n} {topic}; 3"
    read = plan(tmp_path, WHOLE + "[questions]\ntemperature = 1\nseed = 7\n[answers]\nsystem = ''\n")
    asked = list_request(read.questions.prompt, 3, ("Mail", "Spam"), read.questions)
    assert (asked.temperature, asked.seed) == (1.0, 7)
    assert "Topic: Mail > Spam" in asked.messages[0].content
    assert [turn.role for turn in answer_request(read.answers.system, "Why?", read.answers).messages] == ["user"]
