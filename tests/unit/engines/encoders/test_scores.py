"""Each way to score an option, against a slow and plain computation of the same."""

import pytest
import tinyencoders
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, ElectraForPreTraining

from pytest_slmsec.core.items import Choose

QUESTION = "Which technique dumps credentials from LSASS memory?"
OPTIONS = ("Credential dumping", "Lateral tool transfer", "A scheduled task that starts PowerShell", "Phishing")


def ask(options=OPTIONS, question=QUESTION):
    return Choose("cti-mcq-00007", (), tuple("ABCD"[: len(options)]), question=question, options=tuple(options))


def scores(engine, request):
    (output,) = engine.run([request]).outputs
    assert output.error is None
    assert output.choice_logprobs is None
    return output.choice_scores


def slow_pll(directory, question, option):
    """One forward for each token of the option, which is masked together with what follows of its word."""
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModelForMaskedLM.from_pretrained(directory).eval()
    whole = tokenizer(f"{question} {option}", return_tensors="pt", return_offsets_mapping=True)
    words, ends = whole.word_ids(), whole["offset_mapping"][0, :, 1].tolist()
    total = 0.0
    for at in [at for at, end in enumerate(ends) if end > len(question)]:
        ids = whole["input_ids"].clone()
        for later in range(at, len(words)):
            if words[later] == words[at]:
                ids[0, later] = tokenizer.mask_token_id
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, at]
        total += logits.double().log_softmax(-1)[whole["input_ids"][0, at]].item()
    return total


@pytest.mark.parametrize("kind", tinyencoders.MASKED)
def test_a_masked_model_scores_each_token_of_the_option_alone(encoders, load, kind):
    expected = [slow_pll(encoders(kind), QUESTION, option) for option in OPTIONS]
    assert scores(load(encoders(kind)), ask()) == pytest.approx(expected, abs=1e-3)
    assert max(expected) < 0


def test_pieces_of_one_word_do_not_give_each_other_away(encoders, load):
    engine = load(encoders("bert"))
    (text,) = engine.scorer.read(QUESTION, ["spearphishing"])
    maskings = list(engine.scorer._maskings(0, text))
    assert len(maskings) == len(text.option) > 2
    hidden = [masking.row.count(engine.scorer.mask) for masking in maskings]
    assert hidden == list(range(len(text.option), 0, -1))


def test_only_the_option_counts_where_a_blank_belongs_to_its_first_token(encoders, load):
    for kind in ("bert", "albert"):
        engine = load(encoders(kind))
        (text,) = engine.scorer.read(QUESTION, ["Phishing"])
        spoken = engine.scorer._texts.tokenizer.decode([text.ids[at] for at in text.option])
        assert spoken.replace(" ", "") == "phishing"


def test_a_discriminator_scores_by_the_mean_log_odds_of_original_tokens(encoders, load):
    directory = encoders("electra")
    tokenizer, model = AutoTokenizer.from_pretrained(directory), ElectraForPreTraining.from_pretrained(directory).eval()
    expected = []
    for option in OPTIONS:
        whole = tokenizer(f"{QUESTION} {option}", return_tensors="pt", return_offsets_mapping=True)
        with torch.inference_mode():
            replaced = model(input_ids=whole["input_ids"]).logits[0].sigmoid()
        mine = whole["offset_mapping"][0, :, 1] > len(QUESTION)
        expected.append(((1 - replaced) / replaced).log()[mine].mean().item())
    assert scores(load(directory), ask()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("mode", "pool"), [
    ("pooling_mode_mean_tokens", lambda hidden: hidden.mean(0)),
    ("pooling_mode_cls_token", lambda hidden: hidden[0]),
])  # fmt: skip
def test_an_embedding_model_scores_by_the_cosine_with_the_question(encoders, load, copied, mode, pool):
    directory = copied("minilm")
    tinyencoders.write_pooling(directory, mode)
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()

    def vector(text):
        with torch.inference_mode():
            return pool(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0])

    expected = [torch.cosine_similarity(vector(QUESTION), vector(option), dim=0).item() for option in OPTIONS]
    engine = load(directory)
    assert scores(engine, ask()) == pytest.approx(expected, abs=1e-5)
    assert mode.split("_")[2] in engine.info.engine


@pytest.mark.parametrize("kind", tinyencoders.KINDS)
def test_scores_do_not_depend_on_the_batch(encoders, load, kind):
    requests = [ask(OPTIONS[: 2 + n % 3], "Which? " * (1 + n % 4)) for n in range(12)]
    alone = load(encoders(kind), batch_tokens=16)
    together = load(encoders(kind)).run(requests)
    for request, output in zip(requests, together.outputs, strict=True):
        assert output.choice_scores == pytest.approx(scores(alone, request), abs=1e-4)
    assert len(alone.plan(requests)) == len(requests)
    assert together.timing.prompt_tokens == sum(output.prompt_tokens for output in together.outputs) > 0


@pytest.mark.parametrize("kind", ["distilbert", "electra", "minilm"])
def test_an_option_without_text_has_no_score(encoders, load, kind):
    engine = load(encoders(kind))
    whole, gap = scores(engine, ask()), scores(engine, ask((*OPTIONS[:2], " ", OPTIONS[3])))
    assert gap[2] is None
    assert [*gap[:2], gap[3]] == pytest.approx([*whole[:2], whole[3]], abs=1e-4)


@pytest.mark.parametrize("kind", ["distilbert", "electra", "minilm"])
def test_texts_that_no_tokenizer_takes_do_not_break_the_batch(encoders, load, kind):
    outputs = load(encoders(kind)).run([ask(question="lone \ud800 surrogate"), ask(question="\x00 \u202e")]).outputs
    assert [output.error for output in outputs] == [None, None]


def test_the_record_names_the_method(encoders, load):
    info = load(encoders("distilbert")).info
    assert info.engine.endswith(", PLL-word-l2r")
    assert (info.context_tokens, info.kernel, info.dtype) == (64, "torch.nn.Linear", "float32")
    assert info.extra["kind"] == "masked language model"
    assert load(encoders("minilm")).info.context_tokens == 48
