"""Models that cannot be loaded, beside one that can: one clear error each, and the good one is measured in full."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatchcase
from importlib.util import find_spec

import pytest
import tinymodel
import torch
from faultserver import FaultServer
from ports import suite
from transformers import T5Config, T5ForConditionalGeneration

LIMIT = 6
GGUF_IS_READ = find_spec("llama_cpp") is not None and find_spec("gguf") is not None
WHY = {
    "m/truncated": "m/truncated/model.safetensors is damaged: it has * bytes where its header says *: fetch or make it",
    "m/header": "m/header/model.safetensors is no readable safetensors file (its header is damaged): fetch or make it",
    "m/unknown": "m/unknown: its architecture 'frobnicator' is not known to transformers *: use a newer transformers",
    "m/t5": "m/t5: its architecture 't5' has an encoder and a decoder, which are not evaluated here: name a causal",
    "m/no-json": "m/no-json/config.json is no readable JSON (*line 1 column *): fetch or write it again.",
    "m/vocabulary": "m/vocabulary: the tokenizer has ids up to 4*, but the model embeds only 384 tokens: *",
    "m/no-weights": "m/no-weights has no [*].safetensors weights (*): complete the directory, fetch the model again",
    "m/shard": "m/shard lacks model-00001-of-00002.safetensors (1 of 2 weight files *): fetch the model again.",
    "m/pickle": "m/pickle has its weights only as a pickle (pytorch_model.bin), which can run code *: convert it to",
    "m/cut.gguf": "m/cut.gguf is cut short or damaged: *: fetch or make it again."
    if GGUF_IS_READ
    else "A GGUF model needs the package '*', which is not installed: run `pip install",
    "openai:down": "openai:down: 127.0.0.1:*/v1 cannot be reached: *; start the server, or give its address with",
    "page": "page: 127.0.0.1:*/v1 answered HTML instead of JSON*",
}
"""What is said of each broken model: what is wrong, where, and what to do."""


def edit_config(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder with the good model and all that are broken on disk."""
    home = tmp_path_factory.mktemp("run")
    good = tinymodel.build_tiny_llama(home / "m" / "good")
    names = [name.removeprefix("m/") for name in WHY if name.startswith("m/") and not name.endswith(".gguf")]
    copies = {name: shutil.copytree(good, home / "m" / name) for name in names}
    weights = {name: path / "model.safetensors" for name, path in copies.items()}
    weights["truncated"].write_bytes(weights["truncated"].read_bytes()[:-1000])
    weights["header"].write_bytes(b"<!DOCTYPE html>" * 50)
    edit_config(copies["unknown"], model_type="frobnicator")
    small = T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5ForConditionalGeneration(small).save_pretrained(copies["t5"])
    (copies["no-json"] / "config.json").write_text('{"model_type": "llama",')
    tinymodel.build_tokenizer(copies["vocabulary"], vocab=420)
    weights["no-weights"].unlink()
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    weights["shard"].rename(copies["shard"] / shards[1])
    index = {"weight_map": {"model.norm.weight": shards[0], "lm_head": shards[1]}}
    (copies["shard"] / "model.safetensors.index.json").write_text(json.dumps(index))
    weights["pickle"].unlink()
    torch.save({}, copies["pickle"] / "pytorch_model.bin")
    (home / "m" / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x01" * 20)
    (home / "test_ports.py").write_text(suite(40))
    return home


@pytest.fixture(scope="module")
def ran(broken):
    """One run: (exit code, output, record). The good model stands amid the broken ones."""
    names = list(WHY)
    names.insert(len(names) // 2, "m/good")
    with FaultServer() as gone:
        closed = gone.url
    with FaultServer(fault=lambda path, body, n: "html") as page:
        entry = f'[models.page]\nlocation = "openai:page"\nbase_url = "{page.url}"\n'
        (broken / "slmsec.toml").write_text(entry)
        env = {**os.environ, "SLMSEC_CACHE": str(broken / "cache"), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
        env.pop("SLMSEC_DATA", None)
        command = [sys.executable, "-m", "pytest", "test_ports.py", "--rootdir=.", "-q", "-p", "no:cacheprovider"]
        command += [f"--slmsec-limit={LIMIT}", f"--slmsec-base-url={closed}", "--benchmark-json=out.json"]
        command += [f"--model={name}" for name in names]
        done = subprocess.run(command, cwd=broken, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, json.loads((broken / "out.json").read_text())


def errors(output):
    """The text below the heading of each error, in order."""
    section = re.search(r"^=+ ERRORS =+\n(.*?)^-+ benchmark", output, re.S | re.M)[1]
    return [text.strip() for text in re.split(r"^_+ ERROR at setup of \S+ _+\n", section, flags=re.M)[1:]]


def outcomes(output):
    """pytest's closing counts."""
    line = next(line for line in reversed(output.splitlines()) if re.search(r" in [\d.]+s", line))
    return Counter({word: int(n) for n, word in re.findall(r"(\d+) (\w+)", line)})


def test_each_is_one_clear_error(ran):
    _, output, _ = ran
    said = errors(output)
    assert len(said) == len(WHY)
    for text, why in zip(said, WHY.values(), strict=True):
        assert fnmatchcase(text, f"{why}*"), text
        assert text.endswith(".")
        assert "\n" not in text
    assert "Traceback" not in output


def test_the_good_model_is_scored_in_full(ran):
    code, output, record = ran
    counts = outcomes(output)
    assert counts["passed"] + counts["wrong"] == LIMIT
    assert re.search(rf"^ports@{LIMIT} +{LIMIT} .* [\d.]+ % ", output, re.M)
    assert {group["model"]: len(group["items"]["item"]) for group in record["slmsec"]["groups"]} == {"m/good": LIMIT}
    names = {entry["name"] for entry in record["benchmarks"]}
    assert {f"ports@{LIMIT}:{metric}[m/good]" for metric in ("error_rate", "latency", "memory")} <= names
    assert code == pytest.ExitCode.TESTS_FAILED


def test_the_other_items_of_a_broken_model_are_skipped(ran):
    counts = outcomes(ran[1])
    assert (counts["errors"], counts["skipped"], counts["failed"]) == (len(WHY), len(WHY) * (LIMIT - 1), 0)
