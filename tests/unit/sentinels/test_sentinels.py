"""Every sentinel: one example on which it fires, one on which it is silent, and what holds for all evidence."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.scoring.facts import Facts
from pytest_slmsec.sentinels.base import Evidence, surely_above, surely_below
from pytest_slmsec.sentinels.garbled import is_garbled
from pytest_slmsec.sentinels.registry import SENTINELS, watch
from pytest_slmsec.sentinels.thought_in_answer import is_thought

N = 40
DOCS = (Path(__file__).resolve().parents[3] / "docs" / "sentinels.md").read_text("utf-8")
SENTENCE = "The record shows a logon from an address that no user of this host has used before, so look at it first."


def generated(**changed):
    """40 sound answers to questions with four options."""
    letters = ["ABCD"[n % 4] for n in range(N)]
    values = {
        "item": [f"q-{n}" for n in range(N)], "gold": letters, "text": letters, "logprobs": [None] * N,
        "extracted": letters, "correct": [True] * N, "parsed": [True] * N, "hit_limit": [False] * N,
        "prompt_tokens": [60] * N, "prompt_words": [40] * N, "new_tokens": [2] * N,
        "begin_of_text": {"expected": True, "found": 1}, "kernel": "torch.nn.Linear", "device": "cpu",
    }  # fmt: skip
    return Evidence(**{"benchmark": "cti-mcq", "model": "phi3", "task": "cti-mcq", **values, **changed})


def chosen(**changed):
    """The same by log-probability."""
    rows = [[-1.0 - (n + k) % 4 - n / 97 for k in range(4)] for n in range(N)]
    return generated(**{"by_choice": True, "text": [None] * N, "new_tokens": [0] * N, "logprobs": rows, **changed})


def fired(evidence):
    return [finding.id for finding in watch(evidence)]


def some(value, usual, count):
    return [value] * count + [usual] * (N - count)


def test_sound_answers_are_silent():
    assert fired(generated()) == fired(chosen()) == fired(Evidence("cti-mcq", "phi3")) == []


LETTERS = ["ABCD"[n % 4] for n in range(N)]
NO_TEMPLATE = {"found": False, "chat_tokens": ["<|im_start|>"]}
FACTS = Facts("kernel: sda: I/O error on sector 7", (("disk",),), (("back up",), ("replace",))).as_gold()
ANALYSIS = "Cause - The disk fails. Remediation - 1. Back up the data. 2. Replace the disk."
LOOP = "Cause - The disk fails. Remediation - 1. Back up the data. 2. Back up the data."
COMMONPLACE = "Cause - A problem. Remediation - 1. Look at it. 2. Do something."
INPUTS = ["answer", "refuse"] * (N // 2)


def analysed(text, count):
    """40 analyses, of which `count` are `text`."""
    return generated(task="own", gold=[FACTS] * N, extracted=[None] * N, text=some(text, ANALYSIS, count))


def judged_inputs(extracted):
    texts = ["Cause - x. Remediation - 1. y." + "z" * n for n in range(N)]
    return generated(gold=INPUTS, text=texts, extracted=extracted, task="own")


def compared(first, second, lengths=(5, 9)):
    """40 pairs in both orders: the points of the first answer in each order; `lengths` of base and candidate."""
    base, candidate = lengths
    rows = [
        {"first": "phi3", "second": "base", "points": first, "first_sha256": "n", "second_sha256": "o",
         "first_chars": candidate, "second_chars": base, "raw": "x"},
        {"first": "base", "second": "phi3", "points": second, "first_sha256": "o", "second_sha256": "n",
         "first_chars": base, "second_chars": candidate, "raw": "x"},
    ]  # fmt: skip
    return generated(pair_verdicts=[rows] * N)


def shifted(extracted):
    """20 questions in two orders each."""
    variants = [{"item": f"q{n // 2}", "kind": "options", "n": n % 2 + 1, "shift": n % 2 + 1, "options": 4}
                for n in range(N)]  # fmt: skip
    return generated(variant=variants, extracted=extracted)


FIRING = {
    "non-finite-logprobs": chosen(logprobs=some([math.nan, -1.0, -2.0, -3.0], [-1.0, -2.0, -3.0, -4.0], 1)),
    "flat-options": chosen(logprobs=some([-1.4] * 4, [-1.0, -2.0, -3.0, -4.0], 20)),
    "begin-of-text": generated(begin_of_text={"expected": True, "found": 0}),
    "no-chat-template": generated(chat_template=NO_TEMPLATE),
    "partly-quantised": generated(quantized={"share": 0.3, "weights": 9000, "left": {"layers.*.experts": 6300}}),
    "lost-prompt-tokens": generated(prompt_tokens=some(39, 60, 1)),
    "empty-answers": generated(text=some(" \n", "A", 6)),
    "identical-answers": generated(text=some("Internal error", "A", 30), parsed=some(False, True, 30)),
    "garbled-text": generated(text=some("unaut0000000 access", "A", 6)),
    "token-limit": generated(hit_limit=some(True, False, 8)),
    "unfinished-thoughts": generated(
        text=some("", "A", 6), thought=some("Perhaps A. Wait", None, 6), hit_limit=some(True, False, 6)
    ),
    "thought-in-answer": generated(text=some("Okay, so the user asks which option fits. Perhaps A.", "A", 8)),
    "low-parse-rate": generated(parsed=some(False, True, 20)),
    "collapsed-answers": generated(extracted=some("A", "B", 39), correct=[gold == "A" for gold in LETTERS]),
    "position-bias": shifted(["ABCD"[n // 2 % 4] for n in range(N)]),
    "extractors-disagree": generated(text=[f"Option {letter} is the best option here." for letter in LETTERS]),
    "padded-token-counts": generated(new_tokens=[512] * N),
    "slow-quantised": generated(quant="gptq4", decode_tokens_per_s=100.0, base_decode_tokens_per_s=200.0),
    "refuses-all-or-none": judged_inputs(["refuse"] * N),
    "echoed-input": analysed("kernel: sda: I/O error on sector 7, sda", 8),
    "repeated-steps": analysed(LOOP, 8),
    "form-without-facts": analysed(COMMONPLACE, 30),
    "trained-on-items": generated(trained_on=some(True, False, 1)),
    "judge-prefers-first": compared(1.0, 1.0),
    "judge-prefers-longer": compared(1.0, 0.0),
    "judge-constant": compared(0.5, 0.5),
}
SILENT = {
    "non-finite-logprobs": chosen(logprobs=[[-1e30 + n, -2.0 - n, -3.0, -4.0] for n in range(N)]),
    "flat-options": chosen(logprobs=[[-1.4 - n, -1.4 - n, -2.0, -3.0] for n in range(N)]),
    "begin-of-text": generated(begin_of_text={"expected": False, "found": 0}),
    "no-chat-template": generated(chat_template=NO_TEMPLATE, raw=True),
    "partly-quantised": generated(quantized={"share": 0.95, "weights": 9000, "left": {"layers.*.router": 450}}),
    "lost-prompt-tokens": generated(prompt_tokens=[None] * N),
    "empty-answers": generated(text=some("", "A", 1)),
    "identical-answers": generated(text=["B"] * N),
    "garbled-text": generated(text=["log4shell, base64, T1059, sha256sum, CVE-2021-44228, 0x0000, port 8000"] * N),
    "token-limit": generated(hit_limit=some(True, False, 3)),
    "unfinished-thoughts": generated(thought=["Perhaps A. No, B."] * N, hit_limit=some(True, False, 6)),
    "thought-in-answer": generated(text=["Write `<think>` in front; the user needs to log in first."] * N),
    "low-parse-rate": generated(parsed=some(False, True, 10)),
    "collapsed-answers": generated(extracted=some("A", "B", 39), correct=[True] * N),
    "position-bias": shifted(LETTERS),
    "extractors-disagree": generated(text=[f"Both hold.\n\n{letter}" for letter in LETTERS]),
    "padded-token-counts": generated(new_tokens=[17] * N),
    "slow-quantised": generated(quant="gptq4", decode_tokens_per_s=190.0, base_decode_tokens_per_s=200.0),
    "refuses-all-or-none": judged_inputs(INPUTS),
    "echoed-input": analysed(ANALYSIS, N),
    "repeated-steps": analysed(LOOP, 1),
    "form-without-facts": analysed(COMMONPLACE, 10),
    "trained-on-items": generated(trained_on=[False] * N),
    "judge-prefers-first": compared(1.0, 0.0),
    "judge-prefers-longer": compared(1.0, 0.0, lengths=(5, 5)),
    "judge-constant": generated(pair_verdicts=[None] * N),
}


@pytest.mark.parametrize("sentinel", [sentinel.id for sentinel in SENTINELS])
def test_each_sentinel_fires_on_one_example_and_is_silent_on_another(sentinel):
    assert sentinel in fired(FIRING[sentinel])
    assert sentinel not in fired(SILENT[sentinel])


def test_an_engine_that_answers_one_at_a_time_is_not_held_against_a_batch():
    slow = {"quant": "q4_k_m", "decode_tokens_per_s": 100.0, "base_decode_tokens_per_s": 200.0}
    assert fired(generated(**slow, kernel="ggml CPU AVX2")) == []
    assert fired(generated(**slow, kernel="gptqmodel.TorchQuantLinear")) == ["slow-quantised"]


@pytest.mark.parametrize("sentinel", SENTINELS, ids=[sentinel.id for sentinel in SENTINELS])
def test_each_sentinel_is_documented_with_sentence_and_remedy(sentinel):
    assert f"| [`{sentinel.id}`](#{sentinel.id}) | {sentinel.says} |" in DOCS
    (section,) = re.findall(rf"^### {sentinel.id}\n(.*?)(?=^### |\Z)", DOCS, re.M | re.S)
    assert " ".join(section.split()) == sentinel.remedy


@pytest.mark.parametrize("change", [{"begin_of_text": {"expected": True, "found": 2}}, {"begin_of_text": None}])
def test_two_begin_of_text_tokens_are_one_too_many_and_none_known_is_none_missing(change):
    assert fired(generated(**change)) == (["begin-of-text"] if change["begin_of_text"] else [])


@pytest.mark.parametrize(
    ("name", "tokens", "fires"),
    [
        ("./Llama-3.2-1B-Instruct", [], True),
        ("hf:google/gemma-2-2b-it", [], True),
        ("./tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf", [], True),
        ("./SmolLM2-135M", ["<|im_start|>"], True),
        ("./SmolLM2-135M", [], False),
        ("hf:Qwen/Qwen3-8B-Base", ["<|im_start|>"], False),
        ("hf:google/gemma-3-4b-pt", ["<start_of_turn>"], False),
        ("./Security-Instruct/gpt2", [], False),
        ("hf:lmsys/fastchat-t5", [], True),
        ("hf:allenai/OLMo-2-0425-1B-SFT", [], True),
        ("./zephyr-7b-beta", [], True),
        ("./Qwen3-4B-Thinking-2507.gguf", [], True),
        ("./deepseek-distilled", ["<\uff5cUser\uff5c>"], True),
        ("./exaone-3.5-2.4b", ["[|assistant|]"], True),
        ("./itinerary-1b", [], False),
    ],
)
def test_a_chat_model_without_template_is_known_by_its_name_or_its_vocabulary(name, tokens, fires):
    evidence = generated(model=name, chat_template={"found": False, "chat_tokens": tokens})
    assert fired(evidence) == (["no-chat-template"] if fires else [])
    assert fired(replace(evidence, chat_template={"found": True, "chat_tokens": tokens})) == []


def test_constant_log_probabilities_are_no_answer_even_without_a_tie():
    assert fired(chosen(logprobs=[[-1.0, -2.0, -3.0, -4.0]] * N)) == ["flat-options"]


def test_a_portable_kernel_on_a_gpu_needs_no_base_to_be_named():
    on_gpu = generated(quant="gptq4", kernel="gptqmodel.TorchLinear", device="cuda:0")
    assert fired(on_gpu) == ["slow-quantised"]
    assert fired(replace(on_gpu, device="cpu")) == []
    assert fired(replace(on_gpu, kernel="gptqmodel.MarlinLinear")) == []


def test_benchmarks_that_are_not_known_here_and_scorers_that_need_more_are_not_read_twice():
    texts = [f"Option {letter} is the best option here." for letter in LETTERS]
    for task in ("my-own", "cti-taa", "cti-mcq-choice"):
        assert "extractors-disagree" not in fired(replace(generated(text=texts), task=task))


def test_a_thought_without_an_end_is_no_empty_answer_and_no_answer_at_its_limit():
    cut = generated(
        text=[""] * N, thought=["Perhaps A. Wait"] * N, hit_limit=[True] * N, parsed=[False] * N, new_tokens=[9] * N
    )
    assert fired(cut) == ["unfinished-thoughts", "low-parse-rate"]


def test_tokens_of_a_thought_are_not_taken_for_padding():
    assert fired(generated(thought=["Perhaps A, or rather B. " * 9] * N, new_tokens=[60] * N)) == []


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("Okay, the user is asking about lateral movement. Hmm.", True),
        ("Alright, let me think about what the log shows.", True),
        ("We need to answer with a letter. Perhaps C.", True),
        ("B, <my_thought>or is it A?", True),
        ("First, isolate the host. The user must change the password.", False),
        ("Okay. Block the address and reset the password.", False),
        ("The tag is written `<think>`.", False),
        ("<reset>", False),
    ],
)
def test_texts_that_look_like_thoughts(text, thought):
    assert is_thought(text) is thought


@pytest.mark.parametrize(
    ("text", "garbled"),
    [
        ("an unaut0000 user", True),
        ("soph0nstial", True),
        ("a \ufffd b", True),
        ("again and " * 40, True),
        (SENTENCE, False),
        (SENTENCE * 2, False),
        ("again and " * 10, False),
        ("oauth2client passw0rd T1000 win32 HKLM 1000000", False),
        ("\udc80", False),
    ],
)
def test_garbled_texts(text, garbled):
    assert is_garbled(text) is garbled


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.01, 0.99))
def test_sure_means_beyond_the_share_and_never_both(count, n, share):
    count = min(count, n)
    above, below = surely_above(count, n, share), surely_below(count, n, share)
    assert not (above and below)
    assert not above or count / n > share
    assert not below or count / n < share


rows = st.lists(
    st.tuples(
        st.text(), st.text() | st.none(), st.lists(st.floats() | st.none(), max_size=4) | st.none(),
        st.text() | st.none(), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 9) | st.none(),
        st.integers(0, 9) | st.none(), st.integers(0, 9) | st.none(),
    ),
    max_size=30,
)  # fmt: skip
NAMES = ("gold", "text", "logprobs", "extracted", "correct", "parsed", "hit_limit", "prompt_tokens", "prompt_words",
         "new_tokens")  # fmt: skip


@given(rows, st.booleans(), st.sampled_from(["cti-mcq", "seceval", "cti-vsp", "unknown"]))
def test_no_evidence_whatever_breaks_a_sentinel(rows, by_choice, task):
    columns = {name: [row[at] for row in rows] for at, name in enumerate(NAMES)}
    evidence = Evidence("b", "m", task, by_choice=by_choice, item=[str(n) for n in range(len(rows))], **columns)
    for finding in watch(evidence):
        assert finding.fact
        assert (finding.benchmark, finding.model) == ("b", "m")


@given(st.integers(0, N))
def test_more_empty_answers_never_silence_the_sentinel(count):
    now, then = ("empty-answers" in fired(generated(text=some("", "A", empty))) for empty in (count, min(count + 1, N)))
    assert not now or then
