"""w4a16, w8a8 and fp8: made where llmcompressor is, found where it is not."""

import json
from dataclasses import replace

import pytest

from pytest_slmsec.core.errors import MissingExtraError, QuantizeError
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.quantize import plan as planning
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.manifest import CACHE_SUBDIR
from pytest_slmsec.quantize.plan import plan_quantization
from pytest_slmsec.quantize.store import ensure_quantized

QUANTS = ("w4a16", "w8a8", "fp8")


@pytest.fixture
def without_llmcompressor(monkeypatch):
    whole = planning.package_version
    monkeypatch.setattr(planning, "package_version", lambda name: None if name == "llmcompressor" else whole(name))


def test_without_llmcompressor_the_environment_that_has_it_is_named(spec, settings, calibration, without_llmcompressor):
    with pytest.raises(MissingExtraError) as caught:
        ensure_quantized(spec("w4a16"), settings, calibration)
    message = str(caught.value)
    assert "Quantising tiny-w4a16 needs the package 'llmcompressor'" in message
    assert f"`tox run -e compress -- slmsec quantize {spec('w4a16').location} w4a16`" in message


def test_the_tox_line_holds_wherever_it_is_run(base, spec, settings, calibration, without_llmcompressor, monkeypatch):
    monkeypatch.chdir(base.parent)
    with pytest.raises(MissingExtraError, match=f"slmsec quantize {base.resolve()} w4a16`"):
        ensure_quantized(replace(spec("w4a16"), base="./tiny", location="tiny"), settings, calibration)
    with pytest.raises(MissingExtraError, match="slmsec quantize tinysec w4a16`"):
        ensure_quantized(parse_model("tinysec-w4a16", shipped_registry(), QUANTS), settings, calibration)


@pytest.fixture
def shelved(spec, settings, calibration, tmp_path, monkeypatch):
    """Puts a manifest on the shelf as some version of llmcompressor would have, made of the tiny model or another."""
    own = replace(settings, cache_dir=tmp_path)

    def put(version, **other):
        with monkeypatch.context() as patch:
            patch.setattr(planning, "package_version", lambda name: version)
            plan = plan_quantization(spec("w8a8"), own, calibration)
        directory = tmp_path / CACHE_SUBDIR / plan.directory_name
        directory.mkdir(parents=True)
        recipe = {"quant": "w8a8", "bits": 8, "group_size": -1, "package": f"llmcompressor {version}",
                  "desc_act": False, "sym": True}  # fmt: skip
        manifest = {"base_sha256": plan.base_sha256, "support_sha256": plan.support_sha256,
                    "calibration_sha256": plan.calibration.sha256, "recipe": recipe}  # fmt: skip
        (directory / "slmsec-manifest.json").write_text(json.dumps(manifest | other))
        return directory

    return own, put


def test_what_was_made_elsewhere_is_found_whichever_version_made_it(shelved, spec, calibration, without_llmcompressor):
    settings, put = shelved
    directory = put("0.14.0")
    assert ensure_quantized(spec("w8a8"), settings, calibration) == directory


def test_what_was_made_under_another_path_is_found(
    shelved, base, spec, calibration, without_llmcompressor, monkeypatch
):
    settings, put = shelved
    directory = put("0.14.0")
    monkeypatch.chdir(base)
    assert ensure_quantized(replace(spec("w8a8"), base=".", location="."), settings, calibration) == directory


def test_what_was_made_of_other_weights_is_not_taken(shelved, spec, calibration, without_llmcompressor):
    settings, put = shelved
    put("0.14.0", base_sha256="another")
    with pytest.raises(MissingExtraError):
        ensure_quantized(spec("w8a8"), settings, calibration)


def test_the_tox_line_holds_the_group_size_that_was_asked_for(spec, settings, calibration, without_llmcompressor):
    with pytest.raises(MissingExtraError, match="w4a16 --group-size 16`"):
        ensure_quantized(spec("w4a16"), settings, calibration, group_size=16)


def test_groups_that_do_not_divide_the_columns_are_refused(spec, settings, calibration):
    pytest.importorskip("llmcompressor")
    with pytest.raises(
        QuantizeError, match=r"q_proj has 64 columns, which groups of 128 do not divide: .*--group-size"
    ):
        ensure_quantized(spec("w4a16"), settings, calibration, group_size=128)


@pytest.mark.parametrize("quant", QUANTS)
def test_it_is_made_verified_and_answers(quantised, spec, settings, quant, tmp_path, monkeypatch):
    pytest.importorskip("llmcompressor")
    monkeypatch.chdir(tmp_path)
    directory = quantised(quant)
    made = json.loads((directory / "slmsec-manifest.json").read_text())
    assert made["recipe"]["package"] == f"llmcompressor {made['packages']['llmcompressor']}"
    assert made["recipe"]["group_size"] == (32 if quant == "w4a16" else -1)
    assert (made["calibration_lines"] > 0) == (quant != "fp8")
    assert 0 < made["verification"]["mean_kl_nats"] < 0.3
    assert make_engine(spec(quant), settings).info.kernel.startswith("compressed_tensors.")
    assert list(tmp_path.iterdir()) == []
    assert not list(directory.glob("recipe*"))
