"""Which questions stand in training data: 8 words in a row, or the same question."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item
from pytest_slmsec.tasks import contamination
from pytest_slmsec.tasks.contamination import WORDS, seen_in, words_of

LONG = "The host writes a copy of each login record to a second server before it answers the client"


def questions(*prompts):
    return [Item(f"q-{n}", prompt, "x") for n, prompt in enumerate(prompts)]


def seen(prompts, texts):
    return seen_in([questions(*prompts)], texts)[0]


def test_eight_words_in_a_row_are_an_overlap_and_seven_are_none():
    eight, seven = ("we saw that " + " ".join(LONG.split()[3 : 3 + count]) + " again" for count in (8, 7))
    assert seen([LONG], [eight]) == [True]
    assert seen([LONG], [seven]) == [False]


def test_case_punctuation_and_line_breaks_do_not_count():
    assert seen([LONG], [LONG.upper().replace(" ", ",\n")]) == [True]


def test_a_short_question_is_found_where_a_training_text_is_the_same():
    prompts = ["Which port does SSH use?", "Which port does RDP use?"]
    assert seen(prompts, ["which port does ssh use", "It is said that RDP uses 3389."]) == [True, False]
    assert seen(prompts, ["Somebody asked: which port does SSH use?"]) == [False, False]


def test_words_do_not_join_across_two_texts():
    words = LONG.split()
    assert seen([LONG], [" ".join(words[:7]), " ".join(words[7:14])]) == [False]


def test_the_instruction_of_a_benchmark_is_not_taken_for_its_questions():
    form = "You get one question about the security of networks. Answer it with one letter and nothing else. {} Answer:"
    starts, ends = ("What does", "Who sends", "Why is there", "Where ends"), ("mean", "here", "today", "after that")
    bare = [f"{starts[n % 4]} protocol number {n} {ends[n // 4 % 4]}" for n in range(20)]
    prompts = [form.format(question) for question in bare]
    assert seen(prompts, [form.format("How many packets does a handshake take")]) == [False] * 20
    assert seen(prompts, [bare[7]]) == [n == 7 for n in range(20)]  # less than 8 words, and the same question


def test_questions_in_chinese_are_read_by_characters():
    prompt = "攻击者在登录服务器之后删除了哪些日志文件"
    assert words_of("SSH 端口") == ["ssh", "端", "口"]
    assert seen([prompt], ["已知：" + prompt[3:11] + "等"]) == [True]
    assert seen([prompt], [prompt[3:10]]) == [False]


def test_each_benchmark_keeps_its_own_flags():
    groups = [questions(LONG, "What is a port?"), [], questions("What is a port?")]
    assert seen_in(groups, ["What is a port"]) == [[False, True], [], [True]]
    assert seen_in([], ["x"]) == []


def test_long_texts_are_read_in_pieces(monkeypatch):
    monkeypatch.setattr(contamination, "_PIECE", 50)
    monkeypatch.setattr(contamination, "_CHUNK", 20)
    assert seen([LONG, "What is a worm?"], ["filler " * 100 + LONG + " filler" * 100]) == [True, False]


def naive(prompts, texts):
    """The rule word by word, without wording of the benchmark: for at most three questions."""

    def runs(words):
        return {tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)}

    given_words = [words_of(text) for text in texts]
    overlaps = set().union(*map(runs, given_words))
    return [bool(runs(words_of(p)) & overlaps) or (words_of(p) != [] and words_of(p) in given_words) for p in prompts]


TEXT = st.lists(st.sampled_from(["port", "log", "Host,", "disk", "\n"]), max_size=25).map(" ".join)


@given(st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=6))
def test_it_is_the_rule_word_by_word(prompts, texts):
    assert seen(prompts, texts) == naive(prompts, texts)
