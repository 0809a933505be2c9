"""Reasoning models as GGUF files: with the tokenizer beside the file, and with the file's own."""

import pytest
from recitingmodel import SWITCH, chain, reciting_model

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.quantize.load_model import make_engine

QUESTION = (Message("user", "Which option fits?"),)


@pytest.mark.parametrize("alone", [False, True], ids=["tokenizer beside it", "tokenizer in the file"])
def test_thoughts_have_a_limit_of_their_own_and_letters_stand_behind_a_closed_one(converted, tmp_path, alone):
    follows = chain("<|assistant|>", "<think>", "hmm", "wait", "A", "</think>", "B", "x", "y")
    model = reciting_model(tmp_path / "model", {**follows, "\n\n": "B"}, SWITCH)
    directory = converted(model)
    place = directory / "model.gguf" if alone else directory
    spec = ModelSpec("m", "m", source="path", location=str(place))
    engine = make_engine(spec, EngineSettings(cache_dir=tmp_path / "cache", offline=True))
    thought, choice = engine.run([Generate("q", QUESTION, 2), Choose("q", QUESTION, ("A", "B"))]).outputs
    assert (thought.text.replace(" ", ""), thought.hit_limit) == ("Bx", True)
    assert (thought.thought.replace(" ", ""), thought.thought_tokens, thought.new_tokens) == ("hmmwaitA", 5, 7)
    assert choice.choice_logprobs[1] > choice.choice_logprobs[0] + 3
    engine.close()
