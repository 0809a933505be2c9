"""llama.cpp answers as transformers does, whatever was asked before, and says what it is."""

import random
from dataclasses import replace

import numpy as np
import pytest
from enginechecks import run_all

from pytest_slmsec.core.errors import EngineError, MissingExtraError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.common.base import Capability
from pytest_slmsec.engines.llamacpp import library
from pytest_slmsec.engines.llamacpp.context import PREFIX
from pytest_slmsec.engines.llamacpp.engine import MOST_SLOTS

pytest.importorskip("llama_cpp")

COMMON = "Which technique of the following list does the log of the mail host show? Answer with a letter. "
CHOICES = ("A", "B", "A buffer overflow", "A buffer", "CWE-79 or CWE-89")


def ask(text, limit=12, stop=(), shared=0, raw=False):
    return Generate(text[:20], (Message("user", text),), limit, stop, raw=raw, shared_chars=shared)


def pick(text, *choices, shared=0):
    return Choose(text[:20], (Message("user", text),), choices, shared_chars=shared)


MIXED = (
    *(replace(ask("dump credentials " * n, limit=12), temperature=1.0) for n in range(1, 4)),
    *(ask("dump credentials " * n, limit=4 + 3 * n) for n in range(1, 6)),
    *(ask(COMMON + "log " * n, limit=6, shared=len(COMMON)) for n in range(1, 6)),
    *(pick(COMMON + "entry " * n, *CHOICES, shared=len(COMMON)) for n in range(1, 6)),
    *(pick("which letter " * n, "A", "B", "C", "D") for n in range(1, 4)),
)


def test_answers_are_those_of_transformers(both):
    ours, theirs = (run_all(engine, MIXED) for engine in both)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.text, one.new_tokens, one.prompt_tokens, one.hit_limit, one.error, one.choice_greedy) == (
            other.text, other.new_tokens, other.prompt_tokens, other.hit_limit, other.error, other.choice_greedy,
        )  # fmt: skip
        assert other.choice_logprobs == pytest.approx(one.choice_logprobs, abs=2e-4)


def test_raw_requests_with_contexts_of_their_own_are_too(both):
    request = Choose("w", (), (" runs a service", " runs a macro"), raw=True, contexts=("The host", "The laptop"))
    texts = Choose("t", (), ("alpha", "beta"), raw=True, contexts=("", "a "))
    for asked in (request, texts):
        one, other = (engine.run([asked]).outputs[0] for engine in both)
        assert other.choice_logprobs == pytest.approx(one.choice_logprobs, abs=2e-4)
        assert other.prompt_tokens == one.prompt_tokens


def test_a_long_text_is_fed_in_pieces(both):
    tokens = random.Random(0).choices(range(7, 384), k=1300)
    hf, llama = both
    found = llama.logits(tokens)
    assert found.shape == (1300, 384)
    assert np.allclose(found, hf.logits(tokens).numpy(), atol=2e-3)
    assert np.allclose(llama.logits(tokens, 1200), found[1200:], atol=1e-4)


def test_no_bit_depends_on_what_was_asked_before(both):
    _, llama = both
    alone = [llama.run([request]).outputs[0] for request in MIXED]
    assert run_all(llama, MIXED) == alone
    order = random.Random(1).sample(range(len(MIXED)), len(MIXED))
    shuffled = dict(zip(order, run_all(llama, [MIXED[at] for at in order]), strict=True))
    assert [shuffled[at] for at in range(len(MIXED))] == alone


def test_what_a_benchmark_shares_is_computed_once(both, monkeypatch):
    _, llama = both
    llama._context.reserve(64)
    llama._context.keep(PREFIX, 0)  # nothing of another test is left
    fed = []
    decode = llama._context._decode

    def counting(parts, *args, **kwargs):
        fed.extend(token for _, tokens in parts for token in tokens)
        return decode(parts, *args, **kwargs)

    monkeypatch.setattr(llama._context, "_decode", counting)
    requests = [pick(COMMON + "entry " * n, "A", "B", shared=len(COMMON)) for n in (1, 2, 3)]
    outputs = run_all(llama, requests)
    (shared,) = {one.shared for one in llama._encode(requests)}
    assert shared > 16
    assert len(fed) == shared + sum(output.prompt_tokens - shared for output in outputs)


def test_answers_in_slots_feed_no_token_more_than_alone(directory, load, monkeypatch):
    """Ten answers of different lengths in three slots: texts are those of one at a time, and so are the tokens fed."""
    llama = load(directory, dtype="fp32", max_batch=3)
    calls = []
    decode = llama._context._decode

    def counting(parts, *args, **kwargs):
        calls.append([len(tokens) for _, tokens in parts])
        return decode(parts, *args, **kwargs)

    asked = [ask(f"{n} dump credentials " * n, limit=3 + n % 4) for n in range(1, 11)]
    alone = [llama.run([request]).outputs[0] for request in asked]
    monkeypatch.setattr(llama._context, "_decode", counting)
    batch = llama.run(asked)
    assert list(batch.outputs) == alone
    assert sum(map(sum, calls)) == sum(one.prompt_tokens + one.new_tokens - 1 for one in alone)
    steps = sum(one.new_tokens - 1 for one in alone)
    assert len(calls) < len(asked) + steps / 2


def test_company_changes_no_number_of_slots(directory, load):
    """Last bits of k-quants follow the number of slots that a context is made for: one answer gets them all."""
    alone, together = load(directory, dtype="fp32"), load(directory, dtype="fp32")
    alone.run([ask("dump credentials")])
    run_all(together, [ask(f"dump credentials {n}") for n in range(20)])
    assert alone._context.slots == together._context.slots == MOST_SLOTS


def test_branches_of_a_question_are_as_if_each_were_fed_alone(both):
    _, llama = both
    context, prompt = llama._context, list(range(7, 60))
    rows = [[70, 71, 72], [70], [80, 81], [90, 91, 92, 93], [95], [96, 97]]
    context.reserve(128)
    context.keep(1, 0)
    context.feed(1, prompt)
    together = context.branches(1, rows)
    assert context.tokens[1] == prompt
    for row, found in zip(rows, together, strict=True):
        context.keep(1, len(prompt))
        assert np.allclose(context.logits(1, row), found, atol=1e-3)


def test_short_memory_is_fewer_slots_and_a_note(directory, load, monkeypatch):
    """Memory for two sequences: one for a shared prefix, one slot."""
    llama = load(directory, dtype="fp32")
    each = 512 * llama._model.kv_values * 4
    monkeypatch.setattr("pytest_slmsec.engines.llamacpp.context.free_memory", lambda: each * 4)
    batch = llama.run([ask("one", 4), ask("two", 4), ask("three", 4)])
    assert llama._context.slots == 1
    assert batch.notes == (
        "llama.cpp answers 1 at a time: memory is short for the keys and values of more (512 tokens each)",
    )
    assert [output.new_tokens for output in batch.outputs] == [4, 4, 4]


def test_a_context_that_llama_cpp_refuses_is_tried_with_half_the_slots(directory, load, monkeypatch):
    llama = load(directory, dtype="fp32")
    made, wanted = llama._context._created, []

    def small(size, slots):
        wanted.append(slots)
        return slots <= 2 and made(size, slots)

    monkeypatch.setattr(llama._context, "_created", small)
    assert all(output.error is None for output in llama.run([ask(f"n {n}", 2) for n in range(8)]).outputs)
    assert wanted == [16, 8, 4, 2]
    monkeypatch.setattr(llama._context, "_created", lambda size, slots: False)
    with pytest.raises(EngineError, match=r"A context of \d+ tokens does not fit into the memory here"):
        llama.run([ask("word " * 150, 400)])


def test_limits_stop_strings_and_ends(both):
    _, llama = both
    free = llama.run([ask("phishing mail", 30)]).outputs[0]
    stop = free.text[5:8]
    stopped = llama.run([ask("phishing mail", 30, (stop,))]).outputs[0]
    assert stopped.text == free.text[: free.text.index(stop)]
    assert not stopped.hit_limit
    assert llama.run([ask("phishing mail", 3)]).outputs[0].new_tokens == 3
    capped = llama.run([ask("word " * 300, limit=5000)]).outputs[0]
    assert capped.hit_limit
    assert capped.prompt_tokens + capped.new_tokens == 2048


def test_a_request_that_cannot_be_answered_is_an_error_of_its_own(both):
    _, llama = both
    long, empty, fine = llama.run([ask("word " * 3000), pick("pick", "A", ""), ask("short", 2)]).outputs
    assert "context holds 2048; nothing was cut" in long.error
    assert "choice 2 is empty" in empty.error
    assert fine.error is None


def test_logits_that_are_not_finite_are_an_error_of_the_item(both, monkeypatch):
    _, llama = both
    logits = llama._context._logits
    monkeypatch.setattr(llama._context, "_logits", lambda n: logits(n) * np.float32("nan"))
    outputs = llama.run([ask("one"), pick("two", "A", "B"), pick("three", "A buffer", "CWE-79")]).outputs
    assert all("not finite" in output.error for output in outputs)


def test_time_is_parted_into_prefill_and_decode(both):
    _, llama = both
    timing = llama.run([ask("one", 8), ask("two", 8)]).timing
    assert timing.prefill_s > 0
    assert timing.decode_s > 0
    assert timing.prefill_s + timing.decode_s <= timing.seconds
    assert timing.time_to_first_token_s < timing.seconds
    assert (timing.items, timing.new_tokens) == (2, 16)


def test_the_record_names_what_was_loaded(both, directory):
    info = both[1].info
    assert info.engine.startswith("llama-cpp-python ")
    assert info.kernel.startswith("ggml CPU ")
    assert (info.device, info.dtype, info.context_tokens) == ("cpu", "all F32, keys and values f32", 2048)
    assert info.model_bytes == (directory / "model.gguf").stat().st_size
    assert info.extra["system_info"].startswith("CPU : ")
    assert info.extra["tokens_by"] == "the Hugging Face tokenizer"
    assert info.extra["quantization"]["tensor_types"] == {"F32": 20}
    assert both[1].capabilities & Capability.CHOICE
    assert (info.tokenizer_sha256, info.template_sha256) == (
        both[0].info.tokenizer_sha256,
        both[0].info.template_sha256,
    )


@pytest.mark.parametrize(("dtype", "name"), [("auto", "f16"), ("bf16", "bf16"), ("fp16", "f16")])
def test_keys_and_values_are_held_as_asked(both, directory, load, dtype, name):
    engine = load(directory, dtype=dtype)
    assert engine.info.dtype == f"all F32, keys and values {name}"
    request = pick("which letter", "A", "B")
    exact, found = (engine.run([request]).outputs[0].choice_logprobs for engine in (both[1], engine))
    assert found != exact
    assert found == pytest.approx(exact, abs=0.1)


def test_a_file_by_itself_reads_and_answers_the_same(both, own):
    assert own.info.extra["tokens_by"] == "the GGUF file"
    assert own.prompts.encode(MIXED[:5]) == both[1].prompts.encode(MIXED[:5])
    request = pick("which weakness", *CHOICES)
    assert own.run([request]).outputs == both[1].run([request]).outputs


def test_a_dtype_or_a_device_that_it_has_not_is_refused(directory, load):
    with pytest.raises(UsageError, match="as they are stored: leave out -bf16"):
        load(directory, "bf16")
    if not library.import_llama().llama_supports_gpu_offload():
        with pytest.raises(UsageError, match=r"cuda:0: llama\.cpp as it is installed here computes on the CPU"):
            load(directory, device="cuda:0")


def test_without_the_package_the_pip_line_is_named(monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    for wanted in (library.import_llama.__wrapped__, library.import_gguf):
        with pytest.raises(MissingExtraError, match=r"pip install 'pytest-slmsec\[gguf\]'"):
            wanted()


def test_loading_and_answering_print_nothing(directory, load, capfd):
    engine = load(directory)
    engine.run([ask("anything", 2)])
    engine.close()
    assert capfd.readouterr() == ("", "")
