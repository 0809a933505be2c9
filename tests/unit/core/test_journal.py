"""The journal survives kills at any byte and full disks."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import JournalError
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.journal import Journal, StoredBatch, decode, encode, read

TIMING = {"seconds": 0.5, "items": 1}


def batch(*texts: str) -> StoredBatch:
    outputs = tuple(Output(text=text, new_tokens=3) for text in texts)
    return StoredBatch(tuple(f"key of {text}" for text in texts), outputs, TIMING, {}, ())


def write(path, *batches):
    journal = Journal.start(path)
    for one in batches:
        journal.append(one)
    journal.close()


def test_answers_come_back_as_they_were(tmp_path):
    path = tmp_path / "journal.jsonl"
    choice = StoredBatch(("c",), (Output(choice_logprobs=(-0.1, -2.5), prompt_tokens=9),), TIMING, {"x": None}, ("n",))
    write(path, batch("B", "\x00\n\u202e\ud800 right to left"), choice)
    journal = Journal.resume(path)
    assert journal.output("key of B") == Output(text="B", new_tokens=3)
    assert journal.output("key of \x00\n\u202e\ud800 right to left").text == "\x00\n\u202e\ud800 right to left"
    assert journal.batch_of("c") == choice
    assert journal.output("unknown") is None


def test_a_new_journal_keeps_the_old_one_aside(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, batch("first"))
    write(path, batch("second"))
    Journal.start(path).close()
    assert Journal.resume(tmp_path / "journal.1.jsonl").output("key of first")
    assert Journal.resume(tmp_path / "journal.2.jsonl").output("key of second")
    assert len(Journal.resume(path)) == 0


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5, unique=True), st.data())
def test_a_kill_at_any_byte_loses_only_the_line_in_flight(tmp_path_factory, texts, data):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    write(path, *(batch(text) for text in texts))
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])

    journal = Journal.resume(path)
    survivors = sum(end <= cut for end in ends)
    assert [journal.output(f"key of {text}") is not None for text in texts] == [
        n < survivors for n in range(len(texts))
    ]
    for text in texts[survivors:]:
        journal.append(batch(text))
    journal.close()
    assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_counted_and_never_used(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, batch("one"), batch("two"), batch("three"))
    path.write_bytes(path.read_bytes().replace(b"key of two", b"key of 2wo"))
    journal = Journal.resume(path)
    assert (len(journal), journal.damaged_lines) == (2, 1)
    assert journal.output("key of 2wo") is None


def test_a_line_of_another_format_is_passed_over(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(encode({"format": 99}) + encode(batch("mine").to_json()))
    journal = Journal.resume(path)
    assert (len(journal), journal.damaged_lines) == (1, 1)


class FullDisk:
    """A file on a disk that takes `room` more bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if self._room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._file.write(data[: self._room])
        self._room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 50])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, room):
    path = tmp_path / "journal.jsonl"
    journal = Journal.start(path)
    journal.append(batch("safe"))
    before = path.read_bytes()
    monkeypatch.setattr(journal, "_file", FullDisk(journal._file, room))
    with pytest.raises(JournalError, match=r"No space left.*free some space.*the 1 answers before are safe"):
        journal.append(batch("lost"))
    assert path.read_bytes() == before


def test_a_real_full_device(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "journal.jsonl"
    path.symlink_to("/dev/full")
    journal = Journal.start(path)
    with pytest.raises(JournalError, match="No space left"):
        journal.append(batch("lost"))


def test_a_place_that_cannot_be_written_names_the_option(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="--slmsec-journal"):
        Journal.start(tmp_path / "file" / "journal.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(JournalError, match="Is a directory"):
        Journal.resume(tmp_path / "folder")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3))
def test_a_line_is_one_line_and_reads_back(value):
    line = encode(value)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == value
    assert decode(line[:-1]) is None


def test_reading_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path / "none")


@pytest.mark.parametrize("content", [b"notes", b"{}\n", b"0badc0dX {", b"0badc0de [", b"\x00" * 20])
@pytest.mark.parametrize("open_it", [Journal.start, Journal.resume])
def test_a_foreign_file_is_neither_moved_nor_written_to(tmp_path, open_it, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"notes\.txt is no journal of slmsec: it was left as it is"):
        open_it(path)
    assert [other.read_bytes() for other in tmp_path.iterdir()] == [content]


def test_a_batch_knows_whether_it_was_there_before(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, batch("earlier"))
    journal = Journal.resume(path)
    journal.append(batch("now"))
    assert journal.is_earlier(journal.batch_of("key of earlier"))
    assert not journal.is_earlier(journal.batch_of("key of now"))


def test_every_damaged_line_is_counted(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, batch("one"), batch("two"), batch("three"), batch("four"))
    path.write_bytes(path.read_bytes().replace(b"key of two", b"key of 2wo").replace(b"key of three", b"key of thr3e"))
    values, sound, damaged = read(path)
    assert (len(values), sound, damaged) == (2, path.stat().st_size, 2)
    assert Journal.resume(path).damaged_lines == 2
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path)[1:] == (path.read_bytes().index(b"\n") + 1, 3)


def test_lines_of_other_journals_are_read_and_their_foreign_ones_counted(tmp_path):
    other, foreign = tmp_path / "gw0.jsonl", encode({"format": 99})
    other.write_bytes(foreign + encode(batch("of gw0").to_json()) + foreign)
    path = tmp_path / "journal.jsonl"
    new = Journal.resume(path, also=[other])
    assert (new.path, len(new), new.damaged_lines) == (path, 1, 2)
    new.close()
    path.write_bytes(foreign)
    assert Journal.resume(path, also=[other]).damaged_lines == 3
    assert Journal.resume(tmp_path / "new.jsonl").damaged_lines == 0


def test_a_folder_of_ours_is_kept_out_of_git(tmp_path):
    Journal.start(tmp_path / ".slmsec" / "journal.jsonl").close()
    ignore_file = tmp_path / ".slmsec" / ".gitignore"
    assert ignore_file.read_text("utf-8") == "*\n"
    ignore_file.write_text("mine\n", "utf-8")
    Journal.start(tmp_path / ".slmsec" / "journal.jsonl").close()
    assert ignore_file.read_text("utf-8") == "mine\n"
    Journal.start(tmp_path / "results" / "journal.jsonl").close()
    assert not (tmp_path / "results" / ".gitignore").exists()


def test_each_row_of_a_batch_has_its_own_answer(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, batch("a", "b", "c"))
    journal = Journal.resume(path)
    assert [journal.output(f"key of {text}").text for text in "abc"] == ["a", "b", "c"]
    assert (len(journal), journal.batch_of("unknown")) == (3, None)
    journal.append(batch("d", "b"))
    assert [journal.output(f"key of {text}").text for text in "abcd"] == ["a", "b", "c", "d"]
    assert journal.batch_of("key of b") == batch("d", "b")
