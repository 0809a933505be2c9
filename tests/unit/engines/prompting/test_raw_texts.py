"""Raw texts become the tokens that lm-evaluation-harness feeds and scores, and give its log-probabilities."""

import pytest
import tinymodel
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.decoding.greedy import RawStopStrings
from pytest_slmsec.engines.prompting.raw_texts import RawTexts

QUESTION = "Question: Which log line shows a failed logon?\nAnswer:"
PAIRS = [
    (QUESTION, " the second line"),
    (QUESTION, " the first"),
    (QUESTION + " \n ", "CWE-79"),
    ("", "A"),
    ("", "<s>A buffer overflow"),
    ("<s>Answer:", " B"),
    ("The analyst thanked the intern because the intern", " had found the flaw."),
    ("The analyst thanked the intern because the analyst", " had found the flaw."),
    ("CWE", "-79"),
]
TEXTS = st.text("ab <s>/\n:", max_size=12)


def raw(context, *choices, contexts=()):
    return Choose("q", (Message("user", context),), choices, raw=True, contexts=contexts)


def whole(encoded, number=0):
    """The sequence of one choice, parted where its scored tokens begin."""
    sequence = [*encoded.prompt, *encoded.choices[number]]
    return sequence[: -encoded.counted[number]], sequence[-encoded.counted[number] :]


@pytest.fixture(scope="session", params=[True, False], ids=["adds-bos", "adds-none"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tinymodel.build_tokenizer(folder, adds_bos=request.param)
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def harness(engine):
    """lm-evaluation-harness on the model of `engine`, one request a batch."""
    models = pytest.importorskip("lm_eval.models.huggingface", reason="lm-eval is not installed")
    return models.HFLM(pretrained=engine.network.model, tokenizer=engine._tokenizer, batch_size=1)


def asked(kind, *arguments):
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, pair, 0, ("t", 0, 1)) for pair in arguments]


def test_context_and_continuation_are_split_as_the_harness_splits_them(engine, harness):
    for context, continuation in PAIRS:
        (encoded,) = engine.prompts.encode([raw(context, continuation)])
        if context:
            expected = harness._encode_pair(context, continuation)
        else:
            ids = harness.tok_encode(continuation, add_special_tokens=False)
            expected = (ids[:1], ids[1:]) if ids[0] == harness.prefix_token_id else ([harness.prefix_token_id], ids)
        assert whole(encoded) == tuple(map(list, expected)), context


def test_log_probabilities_and_greedy_flags_are_those_of_the_harness(engine, harness):
    expected = harness.loglikelihood(asked("loglikelihood", *PAIRS), disable_tqdm=True)
    outputs = engine.run([raw(context, choice) for context, choice in PAIRS]).outputs
    for output, (logprob, greedy) in zip(outputs, expected, strict=True):
        assert output.choice_logprobs == (pytest.approx(logprob, abs=1e-4),)
        assert output.choice_greedy == (greedy,)


def test_choices_together_have_the_log_probabilities_they_have_alone(engine):
    contexts, choices = tuple(c for c, _ in PAIRS), tuple(c for _, c in PAIRS)
    together = engine.run([raw("", *choices, contexts=contexts)]).outputs[0]
    alone = [output for pair in PAIRS for output in engine.run([raw(*pair)]).outputs]
    assert together.choice_logprobs == pytest.approx(
        [value for one in alone for value in one.choice_logprobs], abs=1e-4
    )
    assert together.choice_greedy == tuple(flag for one in alone for flag in one.choice_greedy)


def test_the_most_probable_token_is_the_greedy_choice(engine):
    text = engine.run([Generate("q", (Message("user", QUESTION),), 1, raw=True)]).outputs[0].text
    output = engine.run([raw(QUESTION, text, " zebra")]).outputs[0]
    assert output.choice_greedy == (True, False)


def test_contexts_without_a_common_token_are_texts_of_their_own(tmp_path, load):
    """A tokenizer without begin-of-text token, and a blank at the very beginning of the sentence."""
    own = load(tinymodel.build_tiny_llama(tmp_path / "model", adds_bos=False))
    contexts = ("Analysts", "Which interns")
    (encoded,) = own.prompts.encode([raw("", " read logs", " read logs", contexts=contexts)])
    assert encoded.prompt == ()
    assert [tree.counted for tree in encoded.trees()] == [(count,) for count in encoded.counted]
    output = own.run([raw("", " read logs", " read logs", contexts=contexts)]).outputs[0]
    for number, context in enumerate(contexts):
        ids = own._tokenizer(context + " read logs")["input_ids"]
        before = len(own._tokenizer(context)["input_ids"])
        with torch.inference_mode():
            logprobs = own.network.model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected = sum(logprobs[at - 1, ids[at]].item() for at in range(before, len(ids)))
        assert output.choice_logprobs[number] == pytest.approx(expected, abs=1e-4)


@given(contexts=st.lists(TEXTS, min_size=1, max_size=4), continuation=st.text("ab <s>/\n:", min_size=1, max_size=6))
def test_any_texts_keep_their_tokens_when_they_share_a_beginning(tokenizer, contexts, continuation):
    made = RawTexts(tokenizer)
    (together,) = made.encode([raw("", *[continuation] * len(contexts), contexts=tuple(contexts))])
    alone = made.encode([raw(context, continuation) for context in contexts])
    if together.error:
        assert any(one.error for one in alone)
        return
    for number, one in enumerate(alone):
        assert whole(together, number) == whole(one)
    assert all(tree.prompt for tree in together.trees())


def test_an_empty_continuation_is_an_error_of_its_own(engine):
    empty, fine = engine.run([raw(QUESTION, " yes", ""), raw(QUESTION, " yes")]).outputs
    assert "choice 2 is empty" in empty.error
    assert fine.error is None


def test_generation_from_raw_text_is_that_of_the_harness(engine, harness):
    free = engine.run([Generate("q", (Message("user", QUESTION),), 24, raw=True)]).outputs[0]
    stops = ("zebra", free.text[9:11], free.text[4:6])
    expected = harness.generate_until(
        asked("generate_until", (QUESTION, {"until": list(stops), "do_sample": False, "max_gen_toks": 24})),
        disable_tqdm=True,
    )
    output = engine.run([Generate("q", (Message("user", QUESTION),), 24, stops, raw=True)]).outputs[0]
    assert [output.text] == expected
    assert not output.hit_limit
    assert "<|" not in engine._tokenizer.decode(engine.prompts.encode([raw(QUESTION, " a")])[0].prompt)


class Letters:
    """A tokenizer of single characters whose token `E` ends a text and whose token `S` is special."""

    eos_token = "E"

    @staticmethod
    def decode(tokens, skip_special_tokens):
        text = "".join(map(chr, tokens))
        return text.replace("S", "").replace("E", "") if skip_special_tokens else text


def test_a_special_token_stops_where_its_text_is_a_stop_string():
    stop = RawStopStrings(Letters, ("S",))
    assert stop(list(map(ord, "abS")))
    assert stop(list(map(ord, "abE")))
    assert not stop(list(map(ord, "ab")))


@given(st.text("abE", max_size=20), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_an_answer_is_cut_as_the_harness_cuts_it(text, strings):
    utils = pytest.importorskip("lm_eval.models.utils", reason="lm-eval is not installed")
    until = utils.handle_stop_sequences(list(strings), eos="E")
    assert RawStopStrings(Letters, tuple(strings)).cut(text) == utils.postprocess_generated_text(text, until, None)
