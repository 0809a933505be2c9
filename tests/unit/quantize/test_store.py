"""The shelf of quantised models: of two that want the same one, one makes it and the other waits."""

from dataclasses import replace

import pytest
from filelock import FileLock

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.quantize.manifest import CACHE_SUBDIR
from pytest_slmsec.quantize.plan import plan_quantization
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.quantize.store import ensure_quantized

pytest.importorskip("torchao")


@pytest.fixture
def said(settings, tmp_path):
    """Settings with a cache of their own, and all that is reported."""
    reported = []
    return replace(settings, cache_dir=tmp_path, progress=lambda what, fraction: reported.append(what)), reported


def test_who_is_alone_does_not_wait(said, spec, calibration):
    settings, reported = said
    ensure_quantized(spec("int8wo"), settings, calibration)
    assert reported
    assert not [what for what in reported if "waiting" in what]


def test_who_comes_second_says_that_it_waits(said, spec, calibration):
    settings, reported = said
    target = settings.cache_dir / CACHE_SUBDIR / plan_quantization(spec("int8wo"), settings, calibration).directory_name
    target.parent.mkdir()
    other = FileLock(target.parent / f".{target.name}.lock")
    other.acquire()

    def progress(what, fraction):
        reported.append(what)
        other.release()

    assert ensure_quantized(spec("int8wo"), replace(settings, progress=progress), calibration) == target
    assert reported[0] == "tiny-int8wo: waiting for its turn"
    assert len(reported) > 1


def test_directories_are_named_after_the_base_however_it_was_written(spec, base, settings, calibration, monkeypatch):
    monkeypatch.chdir(base)

    def named(spec):
        return plan_quantization(spec, settings, calibration).directory_name

    assert named(spec("int8wo")).startswith("tiny-int8wo-")
    assert named(replace(spec("int8wo"), base=".", location=".")) == named(spec("int8wo"))
    assert named(parse_model("tinysec-int8wo", shipped_registry(), QUANTIZERS)).startswith("tinysec-int8wo-")
