"""How many begin-of-text tokens prompts have."""

import pytest
import tinymodel

from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.prompting.begin_of_text import begin_of_text
from pytest_slmsec.engines.prompting.prompts import Prompts

WITHOUT = tinymodel.CHATML.replace("{{ bos_token }}", "")


@pytest.mark.parametrize(
    ("template", "adds_bos", "expected", "found"),
    [
        (tinymodel.CHATML, True, True, 1),
        (tinymodel.CHATML, False, False, 1),
        (WITHOUT, True, True, 0),
        (WITHOUT, False, False, 0),
        (None, True, True, 1),
        (None, False, False, 0),
        ("{{ bos_token }}" + tinymodel.CHATML, True, True, 1),
    ],
)
def test_expected_by_the_tokenizer_and_found_in_prompts(tmp_path, template, adds_bos, expected, found):
    tinymodel.build_tokenizer(tmp_path, template=template, adds_bos=adds_bos)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert begin_of_text(Prompts(load_tokenizer(tmp_path))) == {"expected": expected, "found": found}


def test_a_tokenizer_without_such_a_token_has_nothing_to_count(tmp_path):
    tinymodel.build_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.bos_token = None
    tokenizer.chat_template = WITHOUT
    assert begin_of_text(Prompts(tokenizer)) is None


def test_a_template_that_refuses_the_probe_is_not_judged(tmp_path):
    refuses = "{% if messages[0].content == 'text' %}{{ raise_exception('no') }}{% endif %}"
    tinymodel.build_tokenizer(tmp_path, template=refuses + tinymodel.CHATML)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert begin_of_text(Prompts(load_tokenizer(tmp_path))) is None
