"""The command `slmsec bundle`: one folder or zip with a run, which checks itself with the standard library alone."""

import json
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from xml.etree import ElementTree

import pytest
from benchmark_runs import content, plain
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.cli.main import main
from pytest_slmsec.reports.bundle import verify

RIGHT = "1110" * 100
WORSE = "0110" * 50 + "1110" * 49 + "1111"


def stored(name, *runs, **more):
    with open(name, "w") as file:
        json.dump({**content(*runs), "datetime": "2026-11-26T10:00:00", **more}, file)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of two models, as a folder, made once."""
    home = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        stored("run.json", plain(RIGHT), plain(WORSE, model="phi3-gptq4", quant="gptq4"))
        assert main(["bundle", "run.json", "--out", "made"]) == 0
        assert main(["bundle", "run.json", "--out", "made.zip"]) == 0
    return home


@pytest.fixture(scope="module")
def files(bundle):
    return verify.read(bundle / "made")


def check(*args):
    """Run the script of a bundle as somebody without this package would."""
    return subprocess.run([sys.executable, "-I", "-S", *map(str, args)], capture_output=True, text=True, check=False)


def rewritten(files, name, content):
    """A bundle with another file whose hashes were written anew, as a forger would."""
    manifest = json.loads(files["BUNDLE.json"])
    changed = {**files, name: content}
    manifest["files"] = {one: verify.hashlib.sha256(changed[one]).hexdigest() for one in manifest["files"]}
    manifest["sha256"] = verify.digest(manifest)
    return {**changed, "BUNDLE.json": verify.canonical(manifest)}


def test_it_holds_what_a_decision_rests_on(files):
    assert sorted(files) == [
        "BUNDLE.json", "LICENSE.txt", "environment.json", "facts.json", "items/001-cti-mcq-phi3.jsonl",
        "items/002-cti-mcq-phi3-gptq4.jsonl", "junit.xml", "licences.json", "page.html", "verdict.json",
        "verdict.txt", "verify.py",
    ]  # fmt: skip
    assert len(files["items/001-cti-mcq-phi3.jsonl"].splitlines()) == 400
    assert b"SUITE: FAIL" in files["verdict.txt"]
    assert files["page.html"].startswith(b"<!DOCTYPE html>")
    assert json.loads(files["environment.json"])["machine_info"]["slmsec"]["cpu"] == "a cpu"
    assert json.loads(files["licences.json"])["models"]["phi3"] == "MIT"


def test_its_junit_counts_a_wrong_answer_as_passed_and_a_failed_gate_as_failed(files):
    items, others, gates = ElementTree.fromstring(files["junit.xml"])
    assert (items.get("tests"), items.get("failures")) == ("400", "0")
    assert len(others.findall("testcase/properties/property[@name='wrong']")) == WORSE.count("0")
    suite = gates.find("testcase[@name='SUITE']/failure")
    assert suite is not None
    assert suite.get("message") == "FAIL"
    accuracy = {
        one.get("name"): one.get("value") for one in gates.findall("testcase")[0].findall("properties/property")
    }
    assert (accuracy["verdict"], accuracy["benchmark"], accuracy["limit"]) == ("FAIL", "cti-mcq", "0.02")
    assert (accuracy["candidate"], accuracy["base"]) == ("phi3-gptq4", "phi3")
    assert float(accuracy["lower"]) > 0.02


def test_two_builds_are_equal_wherever_they_are_made(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", str(bundle / "run.json"), "--out", "again"]) == 0
    assert verify.read(tmp_path / "again") == verify.read(bundle / "made") == verify.read(bundle / "made.zip")
    assert main(["bundle", str(bundle / "run.json"), "--out", "again.zip"]) == 0
    assert (tmp_path / "again.zip").read_bytes() == (bundle / "made.zip").read_bytes()


def test_its_script_runs_without_any_package(bundle, tmp_path):
    script = bundle / "made" / "verify.py"
    told = check(script)
    assert (told.returncode, told.stderr) == (0, "")
    digest = json.loads((bundle / "made" / "BUNDLE.json").read_bytes())["sha256"]
    assert told.stdout == (
        "12 files are as they were written.\n"
        "2 of 2 scores follow from their items.\n"
        "phi3-gptq4 against phi3: FAIL\n"
        f"sha256 {digest}\n"
    )
    assert check(script, bundle / "made.zip", "--sha256", digest).returncode == 0
    other = check(script, bundle / "made.zip", "--sha256", "0" * 64)
    assert (other.returncode, "the bundle was written anew" in other.stdout) == (1, True)
    assert "cannot be read" in check(script, tmp_path / "nothing.zip").stdout


@given(data=st.data())
def test_any_altered_byte_of_any_file_is_named(files, data):
    name = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != files[name][at]))
    changed = files[name][:at] + bytes([byte]) + files[name][at + 1 :]
    (line,) = verify.troubles({**files, name: changed})
    assert line.startswith(f"{name}: ")


@given(data=st.data())
def test_a_file_that_is_cut_missing_or_new_is_named(files, data):
    name = data.draw(st.sampled_from(sorted(files)))
    cut = files[name][: data.draw(st.integers(0, len(files[name]) - 1))]
    rest = {other: content for other, content in files.items() if other != name}
    for changed in ({**files, name: cut}, {**files, name: files[name] + b"\n"}, rest):
        (line,) = verify.troubles(changed)
        assert line.startswith(f"{name}: ")
    assert verify.troubles({**files, "more.txt": b""}) == ["more.txt: does not belong to the bundle"]


def test_numbers_that_do_not_follow_from_the_items_are_named_even_where_all_hashes_fit(files):
    name = "items/002-cti-mcq-phi3-gptq4.jsonl"
    lines = files[name].decode().splitlines()
    better = [line.replace('"correct": false', '"correct": true').replace('"value": 0.0', '"value": 1.0')
              for line in lines]  # fmt: skip
    told = "\n".join(verify.troubles(rewritten(files, name, "\n".join(better).encode() + b"\n")))
    assert f"{name}: n_correct is 400, and BUNDLE.json says 251" in told
    assert f"{name}: score is 1.0, and BUNDLE.json says 0.6275" in told
    assert "cti-mcq accuracy lost and gained (50, 1), and the items say (0, 100)" in told
    nicer = files["verdict.json"].replace(b'"verdict": "FAIL"', b'"verdict": "PASS"')
    told = "\n".join(verify.troubles(rewritten(files, "verdict.json", nicer)))
    assert "verdict.json: phi3-gptq4 against phi3: PASS" in told


def test_a_bundle_of_rubbish_whose_hashes_fit_is_a_line_and_no_traceback(files):
    (line,) = verify.troubles(rewritten(files, "verdict.json", b"[]"))
    assert line.startswith("the numbers cannot be read (")


def test_a_score_that_is_no_mean_of_its_items_is_said_not_to_be_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored("run.json", plain("1100", metric="median", binary=False, score=0.9))
    assert main(["bundle", "run.json"]) == 0
    made = verify.read(tmp_path / "run.bundle")
    (group,) = json.loads(made["BUNDLE.json"])["groups"]
    assert (group["counted"], group["not_recomputed"]) == (None, "the metric is no mean of the items' scores")
    assert verify.troubles(made) == []
    assert made["verdict.txt"] == b"No model was judged: its base is not in the run.\n"


def test_a_base_in_another_run_goes_into_the_bundle(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stored("old.json", plain(RIGHT), plain(WORSE, model="phi4"))
    stored("new.json", plain(WORSE))
    assert main(["bundle", "new.json", "--base", "old.json::phi3"]) == 0
    assert capsys.readouterr().out.startswith("phi3 against phi3: FAIL\n")
    made = verify.read(tmp_path / "new.bundle")
    assert verify.troubles(made) == []
    assert [name for name in made if name.startswith("items/")] == [
        "items/001-cti-mcq-phi3.jsonl", "items/002-cti-mcq-phi3.jsonl"]  # fmt: skip


@pytest.mark.parametrize(("args", "says"), [
    (["nothing.json"], "There is no file nothing.json"),
    (["run.json", "--out", "full"], "full exists already: name another place, or remove it first."),
    (["run.json", "--out", "run.json/x"], "run.json/x cannot be written: "),
])  # fmt: skip
def test_an_error_is_one_sentence_and_exit_2(tmp_path, monkeypatch, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    stored("run.json", plain(RIGHT))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    assert main(["bundle", *args]) == 2
    assert f"slmsec: error: {says}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["link", "compressed", "twice", "larger", "outside"])
def test_a_forger_can_neither_reach_beyond_the_bundle_nor_fill_the_memory(bundle, files, tmp_path, kind):
    place = tmp_path / "forged"
    if kind == "link":
        shutil.copytree(bundle / "made", place)
        (place / "more.txt").symlink_to("/etc/hostname")
    else:
        with zipfile.ZipFile(place, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the name that is there twice
            for name, content in files.items():
                archive.writestr(name, content)
            method = zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
            name = {"twice": "verdict.txt", "outside": "../outside.txt"}.get(kind, "more.txt")
            archive.writestr(name, b"0" * 10_000, method)
    if kind == "larger":  # the directory says that it has more bytes than the archive
        content = place.read_bytes()
        place.write_bytes(content.replace(zipfile_size(10_000), zipfile_size(10**9)))
    told = check(bundle / "made" / "verify.py", place)
    assert (told.returncode, told.stderr) == (1, "")
    says = {"link": "more.txt is a link", "compressed": "more.txt is compressed", "twice": "holds verdict.txt twice",
            "larger": "larger than itself", "outside": "../outside.txt: does not belong to the bundle"}  # fmt: skip
    assert says[kind] in told.stdout
    assert sorted(tmp_path.iterdir()) == [place]


def zipfile_size(size):
    """Compressed and real size of a stored file, as the directory of a zip has them."""
    return struct.pack("<II", size, size)


def test_what_a_forger_wrote_cannot_steer_the_terminal_of_who_checks_it(files, tmp_path):
    verdict = files["verdict.json"].replace(b'"phi3-gptq4"', rb'"phi3\u001b[2J"')
    place = tmp_path / "forged"
    for name, written in rewritten(files, "verdict.json", verdict).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(written)
    told = check(place / "verify.py")
    assert told.returncode == 1
    assert r"phi3\x1b[2J against phi3" in told.stdout
    assert "\x1b" not in told.stdout
