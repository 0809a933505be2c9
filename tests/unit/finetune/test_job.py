"""Whole trainings of a tiny model: what is published, that it is the same each time, and what goes wrong."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tinymodel import build_tiny_llama

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.finetuned import FINETUNED
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.train import check_space, last_checkpoint
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def run(*args):
    return main(["finetune", *map(str, args)])


def record(folder):
    return json.loads((folder / FINETUNED).read_text("utf-8"))


def published(folder):
    """The bytes of all that a run depends on: everything but the log, which holds the time."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix not in (".jsonl", ".svg")}


def answers(name):
    """What a model answers to two questions."""
    engine = make_engine(parse_model(name, {}, tuple(QUANTIZERS)), EngineSettings())
    try:
        asked = [Generate(f"q-{n}", (Message("user", f"Which port is number {n}?"),), 24) for n in (3, 4)]
        return [output.text for output in engine.run(asked).outputs], engine.info
    finally:
        engine.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny):
    """An adapter of the tiny model, published."""
    folder = tmp_path_factory.mktemp("trained")
    rows = [{"question": f"Which port is number {n}?", "answer": "It is port 22."} for n in range(12)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.toml").write_text(
        f'base = "{tiny}"\n[data]\ntrain = "train.jsonl"\n[training]\nper_device_train_batch_size = 4\n'
        "learning_rate = 1e-2\nmax_steps = 40\n"
    )
    assert run(folder / "recipe.toml", "--out", folder / "out") == 0
    return folder


class TestPublished:
    def test_it_holds_no_pickle_and_no_path_of_this_machine(self, trained, tiny):
        out = trained / "out"
        assert not [path for path in out.rglob("*") if path.suffix in PICKLES]
        for path in out.iterdir():
            for place in (str(tiny), str(trained), str(Path.home()), "/tmp/"):
                assert place.encode() not in path.read_bytes(), path.name
        assert not list(trained.glob("out.checkpoints"))

    def test_it_has_the_template_and_tokenizer_of_the_base(self, trained, tiny):
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            assert (trained / "out" / name).read_bytes() == (tiny / name).read_bytes()

    def test_it_loads_over_its_base_and_has_learnt(self, trained, tiny):
        texts, info = answers(f"{tiny}+{trained / 'out'}")
        assert texts == ["It is port 22."] * 2
        assert info.extra["adapter"]["own_template"] is False
        assert answers(str(tiny))[0] != texts

    def test_the_record_says_what_it_depends_on(self, trained):
        facts = record(trained / "out")
        for key in ("recipe", "base", "tokenizer", "template", "rows", "weights"):
            assert len(facts[f"{key}_sha256"]) == 64
        assert {"torch", "transformers", "trl", "peft"} <= set(facts["packages"])
        assert (facts["seed"], facts["steps"], facts["rows"]["train"]) == (42, 40, 12)
        assert facts["loss"]["end"] < facts["loss"]["begin"] / 10
        assert facts["rows"]["dropped"] == {"count": 0, "first": []}

    def test_the_loss_is_drawn(self, trained):
        drawn = (trained / "out" / "loss.svg").read_text()
        assert drawn.startswith("<svg")
        assert "training: " in drawn
        log = [json.loads(line) for line in (trained / "out" / "training-log.jsonl").read_text().splitlines()]
        assert sum("loss" in row for row in log) == 40


def test_two_runs_give_the_same_bytes(recipe_file, tmp_path):
    path = recipe_file()
    assert run(path, "--out", tmp_path / "one") == run(path, "--out", tmp_path / "two") == 0
    assert published(tmp_path / "one") == published(tmp_path / "two")


def command(*args):
    return [sys.executable, "-m", "pytest_slmsec.cli.main", "finetune", *map(str, args)]


def interrupted(path, out, number, checkpoint):
    """A run that got a signal once it had a checkpoint: its exit status and what it said."""
    process = subprocess.Popen(command(path, "--out", out), stderr=subprocess.PIPE, text=True)
    work = out.with_name(f"{out.name}.checkpoints")
    while process.poll() is None and not (work / checkpoint / "trainer_state.json").is_file():
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate()[1]
    return process.returncode, said


LONG = "max_steps = 48\nsave_steps = 4"


def test_a_killed_run_and_one_after_ctrl_c_go_on_to_the_same_bytes(recipe_file, tmp_path, capsys):
    path = recipe_file(training=LONG)
    assert run(path, "--out", tmp_path / "whole") == 0
    killed, _ = interrupted(path, tmp_path / "killed", signal.SIGKILL, "checkpoint-4")
    assert killed == -signal.SIGKILL
    stopped, said = interrupted(path, tmp_path / "stopped", signal.SIGINT, "checkpoint-4")
    assert stopped == 130
    assert f"Go on with: slmsec finetune {path} --out {tmp_path / 'stopped'} --resume" in said
    assert "Traceback" not in said
    for name in ("killed", "stopped"):
        assert not (tmp_path / name).exists()
        assert run(path, "--out", tmp_path / name) == 2
        assert "go on with --resume" in capsys.readouterr().err
        assert run(path, "--out", tmp_path / name, "--resume") == 0
        assert "going on from checkpoint-" in capsys.readouterr().err
        assert published(tmp_path / name) == published(tmp_path / "whole")


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    for step, whole in ((4, True), (12, True), (16, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path).name == "checkpoint-12"


def test_checkpoints_of_another_recipe_are_not_gone_on_from(recipe_file, tmp_path, capsys):
    work = tmp_path / "out.checkpoints"
    work.mkdir()
    (work / "plan.json").write_text('"other"')
    assert run(recipe_file(), "--out", tmp_path / "out", "--resume") == 2
    assert "checkpoints of another recipe" in capsys.readouterr().err


def test_a_folder_that_is_there_is_not_overwritten(recipe_file, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert run(recipe_file(), "--out", tmp_path / "out") == 2
    assert "exists already, and nothing is overwritten" in capsys.readouterr().err


def test_qlora_trains_over_a_base_in_4_bits(recipe_file, tmp_path, tiny):
    wanted = 'bnb_4bit_quant_type = "nf4"\nbnb_4bit_use_double_quant = true\nbnb_4bit_compute_dtype = "float16"\n'
    path = recipe_file(f"[quantization]\n{wanted}", top='mode = "qlora"', training="max_steps = 20")
    assert run(path, "--out", tmp_path / "out") == 0
    facts = record(tmp_path / "out")
    assert facts["quantization"]["bnb_4bit_quant_type"] == "nf4"
    assert "float32 is used" in facts["notices"][0]
    assert facts["loss"]["end"] < facts["loss"]["begin"]
    assert answers(f"{tiny}+{tmp_path / 'out'}")[0] != answers(str(tiny))[0]


def test_all_weights_are_trained_into_a_model_of_its_own(recipe_file, tmp_path, tiny):
    path = recipe_file(top='mode = "sft"', training="max_steps = 30")
    assert run(path, "--out", tmp_path / "out") == 0
    assert answers(str(tmp_path / "out"))[0] == ["It is port 22."] * 2
    assert (tmp_path / "out" / "config.json").read_bytes() == (tiny / "config.json").read_bytes()
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix in PICKLES]


def test_rows_kept_back_are_evaluated_and_the_best_checkpoint_is_taken(recipe_file, tmp_path):
    path = recipe_file(data="eval_share = 0.25", training='max_steps = 8\neval_strategy = "steps"\neval_steps = 4\n'
                       'save_steps = 4\nload_best_model_at_end = true')  # fmt: skip
    assert run(path, "--out", tmp_path / "out") == 0
    facts = record(tmp_path / "out")
    assert (facts["rows"]["train"], facts["rows"]["eval"]) == (9, 3)
    assert facts["loss"]["eval_end"] is not None


def test_long_rows_are_counted_and_listed(recipe_file, tmp_path, capsys):
    long = {"messages": [{"role": "user", "content": "log " * 200}, {"role": "assistant", "content": "no"}]}
    rows = [{"question": f"Port {n}?", "answer": "yes"} for n in range(4)]
    path = recipe_file(rows=[rows[0], long, *rows[1:]], training="max_steps = 1\nmax_length = 64")
    assert run(path, "--out", tmp_path / "out") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 row longer than max_length and left out" in said
    assert record(tmp_path / "out")["rows"]["dropped"]["first"][0].startswith("train.jsonl, line 2 (")


def test_a_warm_up_that_never_ends_is_told(recipe_file, tmp_path, capsys):
    assert run(recipe_file(training="max_steps = 2\nwarmup_steps = 1000"), "--out", tmp_path / "out") == 0
    assert "the learning rate never arrives at 0.01" in " ".join(capsys.readouterr().err.split())
    assert "never arrives" in record(tmp_path / "out")["notices"][0]


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("tinysec-gptq4", "is quantised, and what is quantised cannot be trained: name tinysec"),
        ("soc", "has an adapter already"),
        ("openai:small", "is no model on this machine"),
        ("minilm-directory", "is an encoder"),
    ],
)
def test_a_base_that_cannot_be_trained_is_one_sentence(recipe_file, tmp_path, capsys, base, words):
    if base == "minilm-directory":
        from tinyencoders import build_tiny_encoder

        base = build_tiny_encoder(tmp_path / "encoder", "minilm")
    path = recipe_file()
    path.write_text(path.read_text().replace(path.read_text().splitlines()[0], f'base = "{base}"'))
    assert run(path, "--out", tmp_path / "out") == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_gguf_and_gptq_files_cannot_be_trained(recipe_file, tmp_path, capsys, tiny):
    gguf = tmp_path / "small.gguf"
    gguf.write_bytes(b"GGUF")
    path = recipe_file()
    own = path.read_text()
    path.write_text(own.replace(str(tiny), str(gguf)))
    assert run(path) == 2
    assert "is GGUF, which cannot be trained" in " ".join(capsys.readouterr().err.split())
    copy = tmp_path / "gptq"
    copy.mkdir()
    for file in tiny.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    path.write_text(own.replace(str(tiny), str(copy)))
    assert run(path) == 2
    assert "is quantised with gptq, which cannot be trained" in " ".join(capsys.readouterr().err.split())


def test_a_turn_that_ends_in_a_token_which_does_not_stop_the_model_is_told(recipe_file, tmp_path, capsys):
    base = build_tiny_llama(tmp_path / "base")
    path = recipe_file(training="max_steps = 1")
    path.write_text(path.read_text().replace(path.read_text().splitlines()[0], f'base = "{base}"'))
    assert run(path, "--out", tmp_path / "out") == 0
    assert "ends a turn with <|end|>, at which it does not stop" in " ".join(capsys.readouterr().err.split())


def test_layers_that_the_base_does_not_have_are_one_sentence(recipe_file, tmp_path, capsys):
    assert run(recipe_file('[lora]\ntarget_modules = ["c_attn"]\n'), "--out", tmp_path / "out") == 2
    assert "TRL refuses this training" in " ".join(capsys.readouterr().err.split())


def test_checkpoints_that_do_not_fit_on_the_disk_are_told_before_training(tmp_path):
    check_space(10, 10, tmp_path)
    with pytest.raises(FinetuneError, match=r"checkpoints need 2\.00 GiB and the disk has 1\.00 GiB"):
        check_space(2 << 30, 1 << 30, tmp_path)


def test_a_disk_that_is_full_while_saving_is_one_sentence(recipe_file, tmp_path):
    """A limit on the size of files stands for the disk: writing fails in the same places."""
    path = recipe_file(training="max_steps = 4\nsave_steps = 2")
    limit = 40_000
    done = subprocess.run(
        command(path, "--out", tmp_path / "out"), stderr=subprocess.PIPE, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, said
    assert "could not be saved" in said
    assert "--resume" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
