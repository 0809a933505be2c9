"""``--slmsec-report``: the page about a run, at its end."""

from reportpages import parsed, tables, unpacked


def page(runs):
    return parsed((runs.path / "out" / "report.html").read_text("utf-8"))


def test_a_run_with_a_gate_writes_its_page(runs):
    runs.suite(200)
    runs.loses(every=5)
    args = ("--model=alpha", "--model=alpha-gptq4", "--slmsec-report=out/report.html")
    result = runs.run(*args, "--benchmark-json=base.json", subprocess=True)
    result.stdout.fnmatch_lines(["slmsec report: out/report.html, * KiB"])
    root = page(runs)
    assert "FAIL alpha-gptq4" in next(root.all("header")).text
    index, rows = unpacked(root, "index"), unpacked(root, "block-0")
    first = index["order"][0]
    assert index["changes"][0][first] == "l"
    prompt, gold, (before, after) = rows[0]
    assert (prompt.startswith("ports "), gold, before[0], after[0]) == (True, "yes", " yes", "no")
    assert index["commands"] == ["pytest test_ports.py --model=alpha --model=alpha-gptq4 -k"]
    assert tables(root)["Seconds of an item"][1][:2] == ["ports", "alpha"]

    stored = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-report=out/report.html", "-q")
    assert stored.ret == 0
    index = unpacked(page(runs), "index")
    assert [index["models"][n] for n in index["candidates"][0]] == ["alpha-gptq4 (baseline)", "alpha-gptq4"]


def test_a_run_that_measured_nothing_whole_says_so(runs):
    runs.suite(8)
    result = runs.run("--model=alpha", "--slmsec-report=out/report.html", "-k", "ports-00001")
    result.stdout.fnmatch_lines(["slmsec report: no page was written: no benchmark was measured whole"])
    assert not (runs.path / "out" / "report.html").exists()
