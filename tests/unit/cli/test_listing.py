"""What `slmsec list` knows of models, and of what is on disk."""

import json
import re

import pytest

from pytest_slmsec.cli import listing
from pytest_slmsec.cli.listing import here, is_downloaded, list_lines, model_lines, models_made
from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.core.models import ModelSpec

OWN = {
    "ours": {"location": "/nowhere/ours", "licence": "internal", "context_tokens": 4096, "chat_template": False},
    "locked": {"location": "hf:org/locked@abc", "gated": True},
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path / "cache"))
    shelf = tmp_path / "cache" / listing.CACHE_SUBDIR

    def put(base, quant, text=None):
        directory = shelf / f"{base}-{quant}-0123456789ab"
        directory.mkdir(parents=True)
        manifest = {"base": base, "recipe": {"quant": quant}, "weight_bytes": 3 << 20}
        (directory / "slmsec-manifest.json").write_text(json.dumps(manifest) if text is None else text)
        return shelf

    return put


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_lines_fit_80_columns_whatever_is_made(shelf):
    for quant in ("gptq2", "gptq3", "gptq4", "gptq8", "int8wo", "int8dyn", "q4_k_m", "q4_k_s", "w4a16", "onnx-int4"):
        shelf("tinysec", quant)
    lines = list_lines({**shipped_registry(), **OWN})
    assert max(map(len, lines)) <= 80
    at = next(index for index, line in enumerate(lines) if line.startswith("  tinysec "))
    assert lines[at + 1].startswith("      made: gptq2 gptq3 gptq4")


def test_own_models_stand_in_the_table_with_their_facts():
    lines = list_lines(OWN)
    assert "  ours      4,096  internal  no    missing" in lines
    assert "  locked        ?  unknown*  ?     -" in lines
    assert "  * to be accepted on its hub page first" in lines


def test_every_row_is_as_wide_as_its_table(shelf):
    lines = list_lines(shipped_registry())
    models = lines[1 : lines.index("  * to be accepted on its hub page first")]
    assert {line.rindex("  ") for line in models} == {models[0].rindex("  ")}
    benchmarks = lines[lines.index("benchmarks (items published):") + 1 :]
    assert len({re.search(r"\d  \S", line).start() for line in benchmarks}) == 1


def test_what_is_not_pinned_is_said():
    pinned = {"fixed": {"location": f"hf:org/fixed@{'0a' * 20}"}}
    said = "  not pinned to a commit of the hub: "
    assert f"{said}locked" in list_lines({**OWN, **pinned})
    assert not any(line.startswith(said) for line in list_lines(pinned))
    assert "  revision   abc, not pinned to a commit; a run records the one it takes" in model_lines("locked", OWN)
    assert f"  revision   {'0a' * 20}" in model_lines("fixed", pinned)


def test_every_quantisation_names_its_package_and_how_it_is_had(monkeypatch):
    monkeypatch.setattr(listing, "package_version", lambda name: "1.2.3" if name == "torchao" else None)
    text = "\n".join(list_lines(OWN))
    assert "int8wo int8dyn\n      torchao 1.2.3" in text
    assert "int8 nf4\n      bitsandbytes is not installed: pip install 'pytest-slmsec[bitsandbytes]'" in text
    assert "w4a16 w8a8 fp8\n      llmcompressor is not installed; in a clone of pytest-slmsec:\n" in text
    assert "\n      tox run -e compress -- slmsec quantize NAME w4a16\n" in text


def test_one_model_in_full(shelf):
    shelf("phi3", "nf4")
    text = "\n".join(model_lines("phi3", shipped_registry()))
    assert "hf:microsoft/Phi-3-mini-4k-instruct" in text
    assert "4,096 tokens" in text
    assert "3.0 MiB in" in text
    served = "\n".join(model_lines("grok-3-mini", shipped_registry()))
    assert "grok-3-mini at https://api.x.ai/v1" in served


def test_a_manifest_that_cannot_be_read_is_passed_over(shelf):
    shelf("phi3", "nf4")
    shelf("phi3", "gptq4", text="{")
    where = shelf("phi3", "gptq8", text='{"base": "phi3"}')
    assert [(one.base, one.quant) for one in models_made(where)] == [("phi3", "nf4")]


def test_a_download_counts_in_its_revision_and_with_its_weights(downloads):
    snapshot = downloads / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    newest, pinned = (ModelSpec("m", "m", location="org/name", revision=revision) for revision in (None, "abc"))
    assert not is_downloaded(newest)
    (snapshot / "config.json").write_text("{}")
    assert here(newest) == "-"
    (snapshot / "model.safetensors").write_bytes(b"")
    assert is_downloaded(newest)
    assert is_downloaded(pinned)
    assert not is_downloaded(ModelSpec("m", "m", location="org/name", revision="def"))
    assert not is_downloaded(ModelSpec("m", "m", location="org/name", file="m-q4_k_m.gguf"))


def test_a_branch_is_the_commit_that_it_stood_for_when_it_was_fetched(downloads):
    model = downloads / "models--org--name"
    (model / "refs" / "refs" / "pr").mkdir(parents=True)
    (model / "refs" / "refs" / "pr" / "1").write_text("abc")
    converted = ModelSpec("m", "m", location="org/name", revision="refs/pr/1")
    assert not is_downloaded(converted)
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    assert is_downloaded(converted)
