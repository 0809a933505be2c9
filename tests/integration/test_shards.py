"""--slmsec-shard and --slmsec-merge: parts of a run, put together, are the run."""

import json

import pytest

BOTH = ("--slmsec-window=16",)


def record(path):
    """Scores and verdicts of a run, without what differs from run to run."""
    stored = json.loads(path.read_text())
    for group in stored["slmsec"]["groups"]:
        del group["batches"]  # seconds and memory of each
    kept = ("score", "correct_bits", "n_items", "n_valid", "prompt_tokens", "new_tokens", "items_sha256", "load_s")
    entries = {one["name"]: {key: one["extra_info"].get(key) for key in kept} for one in stored["benchmarks"]}
    return entries, stored["slmsec"]


def gates(path):
    """The verdicts of a run and what they rest on, without memory, which is measured anew."""
    judgements = json.loads(path.read_text())["judgements"]
    found = [(one["verdict"], gate) for one in judgements for gate in one["gates"] if "memory" not in gate["gate"]]
    assert found
    return found


@pytest.fixture
def parts(toy):
    """Three journals of shards, and how many items each asked."""
    asked = []
    for number in (1, 2, 3):
        result = toy.run(*BOTH, f"--slmsec-shard={number}/3", f"--slmsec-journal=parts/{number}.jsonl")
        assert result.ret == 0
        asked.append(toy.asked)
    return asked


def test_merged_shards_are_the_run_of_one_process_and_load_no_model(toy, parts):
    assert max(sum(parts, start=type(parts[0])()).values()) == 2, "each item once for each model"
    assert sum(sum(part.values()) for part in parts) == 120

    toy.run("--benchmark-json=base.json")
    path, gated = toy.pytester.path, (*BOTH, "--slmsec-baseline=base.json", "--slmsec-preset=pr")
    merged = toy.run(*gated, "--slmsec-merge=parts", "--benchmark-json=merged.json", "--slmsec-json=merged-gate.json")
    assert toy.notes() == []
    whole = toy.run(*gated, "--benchmark-json=whole.json", "--slmsec-json=whole-gate.json")

    assert merged.ret == whole.ret
    assert merged.parseoutcomes() == whole.parseoutcomes()
    assert record(path / "merged.json") == record(path / "whole.json")
    assert gates(path / "merged-gate.json") == gates(path / "whole-gate.json")


def test_a_shard_says_how_large_it_is_and_judges_nothing(toy):
    result = toy.run(*BOTH, "--slmsec-shard=1/3")
    result.stdout.fnmatch_lines(["slmsec: shard 1/3: * of 120 test cases; nothing is judged before --slmsec-merge"])
    result.stdout.no_fnmatch_line("*slmsec gate*")


def test_a_missing_shard_and_one_that_was_cut_off_are_named(toy, parts):
    missing = toy.run(*BOTH, "--slmsec-merge=parts/1.jsonl", "--slmsec-merge=parts/3.jsonl")
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    missing.stderr.fnmatch_lines(["*of 3 shards 2 is missing: name its journal too.*"])

    cut = toy.pytester.path / "parts" / "2.jsonl"
    lines = cut.read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:-1]))
    stopped = toy.run(*BOTH, "--slmsec-merge=parts")
    assert stopped.ret == pytest.ExitCode.USAGE_ERROR
    stopped.stderr.fnmatch_lines(["*of 3 shards these did not run to their end: 2; run them again with*"])

    resumed = toy.run(*BOTH, "--slmsec-shard=2/3", "--slmsec-journal=parts/2.jsonl", "--slmsec-resume")
    assert (resumed.ret, sum(toy.asked.values())) == (0, 0)
    (toy.pytester.path / "parts" / "overlap.jsonl").write_bytes(cut.read_bytes())
    assert toy.run(*BOTH, "--slmsec-merge=parts").parseoutcomes() == {"passed": 80, "wrong": 40}


def test_shards_that_were_cut_in_different_ways_may_overlap_but_leave_no_gap(toy):
    """Of 60 test cases 1/2 has those from 0 to 29, 2/3 from 20 to 39, 3/3 from 40 to 59."""

    def part(shard, window, name):
        assert toy.run(f"--slmsec-shard={shard}", f"--slmsec-window={window}", f"--slmsec-journal=parts/{name}.jsonl",
                       models=("alpha",)).ret == 0  # fmt: skip

    part("1/2", 15, "a")
    part("3/3", 10, "c")
    gap = toy.run("--slmsec-merge=parts", models=("alpha",))
    assert gap.ret == pytest.ExitCode.USAGE_ERROR
    assert "10 of 60 test cases are in none of these shards" in " ".join(gap.stderr.str().split())

    part("2/3", 10, "b")
    assert toy.run("--slmsec-merge=parts", models=("alpha",)).parseoutcomes() == {"passed": 40, "wrong": 20}


def test_a_shard_that_another_one_covers_need_not_have_ended(toy):
    one = ("--slmsec-shard=1/2", "--slmsec-shard=2/2")
    for number, shard in enumerate(one):
        toy.run(shard, f"--slmsec-journal=parts/{number}.jsonl", models=("alpha",))
    cut = toy.pytester.path / "parts" / "cut.jsonl"
    cut.write_bytes(b"".join((cut.parent / "1.jsonl").read_bytes().splitlines(keepends=True)[:-1]))
    assert toy.run("--slmsec-merge=parts", models=("alpha",)).parseoutcomes() == {"passed": 40, "wrong": 20}


def test_more_shards_than_windows_leave_some_without_work(toy):
    """The nodes of an array job whose number is larger than that of the windows succeed."""
    for number in range(1, 4):
        shard = (f"--slmsec-shard={number}/3", f"--slmsec-journal=parts/{number}.jsonl")
        assert toy.run(*shard, models=("alpha",)).ret == 0
    assert toy.run("--slmsec-merge=parts", models=("alpha",)).parseoutcomes() == {"passed": 40, "wrong": 20}


def test_shards_of_another_run_are_refused(toy, parts):
    other = toy.run(*BOTH, "--slmsec-merge=parts", models=("alpha",))
    assert other.ret == pytest.ExitCode.USAGE_ERROR
    other.stderr.fnmatch_lines(["*this run selects other test cases than the shards did*"])
    toy.run("--slmsec-shard=1/3", "--slmsec-journal=parts/other.jsonl", models=("beta",))
    mixed = toy.run(*BOTH, "--slmsec-merge=parts")
    mixed.stderr.fnmatch_lines(["*other.jsonl is a shard of another run than*"])


def test_shards_with_other_weights_are_refused(toy, parts, monkeypatch):
    monkeypatch.setenv("FREE_ENGINE_WEIGHTS", "v")
    toy.run(*BOTH, "--slmsec-shard=3/3", "--slmsec-journal=parts/3.jsonl")
    (toy.pytester.path / "parts" / "3.1.jsonl").unlink()
    result = toy.run(*BOTH, "--slmsec-merge=parts")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*weights_sha256 of beta is vbeta in *3.jsonl, and wbeta in another shard*"])


def test_an_item_that_failed_in_its_shard_is_red_and_says_so(toy):
    ports = toy.pytester.path / "test_ports.py"
    ports.write_text(ports.read_text().replace('"ports {n} say', '"ports {n} unanswerable say', 1))
    for number in (1, 2):
        toy.run(f"--slmsec-shard={number}/2", f"--slmsec-journal=parts/{number}.jsonl", models=("alpha",))
    merged = toy.run("--slmsec-merge=parts", models=("alpha",))
    assert merged.ret == pytest.ExitCode.TESTS_FAILED
    merged.stdout.fnmatch_lines(["*no journal of the shards holds its answer: it failed there*"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--slmsec-shard=4/3",), "*--slmsec-shard=4/3: write which part of how many*"),
        (("--slmsec-shard=1/3", "--slmsec-merge=parts"), "*give one.*"),
        (("--slmsec-merge=nowhere",), "*there is no journal of a shard; name its file, or the folder*"),
        (("--slmsec-merge=own.jsonl",), "*this is no journal of a shard; --slmsec-shard=1/4 writes one*"),
        (("--slmsec-shard=1/3", "-n2"), "*does not work with -n (pytest-xdist): give each process a shard*"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_before_anything_runs(toy, args, says):
    (toy.pytester.path / "own.jsonl").touch()
    result = toy.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert toy.notes() == []
