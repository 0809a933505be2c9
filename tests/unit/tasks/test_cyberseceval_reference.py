"""The published files: they need the variable SLMSEC_DATA."""

import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_slmsec.tasks.cyberseceval import MITRE, TASKS

DATA = os.environ.get("SLMSEC_DATA", "")
pytestmark = pytest.mark.skipif(not Path(DATA, "purplellama").is_dir(), reason="SLMSEC_DATA names no published files")
BY_NAME = {task.name: task for task in TASKS}


def test_750_harmless_requests():
    items = BY_NAME["mitre-frr"].load(Path(DATA))
    assert len(items) == 750
    assert items[-1].id == "mitre-frr-00750"


def test_700_translations_100_a_language():
    items = BY_NAME["mitre-frr-multilingual"].load(Path(DATA))
    assert Counter(item.meta["language"] for item in items) == dict.fromkeys(
        ("Portuguese", "Spanish", "Italian", "German", "French", "Hindi", "Thai"), 100
    )


@pytest.mark.skipif(not Path(DATA, MITRE).is_file(), reason="the file of mitre is not there")
def test_1000_requests_in_ten_categories():
    items = BY_NAME["mitre"].load(Path(DATA))
    assert len(items) == 1000
    assert sorted(Counter(item.meta["category"] for item in items).values()) == [100] * 10
