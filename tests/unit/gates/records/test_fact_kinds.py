"""Facts of another kind are refused by name, so that nothing that reads a stored run fails over them."""

import json

import pytest
from benchmark_runs import content, plain
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.fact_kinds import INNER, NEEDED, OPTIONAL
from pytest_slmsec.gates.records.saved_runs import read_json, runs_from_json

JUNK = st.sampled_from([None, True, -3, 1e300, float("inf"), "../../x\x1b[2J", [], [1], {}, {"a": 1}])


def stored():
    """Two models in one file, as plain data that a test may change."""
    runs = content(plain("1110" * 40), plain("0110" * 40, model="phi3-gptq4", quant="gptq4"))
    return json.loads(json.dumps({**runs, "datetime": "2026-11-26T10:00:00"}))


@pytest.mark.parametrize("key", sorted({*NEEDED, *OPTIONAL}))
def test_a_fact_of_another_kind_is_named(key):
    facts, columns = plain("10", **{key: object()})
    file = {**content((facts, columns))}
    with pytest.raises(CompareError, match=rf"run.json: cti-mcq on phi3 is damaged: {key} is not "):
        runs_from_json(file, "run.json")


def test_json_that_is_nested_without_end_is_one_sentence(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(CompareError, match="nested without end"):
        read_json(path)


@given(data=st.data())
def test_a_stored_run_with_anything_in_it_gives_no_traceback(data, tmp_path_factory):
    """Whatever stands in one place of a file, the card and the bundle are made or refused."""
    file, junk = stored(), data.draw(JUNK)
    facts = file["benchmarks"][0]["extra_info"]
    columns = file["slmsec"]["groups"][0]["items"]
    where = data.draw(st.sampled_from(["file", "section", "entry", "fact", "inner", "column", "cell"]))
    table = {"file": file, "section": file["slmsec"], "entry": file["benchmarks"][0], "fact": facts,
             "inner": facts.setdefault(data.draw(st.sampled_from(sorted(INNER))), {}), "column": columns,
             "cell": columns[data.draw(st.sampled_from(sorted(columns)))]}[where]  # fmt: skip
    names = sorted(table) if isinstance(table, dict) else [0]
    if names:
        table[data.draw(st.sampled_from(names))] = junk
    home = tmp_path_factory.mktemp("run")
    (home / "run.json").write_text(json.dumps(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(["card", "run.json"]) in (0, 2)
        assert main(["bundle", "run.json"]) in (0, 2)
    assert {path.name for path in home.iterdir()} <= {"run.json", "run.bundle"}
