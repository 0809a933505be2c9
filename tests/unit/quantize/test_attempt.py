"""What a library says when it cannot quantise."""

import logging
import warnings
from pathlib import Path

import pytest

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe

BASE, RECIPE = Path("models/phi3"), Recipe("nf4", 4, 64, "bitsandbytes 0.49.0")


def test_a_failure_is_one_sentence_that_names_base_quantisation_and_package():
    with pytest.raises(QuantizeError) as caught, attempt(BASE, RECIPE):
        raise ValueError("no kernel for this CPU.\n  a second line\n")
    assert str(caught.value) == (
        f"{BASE} could not be quantised to nf4 by bitsandbytes 0.49.0: ValueError: no kernel for this CPU."
    )
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_interruption_is_no_failure():
    with pytest.raises(KeyboardInterrupt), attempt(BASE, RECIPE):
        raise KeyboardInterrupt


def test_nothing_is_printed_logged_or_warned_inside(capsys, caplog):
    with warnings.catch_warnings(record=True) as warned, attempt(BASE, RECIPE):
        print("layer 1 of 32")
        logging.getLogger("library").warning("slow path")
        warnings.warn("deprecated", stacklevel=1)
    print("after")
    assert capsys.readouterr().out == "after\n"
    assert not caplog.records
    assert not warned
