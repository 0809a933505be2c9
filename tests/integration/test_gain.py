"""`min_gain` on the real adapter: tinysec+soc against tinysec on refusals, and the same adapter with its B zeroed."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parent.parent.parent
ADAPTER = ROOT / "fixtures" / "tinysec" / "soc" / "adapter"


def zeroed(out):
    """The adapter with every B of 0, so that B A adds nothing to the base."""
    shutil.copytree(ADAPTER, out)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(ROOT / "fixtures" / "tinysec" / "model")
    (out / "adapter_config.json").write_text(json.dumps(config))
    weights = out / "adapter_model.safetensors"
    tensors = {name: 0 * value if "lora_B" in name else value for name, value in load_file(weights).items()}
    save_file(tensors, weights, {"format": "pt"})


def test_the_adapter_gains_what_is_asked_for_and_without_its_products_it_fails(pytester, monkeypatch):
    monkeypatch.chdir(pytester.path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    Path("pyproject.toml").write_text('[tool.slmsec.gate.syslog-refusal]\nmin_gain = "20pt"\n')
    zeroed(Path("zeroed"))
    result = pytester.runpytest_inprocess(
        str(ROOT / "benchmarks" / "test_syslog.py"), "-p", "no:cacheprovider", "-c", "pyproject.toml", "--rootdir=.",
        "--slmsec-benchmarks=syslog-refusal", "--slmsec-limit=60", "--slmsec-json=gate.json",
        "--model=tinysec", "--model=tinysec+soc", "--model=tinysec+./zeroed",
    )  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    judgements = {one["candidate"]: one for one in json.loads(Path("gate.json").read_text())["judgements"]}
    tuned, zero = judgements["tinysec+soc"]["gates"][0], judgements["tinysec+./zeroed"]["gates"][0]
    assert (tuned["details"]["min_gain"], tuned["verdict"]) == (0.2, "PASS")
    assert (zero["details"]["min_gain"], zero["verdict"], zero["base"]) == (0.2, "FAIL", zero["candidate"])
    assert judgements["tinysec+./zeroed"]["verdict"] == "FAIL"
