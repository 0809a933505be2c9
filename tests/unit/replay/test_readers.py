"""Every form of recorded answers, as it is written by its own harness, and what is wrong with a damaged one."""

import json

import pytest

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.replay.registry import read_recordings, reader_of

LINE = {
    "group": "cti-mcq@fixture~official", "model": "tinysec", "row": 0, "item": "cti-mcq-00001", "error": None,
    "score": {"value": 1.0, "parsed": True, "correct": True, "extracted": "A", "parts": {}}, "prompt_tokens": 9,
    "new_tokens": 2, "hit_limit": False, "seconds": 0.5, "gold": "A", "text": "A", "logprobs": None,
    "item_sha256": "ab", "system": None, "prompt": "Which?", "choices": [], "decoding": {"max_new_tokens": 8},
}  # fmt: skip
GENERATED = {
    "doc_id": 0, "doc": {"question": "2+2?"}, "target": "4", "filter": "strict-match", "metrics": ["exact_match"],
    "arguments": {"gen_args_0": {"arg_0": "Q: 2+2?", "arg_1": {"until": ["Q:"], "max_gen_toks": 32}}},
    "resps": [["4"]], "filtered_resps": ["4"], "exact_match": 1.0,
}  # fmt: skip
CHOSEN = {
    "doc_id": 3, "doc": {}, "target": "0", "filter": "none", "metrics": ["acc"],
    "arguments": {"gen_args_0": {"arg_0": "Port?", "arg_1": " 22"}, "gen_args_1": {"arg_0": "Port?", "arg_1": " 80"}},
    "resps": [[["-1.5", "False"]], [["-0.5", "True"]]], "filtered_resps": [], "acc": 1.0,
}  # fmt: skip
SAMPLES = "samples_gsm8k_2025-11-18T10-20-30.123456.jsonl"
SEVENLLM = {"id": 901, "category": "c", "instruction": "Summarise.", "input": "A worm spread.", "output": "A worm."}


def lines(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), "utf-8")
    return path


def read(path, model=None):
    return read_recordings(path, model)


def test_a_transcript(tmp_path):
    second = {**LINE, "item": "cti-mcq-00002", "text": None, "error": "cti-mcq-00002: too long", "score": None}
    (found,) = read(lines(tmp_path / "run.jsonl", LINE, second))
    assert (found.benchmark, found.model, found.source, found.mode) == ("cti-mcq", "tinysec", "fixture", "official")
    assert found.decoding == {"max_new_tokens": 8}
    first, failed = found.answers
    assert (first.item, first.output.text, first.output.seconds, first.score.value) == ("cti-mcq-00001", "A", 0.5, 1.0)
    assert failed.output.error == "recorded as an error: cti-mcq-00002: too long"
    assert failed.score is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": 7}, "line 2: 'text' is 7, not str or null"),
        ({"model": None}, "line 2: 'model' is None, not str"),
        ({"new_tokens": "3"}, "line 2: 'new_tokens' is '3', not int or null"),
        ({"logprobs": [0.1, "x"]}, "line 2: 'logprobs' holds 'x', not a finite number"),
        ({"score": {"value": 1.0}}, "line 2: 'parsed' is missing"),
        ({"score": "right"}, "line 2: 'score' is 'right', not dict or null"),
        ({"replies": [{"who": "me"}]}, "line 2: 'replies' is not what this version writes"),
    ],
)
def test_a_damaged_transcript(tmp_path, change, message):
    with pytest.raises(ReplayError, match=r"run\.jsonl") as caught:
        read(lines(tmp_path / "run.jsonl", LINE, {**LINE, **change}))
    assert message in str(caught.value)


def test_a_transcript_cut_off_in_its_last_line(tmp_path):
    path = lines(tmp_path / "run.jsonl", LINE, LINE)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ReplayError, match=r"run\.jsonl, line 2: no valid JSON, or cut off"):
        read(path)


def test_several_models_in_a_file_want_a_choice(tmp_path):
    path = lines(tmp_path / "run.jsonl", LINE, {**LINE, "model": "phi3"})
    with pytest.raises(ReplayError, match=r"holds 2 models \(tinysec, phi3\): choose one, for example .*::tinysec"):
        read(path)
    assert [found.model for found in read(path, "phi3")] == ["phi3"]
    with pytest.raises(ReplayError, match="holds no model 'phi4'; it holds tinysec, phi3"):
        read(path, "phi4")


def test_generations_of_lm_eval(tmp_path):
    again = {**GENERATED, "filter": "flexible-extract"}
    (found,) = read(lines(tmp_path / SAMPLES, GENERATED, again, {**GENERATED, "doc_id": 1}))
    assert found.benchmark == "gsm8k"
    assert found.decoding == {"raw": True, "max_new_tokens": 32, "stop": ["Q:"]}
    first, second = found.answers
    assert (first.row, first.prompt, first.output.text, first.output.new_tokens) == (1, "Q: 2+2?", "4", None)
    assert second.row == 2


def test_log_likelihoods_of_lm_eval(tmp_path):
    (found,) = read(lines(tmp_path / "samples_arc_challenge_2025-11-18T10-20-30.5.jsonl", CHOSEN))
    (answer,) = found.answers
    assert (answer.row, answer.choices) == (4, (" 22", " 80"))
    assert answer.output.choice_logprobs == (-1.5, -0.5)
    assert answer.output.choice_greedy == (False, True)


@pytest.mark.parametrize(
    ("first", "change", "message"),
    [
        (GENERATED, {}, "line 2 repeats the document 0 of line 1"),
        (GENERATED, {"doc_id": None}, "line 2: 'doc_id' is None, not int"),
        (GENERATED, {"doc_id": 1, "resps": [["4", "5"]]}, "'resps' has 2 answers to one request"),
        (GENERATED, {"doc_id": 1, "resps": []}, "1 requests in 'arguments', but 0 answers in 'resps'"),
        (CHOSEN, {"doc_id": 1, "resps": [[["nan", "False"]], [["-1", "True"]]]}, "log-likelihood nan, not a finite"),
        (CHOSEN, {"doc_id": 1, "resps": [[["low", "False"]], [["-1", "True"]]]}, "not a log-likelihood and a flag"),
    ],
)
def test_damaged_samples_of_lm_eval(tmp_path, first, change, message):
    with pytest.raises(ReplayError, match=r"samples_gsm8k") as caught:
        read(lines(tmp_path / SAMPLES, first, {**first, **change}))
    assert message in str(caught.value)


def test_responses_of_ctibench(tmp_path):
    path = tmp_path / "cti-rcm-responses.tsv"
    path.write_text("GT\tphi3\tmistral 7b\nCWE-79\tCWE-79\t\nCWE-20\tnone\tCWE-20\n")
    with pytest.raises(ReplayError, match=r"holds 2 models \(phi3, mistral 7b\)"):
        read(path)
    (found,) = read(path, "mistral 7b")
    assert found.benchmark == "cti-rcm"
    assert [answer.output.text for answer in found.answers] == ["", "CWE-20"]
    path.write_text("GT\tphi3\nCWE-79\n")
    with pytest.raises(ReplayError, match="row 1 has too few cells"):
        read(path, "phi3")
    path.write_text("GT\nCWE-79\n")
    with pytest.raises(ReplayError, match="no column of answers beside 'GT'"):
        read(path)


def test_results_of_sevenllm(tmp_path):
    structured = {**SEVENLLM, "id": 1, "output": {"组织": ["FIN7"]}}
    (found,) = read(lines(tmp_path / "test-result.jsonl", SEVENLLM, structured))
    assert found.covers("sevenllm-gen-en")
    assert not found.covers("cti-mcq")
    assert [answer.row for answer in found.answers] == [901, 1]
    assert found.answers[0].holds == ("Summarise.", "A worm spread.")
    assert json.loads(found.answers[1].output.text) == {"组织": ["FIN7"]}
    with pytest.raises(ReplayError, match="line 1: the id 0 is not of the form 1, 2, 3"):
        read(lines(tmp_path / "bad.jsonl", {**SEVENLLM, "id": 0}))


def test_a_file_of_a_comparison(tmp_path):
    from benchmark_runs import content, plain

    path = tmp_path / "run.json"
    path.write_text(json.dumps(content(plain("110"))))
    (found,) = read(path)
    assert (found.benchmark, found.model, len(found.answers)) == ("cti-mcq", "phi3", 3)
    assert [answer.score.correct for answer in found.answers] == [True, True, False]
    path.write_text('{"benchmarks": []}')
    with pytest.raises(ReplayError, match="holds no answers of models"):
        read(path)


def test_a_folder_holds_what_can_be_read_of_it(tmp_path):
    lines(tmp_path / SAMPLES, GENERATED)
    lines(tmp_path / "samples_arc_challenge_2025-11-18T10-20-30.5.jsonl", CHOSEN)
    (tmp_path / "results.txt").write_text("nothing")
    assert [found.benchmark for found in read(tmp_path)] == ["arc_challenge", "gsm8k"]
    lines(tmp_path / "samples_gsm8k_2025-11-19T10-20-30.5.jsonl", GENERATED)
    with pytest.raises(ReplayError, match="both hold gsm8k: name one of them"):
        read(tmp_path)


def test_a_changed_file_is_read_again(tmp_path):
    path = lines(tmp_path / "run.jsonl", LINE)
    assert len(read(path)[0].answers) == 1
    lines(path, LINE, {**LINE, "item": "cti-mcq-00002"})
    assert len(read(path)[0].answers) == 2


@pytest.mark.parametrize("content", ["", "[]", "no json\n", '{"a": 1}\n', "7\n"])
def test_what_no_reader_knows_lists_the_forms(tmp_path, content):
    path = tmp_path / "run.jsonl"
    path.write_text(content)
    assert reader_of(path) is None
    with pytest.raises(ReplayError, match=r"holds no recorded answers of a known form; known: TASK.outputs.json; "):
        read(path)


def athena(**changed):
    line = {"id": 5, "prompt": "Which?", "response": "Answer: C", "prediction": "C", "answer": "C", "score": 1}
    return line | {"success": True} | changed


def test_scored_runs_of_athenabench(tmp_path):
    path = tmp_path / "Qwen3" / "MCQ3k-scored.jsonl"
    (found,) = read(lines(path, athena(), athena(response="Error generating response: 503")))
    assert (found.benchmark, found.model) == ("athena-mcq", "Qwen3")
    first, failed = found.answers
    assert (first.prompt, first.output.text, first.gold) == ("Which?", "Answer: C", "C")
    assert failed.output.error == "recorded as an error: 'Error generating response: 503'"


@pytest.mark.parametrize("name", ["CKT-scored.jsonl", "ckt3k-scored.jsonl", "MCQ-scored.jsonl"])
def test_the_multiple_choice_of_athenabench_goes_by_several_names(tmp_path, name):
    (found,) = read(lines(tmp_path / name, athena()))
    assert found.benchmark == "athena-mcq"


def test_a_damaged_run_of_athenabench(tmp_path):
    with pytest.raises(ReplayError, match=r"ATE-scored\.jsonl, line 2: 'response' is None, not str"):
        read(lines(tmp_path / "ATE-scored.jsonl", athena(), athena(response=None)))
