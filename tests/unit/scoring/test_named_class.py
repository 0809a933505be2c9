"""The one class that an answer names."""

import pytest

from pytest_slmsec.scoring.named_class import named_class

CLASSES = ("normal", "abnormal")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**Abnormal**.", "abnormal"),
        ("\\boxed{\\text{abnormal}}", "abnormal"),
        ('{"label": "abnormal", "reason": "it is not normal"}', "abnormal"),
        ("<think>normal?</think>abnormal", "abnormal"),
        ("The log is abnormal, not normal.", "abnormal"),
        ("Normal? No. It is abnormal.", "abnormal"),
        ("It is normal rather than abnormal.", "normal"),
        ("I don't think it is abnormal.", None),
        ("I do not believe that it is normal.", None),
        ("It is hardly normal.", None),
        ("Is it normal?", None),
        ("normal or abnormal", None),
        ("Neither normal nor abnormal", None),
    ],
)
def test_the_class_that_is_stated_and_none_that_is_denied_or_asked_for(text, said):
    assert named_class(text, CLASSES) == said
