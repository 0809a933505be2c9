"""Whatever is selected, each model loads once and nothing more is asked than was selected."""

import pytest

PLAIN = {"passed": 80, "wrong": 40}


def outcomes(result):
    return result.parseoutcomes()


def test_a_plain_run_visits_models_one_after_the_other(toy):
    result = toy.run()
    assert result.ret == 0
    assert outcomes(result) == PLAIN
    assert toy.loads == ["alpha", "beta"]
    assert sum(toy.asked.values()) == 120
    assert set(toy.asked.values()) == {2}


def test_ids_name_model_and_item(toy):
    result = toy.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(["test_hashes.py::test_hashes?alpha-hashes-00001?"])
    assert toy.notes() == []


def test_setup_plan_loads_nothing(toy):
    toy.run("--setup-plan")
    assert toy.notes() == []


def test_setup_only_loads_nothing(toy):
    toy.run("--setup-only")
    assert toy.notes() == []


def test_k(toy):
    result = toy.run("-k", "ports-0000")
    assert outcomes(result)["deselected"] == 102
    assert sum(toy.asked.values()) == 18


def test_a_single_id(toy):
    result = toy.run("test_ports.py::test_ports[beta-ports-00007]")
    assert outcomes(result) == {"passed": 1}
    assert (toy.loads, toy.asked) == (["beta"], {"ports-00007": 1})


def test_deselect(toy):
    result = toy.run("--deselect", "test_ports.py::test_ports[beta-ports-00007]")
    assert outcomes(result) == {"passed": 79, "wrong": 40, "deselected": 1}
    assert sum(toy.asked.values()) == 119


def poison(toy, number=7):
    path = toy.pytester.path / "test_ports.py"
    path.write_text(path.read_text().replace(" say:", f" {{'poison' if n == {number} else ''}} say:"))


def test_one_poisonous_item_is_one_red_case_a_model(toy):
    poison(toy)
    result = toy.run()
    assert result.ret == 1
    assert outcomes(result) == {"failed": 2, "passed": 78, "wrong": 40}
    assert toy.loads == ["alpha", "beta"]
    result.stdout.fnmatch_lines(["*ports-00007: RuntimeError: this prompt breaks the kernel*"])


def test_lf_asks_only_for_the_broken_ones_again(toy):
    poison(toy)
    toy.run()
    result = toy.run("--lf")
    assert outcomes(result)["failed"] == 2
    assert toy.asked == {"ports-00007": 2}
    assert toy.loads == ["alpha", "beta"]


def test_ff_loads_each_model_once(toy):
    poison(toy)
    toy.run()
    toy.run("--ff")
    assert toy.loads == ["alpha", "beta"]


def test_x_wastes_at_most_one_window(toy):
    poison(toy)
    result = toy.run("-x", "--slmsec-window=10")
    assert outcomes(result)["failed"] == 1
    assert toy.loads == ["alpha"]
    assert len(toy.asked) == 40  # all of the first benchmark, one window of the second


def test_sw_goes_on_where_it_stopped(toy):
    poison(toy)
    toy.run("--sw", "--slmsec-window=10")
    assert toy.loads == ["alpha"]
    toy.run("--sw", "--slmsec-window=10")
    assert toy.loads == ["alpha"]
    assert set(toy.asked) == {f"ports-{n:05d}" for n in range(7, 17)}


def test_random_order_keeps_windows_full_and_models_together(toy):
    toy.pytester.makeconftest(
        (toy.pytester.path / "conftest.py").read_text()
        + "\nimport random\ndef pytest_collection_modifyitems(items):\n    random.Random(5).shuffle(items)\n"
    )
    result = toy.run("-v")
    assert outcomes(result) == PLAIN
    assert sorted(toy.loads) == ["alpha", "beta"]
    assert len([note for note in toy.notes() if "ask" in note]) == 4 * 4  # 30 items in batches of 8


def test_no_model_is_one_skip_a_test_function_with_a_hint(toy):
    result = toy.run("-rs", models=())
    assert outcomes(result) == {"skipped": 2}
    result.stdout.fnmatch_lines(["*no --model given: try `--model=tinysec`*"])
    assert toy.notes() == []


def test_a_model_that_cannot_be_loaded_is_one_failure_and_the_others_go_on(toy):
    result = toy.run("-rs", models=("broken", "alpha"))
    assert outcomes(result) == {"errors": 1, "skipped": 59, "passed": 40, "wrong": 20}
    result.stdout.fnmatch_lines(["*broken: the directory /nowhere holds no config.json*"])


def test_an_unknown_model_is_a_usage_error_with_near_matches(toy):
    result = toy.run(models=("alpja",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no such model; did you mean alpha*"])


def test_a_model_named_twice_runs_once(toy):
    result = toy.run(models=("alpha,alpha", "alpha"))
    assert outcomes(result) == {"passed": 40, "wrong": 20}


def test_prompts_that_do_not_fit_are_red_alone(toy):
    path = toy.pytester.path / "test_ports.py"
    path.write_text(path.read_text().replace(" say:", " {'unanswerable' if n == 9 else ''} say:"))
    result = toy.run(models=("alpha",))
    assert outcomes(result) == {"failed": 1, "passed": 40, "wrong": 19}
    result.stdout.fnmatch_lines(["*ports-00009: the prompt has 9999 tokens and the model's context holds 4096*"])
    result.stdout.fnmatch_lines(["*1 item could not be measured*"])
