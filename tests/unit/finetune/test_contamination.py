"""Training rows that hold items of benchmarks: refused, or kept in the record, so that the gate gives ERROR."""

import json
from datetime import date

import contamination_table
import pytest
from benchmark_runs import plain
from benchmark_runs import run as stored_run

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import FinetuneError
from pytest_slmsec.core.items import TRAINED_OVERLAP, Item, Message
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.engines.common.finetuned import FINETUNED
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.finetune.contamination import compare, datasets
from pytest_slmsec.finetune.rows import TrainingRow
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import find

CLEAN = "A quiet afternoon in the garden with seven ducks, one pond, and nothing at all to report."


@pytest.fixture
def item():
    return find(tasks()["cti-rcm"], "fixture", True).items[4]


def row(text, line=1):
    return TrainingRow(f"rows.jsonl, line {line}", (Message("user", text), Message("assistant", "x")))


def test_rows_without_an_item_are_not_refused():
    found = compare([row(CLEAN)], None, {})
    found.refuse()
    assert found.record()["found"] == {}
    assert "cti-rcm@fixture" in found.record()["checked"]


def test_a_row_with_an_item_is_refused_by_row_item_and_words(item):
    with pytest.raises(FinetuneError) as error:
        compare([row(CLEAN), row(f"Please explain. {item.prompt}", 2)], None, {}).refuse()
    text = str(error.value)
    assert text.startswith("rows.jsonl, line 2 holds the item cti-rcm-0000")
    assert "--allow-overlap" in text
    shared = text.split("'")[1].split()
    assert len(shared) == 8
    assert " ".join(shared) in " ".join("".join(c if c.isalnum() else " " for c in item.prompt.lower()).split())


def test_an_answer_with_an_item_in_it_is_found_too(item):
    talk = (Message("user", "Give me a question."), Message("assistant", item.prompt))
    assert "cti-rcm" in compare([TrainingRow("rows.jsonl, line 1", talk)], None, {}).record()["found"]


def test_published_items_count_where_their_files_are_named(tmp_path):
    folder = tmp_path / "cti-bench" / "data"
    folder.mkdir(parents=True)
    ours = find(tasks()["cti-rcm"], "fixture", True)
    published = (ours.root / "cti-bench/data/cti-rcm.tsv").read_text("utf-8").splitlines()
    secret = "Seven lanterns float over the harbour while the clerk counts every crate twice"
    cells = published[1].split("\t")
    head = published[0].split("\t")
    for name in ("Description", "Prompt"):
        cells[head.index(name)] = secret
    (folder / "cti-rcm.tsv").write_text("\n".join([published[0], "\t".join(cells)]) + "\n", "utf-8")
    assert compare([row(secret)], None, {}).record()["found"] == {}
    found = compare([row(secret)], str(tmp_path), {})
    assert found.record()["found"] == {"cti-rcm": 1}
    assert "cti-rcm" not in found.unchecked
    assert "cti-vsp" in found.unchecked


def test_benchmarks_that_could_not_be_compared_are_listed():
    found = compare([row(CLEAN)], None, {})
    assert {"cti-mcq", "secqa-v1"} <= set(found.record()["unchecked"])
    assert "--data DIR" in found.notice()


def test_every_benchmark_of_our_own_is_compared():
    without = {name for name, task in tasks().items() if task.load is None}
    readable = {dataset.task.name for dataset in datasets(None)[0]}
    assert len(readable) >= 60
    assert not readable & without


def test_questions_of_ones_own_are_compared_as_well():
    own = {"qa-mine": [Item("qa-mine-1", CLEAN, "none")]}
    assert compare([row(CLEAN)], None, {}, own).record()["found"] == {"qa-mine": 1}


def test_what_the_base_was_trained_on_is_kept():
    base = {"overlap": {"found": {"cti-vsp": 3}}}
    assert compare([row(CLEAN)], None, base).record()["found"] == {"cti-vsp": 3}


class TestAllowed:
    @pytest.fixture
    def recipe(self, recipe_file, item):
        rows = [{"question": item.prompt, "answer": item.gold}, {"question": CLEAN, "answer": "none"}]
        return recipe_file(rows=rows, training="max_steps = 1").resolve()

    def test_it_is_refused_before_training_and_kept_where_allowed(self, recipe, tmp_path, tiny, capsys):
        out = tmp_path / "out"
        assert main(["finetune", str(recipe), "--out", str(out)]) == 2
        assert "holds the item cti-rcm-" in capsys.readouterr().err
        assert main(["finetune", str(recipe), "--out", str(out), "--allow-overlap"]) == 0
        found = json.loads((out / FINETUNED).read_text())["overlap"]["found"]
        assert found["cti-rcm"] >= 1
        engine = make_engine(parse_model(f"{tiny}+{out}", {}, tuple(QUANTIZERS)), EngineSettings())
        engine.close()
        assert engine.info.extra[TRAINED_OVERLAP] == found

    @staticmethod
    def stored(model, **overlap):
        engine = plain("1")[0]["engine"]
        extra = {**engine["extra"], TRAINED_OVERLAP: overlap} if overlap else engine["extra"]
        return stored_run("1" * 400 + "0" * 100, model=model, engine={**engine, "extra": extra})

    @pytest.mark.parametrize("stamped", ["base", "candidate"])
    def test_the_gate_gives_error_for_that_benchmark_and_never_pass(self, stamped):
        runs = [self.stored(side, **({"cti-mcq": 12} if side == stamped else {})) for side in ("base", "candidate")]
        found = judge([runs[0]], [runs[1]], read_config({}, "[gate]"), date(2026, 11, 21))
        assert found.verdict is Verdict.ERROR
        (gate,) = [gate for gate in found.gates if gate.benchmark == "cti-mcq"]
        assert f"{stamped} was trained on 12 items of cti-mcq" in gate.result.reasons[0]

    def test_another_benchmark_is_judged(self):
        runs = [self.stored(side, **{"cti-rcm": 12}) for side in ("base", "candidate")]
        found = judge([runs[0]], [runs[1]], read_config({}, "[gate]"), date(2026, 11, 21))
        assert found.verdict is Verdict.PASS


def test_the_table_of_what_is_found():
    eight, thirteen = contamination_table.measure(rows=300, items=200)
    assert (eight.clean, thirteen.clean) == (0, 0)
    assert eight.found[0] == thirteen.found[0] == 200
    assert eight.found[1] > thirteen.found[1]
    assert 200 > eight.found[1] > eight.found[2] > thirteen.found[2]
