"""Files that are written at the end of a run are checked at its start."""

import pytest


@pytest.mark.parametrize(
    "option", ["--benchmark-json", "--junitxml", "--slmsec-json", "--slmsec-flips", "--slmsec-report"]
)
def test_a_file_that_cannot_be_written_is_said_before_anything_runs(toy, option):
    (toy.pytester.path / "file").write_text("")
    result = toy.run(f"{option}=file/out.json", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith(f"ERROR: {option}=file/out.json: ")
    assert line.endswith("; nothing was run.")
    assert toy.notes() == []


def test_a_folder_that_nobody_makes_is_named(toy):
    result = toy.run("--benchmark-json=no/such/out.json", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark-json=no/such/out.json: there is no folder no/such; make it,*"])


def test_a_folder_in_place_of_a_file_is_named(toy):
    (toy.pytester.path / "out").mkdir()
    result = toy.run("--slmsec-json=out", models=("alpha",))
    result.stderr.fnmatch_lines(["ERROR: --slmsec-json=out: this is a folder; name a file; nothing was run."])


@pytest.mark.parametrize("option", ["--junitxml", "--slmsec-json"])
def test_a_folder_that_is_made_is_no_mistake(toy, option):
    assert toy.run(f"{option}=new/folder/out", "--slmsec-no-gate", models=("alpha",)).ret == 0


def test_the_check_leaves_no_file_behind_and_keeps_what_is_there(toy):
    (toy.pytester.path / "old.json").write_text("kept")
    result = toy.run("--slmsec-json=old.json", "--slmsec-flips=new.jsonl", "--slmsec-plan", models=("alpha",))
    assert result.ret == 0
    assert (toy.pytester.path / "old.json").read_text() == "kept"
    assert not (toy.pytester.path / "new.jsonl").exists()


def test_a_session_without_models_is_not_checked(pytester):
    pytester.makepyfile("def test_plain():\n    pass\n")
    pytester.runpytest("--slmsec-json=no/such/out.json").assert_outcomes(passed=1)


@pytest.mark.parametrize("saved", ["--benchmark-autosave", "--benchmark-save=run"])
@pytest.mark.parametrize("storage", ["file/bench", "file://file/bench"])
def test_a_folder_of_pytest_benchmark_that_cannot_be_written_is_said_before_anything_runs(toy, saved, storage):
    (toy.pytester.path / "file").write_text("")
    result = toy.run(saved, f"--benchmark-storage={storage}", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark-storage=file/bench/slmsec.json: *; nothing was run."])
    assert toy.notes() == []


def test_a_baseline_that_cannot_be_written_is_said_before_anything_runs(toy):
    (toy.pytester.path / "file").write_text("")
    result = toy.run("--slmsec-update-baseline", "--slmsec-baseline=file/base.json", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *base.json cannot be written: *"])
    assert toy.notes() == []


def test_a_histogram_without_its_package_is_said_before_anything_runs(toy, monkeypatch):
    monkeypatch.setattr("pytest_slmsec.session.preflight.find_spec", lambda name: None)
    result = toy.run("--benchmark-histogram=plot", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --benchmark-histogram needs the package pygal: pip install pygal*"])
    assert toy.notes() == []
