"""What the engine answers: the same alone and in company, within limits, and counted without padding."""

from dataclasses import replace

import pytest
import torch
from enginechecks import run_all
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.causal_lm.causal import CausalEngine, is_out_of_memory
from pytest_slmsec.engines.common.base import Capability
from pytest_slmsec.engines.decoding.greedy import StopStrings
from pytest_slmsec.tasks.ctibench import ONE_CWE

CONTEXT = 512


def ask(text, limit=12, stop=(), item_id=None):
    return Generate(item_id or text[:20], (Message("system", "Be brief."), Message("user", text)), limit, stop)


def pick(text, *choices):
    return Choose(text[:20], (Message("user", text),), choices)


MIXED = (
    *(ask("dump credentials " * n, limit=4 + 3 * n) for n in range(1, 9)),
    *(pick("which letter " * n, "A", "B", "C", "D") for n in range(1, 7)),
    *(pick("which weakness " * n, "A buffer overflow", "A buffer", "CWE-79", "T1003") for n in range(1, 5)),
)


def test_answers_do_not_depend_on_what_else_is_in_the_batch(engine):
    alone = [engine.run([request]).outputs[0] for request in MIXED]
    together = run_all(engine, MIXED)
    for one, other in zip(alone, together, strict=True):
        assert (one.text, one.new_tokens, one.hit_limit, one.prompt_tokens) == (
            other.text,
            other.new_tokens,
            other.hit_limit,
            other.prompt_tokens,
        )
        if one.choice_logprobs:
            assert other.choice_logprobs == pytest.approx(one.choice_logprobs, abs=1e-4)


def test_choices_have_the_log_probability_of_the_plain_model(engine):
    request = MIXED[-1]
    (encoded,) = engine.prompts.encode([request])
    expected = []
    for choice in encoded.choices:
        ids = torch.tensor([[*encoded.prompt, *choice]])
        with torch.inference_mode():
            logprobs = engine.network.model(input_ids=ids).logits[0].double().log_softmax(-1)
        start = len(encoded.prompt)
        expected.append(sum(logprobs[start + n - 1, token].item() for n, token in enumerate(choice)))
    assert engine.run([request]).outputs[0].choice_logprobs == pytest.approx(expected, abs=1e-4)


def test_generation_is_that_of_the_library(engine):
    request = ask("map the flaw to its CWE id", limit=20)
    (encoded,) = engine.prompts.encode([request])
    with torch.inference_mode():
        whole = engine.network.model.generate(torch.tensor([encoded.prompt]), max_new_tokens=20, do_sample=False)
    new = whole[0, len(encoded.prompt) :]
    output = engine.run([request]).outputs[0]
    assert output.text == engine._tokenizer.decode(new, skip_special_tokens=True)
    assert output.new_tokens == len(new)


def test_one_batch_holds_rows_with_limits_of_their_own(engine):
    batch = engine.run([ask("a", 1), ask("a longer prompt than that", 30), ask("b", 7)])
    assert [output.new_tokens for output in batch.outputs] == [1, 30, 7]
    assert [output.hit_limit for output in batch.outputs] == [True, True, True]
    assert batch.timing.new_tokens == 38
    assert batch.timing.prompt_tokens == sum(output.prompt_tokens for output in batch.outputs)
    assert batch.timing.prefill_s + batch.timing.decode_s <= batch.timing.seconds
    assert batch.timing.time_to_first_token_s <= batch.timing.seconds


def test_a_stop_string_ends_one_row_and_is_not_part_of_its_text(engine):
    free = engine.run([ask("phishing mail", 30)]).outputs[0]
    stop = free.text[5:8]
    stopped, other = engine.run([ask("phishing mail", 30, (stop,)), ask("phishing mail", 30)]).outputs
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.new_tokens < free.new_tokens
    assert not stopped.hit_limit
    assert other.text == free.text


@pytest.mark.parametrize("named_by", ["generation_config", "config", "tokenizer"])
def test_generation_ends_at_every_end_of_text_id_that_is_named_anywhere(engine, tiny, settings, load, named_by):
    own = load(tiny)
    (encoded,) = own.prompts.encode([ask("a failed logon", 8)])
    third = own.network.model.generate(torch.tensor([encoded.prompt]), max_new_tokens=3, do_sample=False)[0, -1].item()
    model, tokenizer = own.network.model, own._tokenizer
    if named_by == "tokenizer":
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(third)
    else:
        getattr(model, named_by).eos_token_id = [1, third]
    output = CausalEngine(model, tokenizer, own.info, settings).run([ask("a failed logon", 8)]).outputs[0]
    assert output.new_tokens == 3
    assert not output.hit_limit
    assert output.text == engine.run([ask("a failed logon", 2)]).outputs[0].text


def test_a_prompt_that_does_not_fit_is_an_error_of_its_own(engine):
    long = ask("word " * 600, item_id="cti-mcq-00007")
    error, fine = engine.run([long, ask("short", 3)]).outputs
    length = engine.prompts.encode([long])[0].prompt_tokens
    assert f"cti-mcq-00007: the prompt has {length} tokens" in error.error
    assert f"context holds {CONTEXT}" in error.error
    assert error.text is None
    assert fine.error is None


def test_a_limit_beyond_the_context_is_capped_to_what_fits(engine):
    request = ask("word " * 80, limit=2048)
    output = engine.run([request]).outputs[0]
    assert output.prompt_tokens + output.new_tokens == CONTEXT
    assert output.hit_limit


def test_an_empty_choice_and_an_unfit_one_are_errors_of_their_own(engine):
    outputs = run_all(engine, [pick("first", "A", ""), pick("second", "A", "word " * 600), pick("third", "A", "B")])
    assert "first: choice 2 is empty" in outputs[0].error
    assert "second: the prompt has" in outputs[1].error
    assert outputs[2].error is None


def test_texts_that_no_tokenizer_takes_do_not_break_the_window(engine):
    outputs = run_all(engine, [ask("lone surrogate \ud800"), ask("\x00\x1b[31m \u202eright to left"), ask("plain")])
    assert [output.error for output in outputs] == [None, None, None]


def test_logits_that_are_not_finite_are_an_error_of_the_item(tiny, load):
    engine = load(tiny)
    with torch.no_grad():
        engine.network.model.model.norm.weight.fill_(float("nan"))
    outputs = engine.run([ask("one"), pick("two", "A", "B"), pick("three", "A buffer", "CWE-79")]).outputs
    assert all("not finite" in output.error for output in outputs)


class Small:
    """A model whose memory holds `rows` sequences at a time."""

    def __init__(self, model, rows):
        self._model, self._rows = model, rows

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, input_ids, **options):
        if len(input_ids) > self._rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self._model(input_ids=input_ids, **options)


@pytest.fixture
def cramped(tiny, load):
    def make(rows):
        engine = load(tiny, packing=False)
        engine.network.model = Small(engine.network.model, rows)
        return engine

    return make


def test_out_of_memory_halves_the_batch_and_the_record_says_so(engine, cramped):
    requests = [ask(f"question {n}", 5) for n in range(8)]
    batch = cramped(3).run(requests)
    assert [output.text for output in batch.outputs] == [output.text for output in engine.run(requests).outputs]
    assert batch.notes == (
        "out of memory: batch of 8 halved to 4",
        "out of memory: batch of 4 halved to 2",
        "out of memory: batch of 4 halved to 2",
    )


def test_packed_work_is_halved_as_well(engine, tiny, load):
    cramped = load(tiny)
    decode = cramped.packed.model.decode

    def small(ids, positions):
        if ids.shape[0] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return decode(ids, positions)

    cramped.packed.model.decode = small
    requests = [ask(f"question {n}", 5) for n in range(8)]
    batch = cramped.run(requests)
    assert [output.text for output in batch.outputs] == [output.text for output in engine.run(requests).outputs]
    assert batch.notes[0] == "out of memory: batch of 8 halved to 4"


def test_a_single_request_that_does_not_fit_into_memory_is_named(cramped):
    with pytest.raises(EngineError, match=r"question 1: .* prompt tokens do not fit into the memory"):
        cramped(0).run([ask("question 1")])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_a_plan_holds_every_index_once_and_keeps_kinds_apart(engine):
    plan = engine.plan(MIXED)
    assert sorted(index for batch in plan for index in batch) == list(range(len(MIXED)))
    assert all(len({type(MIXED[index]) for index in batch}) == 1 for batch in plan)
    assert plan == engine.plan(list(MIXED))


def test_a_smaller_budget_makes_more_batches_and_the_same_answers(engine, settings):
    frugal = CausalEngine(engine.network.model, engine._tokenizer, engine.info, replace(settings, batch_tokens=200))
    assert len(frugal.plan(MIXED)) > len(engine.plan(MIXED))
    for one, other in zip(run_all(engine, MIXED), run_all(frugal, MIXED), strict=True):
        assert one.text == other.text


def test_the_record_names_what_was_loaded(engine, tiny):
    info = engine.info
    assert info.engine.startswith("transformers ")
    assert (info.device, info.dtype, info.kernel) == ("cpu", "float32", "torch.nn.Linear")
    assert info.model_bytes == (tiny / "model.safetensors").stat().st_size
    assert info.context_tokens == CONTEXT
    assert engine.capabilities & Capability.CHOICE
    assert {len(info.weights_sha256), len(info.tokenizer_sha256), len(info.template_sha256)} == {64}


def test_a_dtype_in_the_name_is_the_dtype_of_the_run(tiny, load):
    engine = load(tiny, "bf16")
    assert engine.info.dtype == "bfloat16"
    assert engine.run([ask("anything", 2)]).outputs[0].error is None


class Letters:
    """A tokenizer of single characters."""

    @staticmethod
    def decode(tokens, skip_special_tokens):
        return "".join(map(chr, tokens))


@pytest.mark.parametrize(
    ("text", "ends_after", "kept"),
    [
        ("It is CWE-79.\nOr CWE-80.", "It is CWE-79.", "It is CWE-79"),
        ("CWE-7", None, "CWE-7"),  # the number may still grow
        ("no weakness here", None, "no weakness here"),
    ],
)
def test_an_answer_ends_once_it_is_complete(text, ends_after, kept):
    stopper = StopStrings(Letters, (), ONE_CWE)
    seen = next((n for n in range(1, len(text) + 1) if stopper([ord(c) for c in text[:n]])), None)
    assert seen == (ends_after and len(ends_after))
    assert stopper.cut(text if seen is None else text[:seen]) == kept


@given(st.text("abc", min_size=1, max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), min_size=1))
def test_a_stop_string_is_seen_with_its_last_token(text, stops):
    stopper = StopStrings(Letters, stops)
    seen = next((n for n in range(1, len(text) + 1) if stopper([ord(c) for c in text[:n]])), None)
    expected = next((n for n in range(1, len(text) + 1) if any(stop in text[:n] for stop in stops)), None)
    assert seen == expected
    assert stopper.cut(text) == min((text.split(stop)[0] for stop in stops), key=len)
