"""The strict reader of tab-separated files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.tasks.tsv import find_file, read_tsv, shown

CELLS = st.text(st.characters(exclude_characters='\t\n\r"', exclude_categories=["Cs"]))


def written(folder, text, encoding="utf-8"):
    path = folder / "table.tsv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "newline"])
def test_cells_come_as_they_stand(tmp_path, newline, end):
    lines = ["Prompt\tOption D\tGT", "Which  one?\t\tb", 'a "quoted" word\t"Open" quote\tC']
    path = written(tmp_path, newline.join(lines) + (newline if end else ""))
    assert read_tsv(path, ("Prompt", "GT")) == [
        {"Prompt": "Which  one?", "Option D": "", "GT": "b"},
        {"Prompt": 'a "quoted" word', "Option D": '"Open" quote', "GT": "C"},
    ]


def test_a_cell_quoted_as_a_whole_by_an_export_is_read_as_its_text(tmp_path):
    path = written(tmp_path, 'Prompt\tGT\n"Who said ""no""?"\tA\n')
    assert read_tsv(path, ("GT",))[0]["Prompt"] == 'Who said "no"?'


@pytest.mark.parametrize(
    "cell", ["x" * 30_000, "\x00\x01\x1b[31m\x85\x0b", "\u2028\u2029", "\u05e9\u05dc\u05d5\u05dd\u202e", "a]::b\rc"]
)
def test_long_and_odd_text_stays_unchanged(tmp_path, cell):
    assert read_tsv(written(tmp_path, f"Prompt\tGT\n{cell}\tA\n"), ())[0] == {"Prompt": cell, "GT": "A"}


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5).filter(lambda rows: "".join(rows[-1]).strip()))
def test_what_was_written_is_read_back(tmp_path_factory, rows):
    path = written(tmp_path_factory.mktemp("tsv"), "one\ttwo\n" + "".join(f"{one}\t{two}\n" for one, two in rows))
    assert [tuple(row.values()) for row in read_tsv(path, ("one", "two"))] == rows


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    assert read_tsv(written(tmp_path, "GT\nA\n", "utf-8-sig"), ("GT",)) == [{"GT": "A"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"table\.tsv is empty; fetch"),
        ("Prompt\tGT\n", r"table\.tsv has a header but no rows; fetch"),
        ("Prompt\tAnswer\nq\tA\n", r"table\.tsv has no column 'GT' \(it has: Prompt, Answer\); fetch"),
        ("GT\tGT\nA\tB\n", r"table\.tsv has more than one column 'GT'"),
        ("Prompt\tGT\nq\tA\nq2\n", r"table\.tsv, row 2 has too few cells \(cut off\?\): 1 of 2 columns; fetch"),
        ("Prompt\tGT\nq\tA\n\nq\tB\n", r"row 2 has too few cells"),
        ("Prompt\tGT\nq\tmore\tA\n", r"table\.tsv, row 1 has too many cells \(a tab inside a text\?\): 3 of 2 columns"),
    ],
)
def test_damage_names_file_row_column_and_remedy(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_tsv(written(tmp_path, text), ("GT",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Prompt\tGT\nq\tA\ncaf\xe9\tB\n", "row 2, byte 17: not UTF-8"),
        (b"\xff\xfeP\x00", "the header, byte 0: not UTF-8"),
    ],
)
def test_a_wrong_encoding_names_row_and_byte(tmp_path, data, message):
    path = tmp_path / "table.tsv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"{message}.*save it as UTF-8"):
        read_tsv(path, ("GT",))


@pytest.mark.parametrize("place", ["bench/data/a.tsv", "data/a.tsv", "a.tsv"])
def test_a_file_is_found_by_its_published_path_and_in_a_flat_folder(tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert find_file(tmp_path, "bench/data/a.tsv", "a") == file


def test_a_missing_file_names_both_places_and_the_remedy(tmp_path):
    with pytest.raises(DataUnavailable, match=r"a: there is no .*bench/a\.tsv and no .*; put .*--slmsec-data=DIR"):
        find_file(tmp_path, "bench/a.tsv", "a")


def test_a_shown_cell_is_escaped_and_short():
    assert shown("\x1b[2J") == "'\\x1b[2J'"
    assert len(shown("x" * 1000)) <= 62


@pytest.mark.parametrize("end", ["\n\n", "\n\n\n", "\n \n", "\r\n\r\n", "\n\r\n \r\n", "\n\t\n\t", "\r\n\t\r\n"])
def test_blank_lines_at_the_end_are_no_rows(tmp_path, end):
    path = tmp_path / "a.tsv"
    path.write_bytes(f"Prompt\tGT\nwhich?\tA{end}".encode())
    assert read_tsv(path, ("Prompt", "GT")) == [{"Prompt": "which?", "GT": "A"}]


def test_a_blank_line_between_rows_is_still_an_error(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"Prompt\tGT\n\nwhich?\tA\n")
    with pytest.raises(DataError, match="row 1 has too few cells"):
        read_tsv(path, ("Prompt", "GT"))
