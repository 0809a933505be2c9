"""Items that come in clusters count for less, live and stored."""

import json

from gate_runs import BOTH, gates


def clustered(runs, size, per_passage):
    runs.suite(size)
    path = runs.path / "test_ports.py"
    meta = f'meta={{"cluster": f"passage {{(n - 1) // {per_passage}}}"}}'
    path.write_text(path.read_text().replace('"yes") for', f'"yes", {meta}) for'))


def lose_whole_passages(runs, per_passage):
    """The candidate loses every answer of every twentieth passage."""
    conftest = runs.path / "conftest.py"
    text = conftest.read_text()
    assert "number % self.every == 0" in text
    conftest.write_text(text.replace("number % self.every == 0", f"(number - 1) // {per_passage} % self.every == 0"))


def accuracy(path):
    (judgement,) = json.loads(path.read_text())["judgements"]
    return judgement["gates"][0]


def test_items_of_one_passage_count_for_less(runs):
    clustered(runs, 600, 6)
    lose_whole_passages(runs, 6)
    runs.loses(20)
    result = runs.run(*BOTH, "--slmsec-json=gate.json")
    found = accuracy(runs.path / "gate.json")
    assert found["details"]["clusters"] == 100
    assert found["details"]["cluster_se_ratio"] > 1.8
    assert found["details"]["n_effective"] < 200
    assert found["verdict"] == "INCONCLUSIVE"  # as independent items they FAIL, see below
    said = " ".join(result.stdout.str().split())
    assert "The 600 items come in 100 clusters and count as" in said
    runs.suite(600)
    runs.run(*BOTH, "--slmsec-json=plain.json")
    assert accuracy(runs.path / "plain.json")["verdict"] == "FAIL"


def test_clusters_are_stored_with_the_answers(runs):
    from pytest_slmsec.cli.main import main

    clustered(runs, 600, 6)
    lose_whole_passages(runs, 6)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    runs.loses(20)
    runs.run("--model=alpha-gptq4", "--benchmark-json=candidate.json")
    items = json.loads((runs.path / "candidate.json").read_text())["slmsec"]["groups"][0]["items"]
    assert items["cluster"][:7] == ["passage 0"] * 6 + ["passage 1"]
    main(["compare", "base.json", "candidate.json", "--json=again.json"])
    assert accuracy(runs.path / "again.json")["details"]["clusters"] == 100


def test_a_record_without_clusters_is_judged_as_before(runs):
    runs.suite(150)
    result = runs.run(*BOTH, "--slmsec-json=gate.json", "--benchmark-json=run.json")
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert "clusters" not in accuracy(runs.path / "gate.json")["details"]
    groups = json.loads((runs.path / "run.json").read_text())["slmsec"]["groups"]
    assert all("cluster" not in group["items"] for group in groups)
