"""Markdown tables in answers."""

import pytest

from pytest_slmsec.scoring.cvss import strict_vector
from pytest_slmsec.scoring.cwe import strict_cwe
from pytest_slmsec.scoring.stated_letters import stated_letter
from pytest_slmsec.scoring.tables import spelled_tables


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("| CVE | CWE |\n|---|:-:|\n| CVE-2024-1 | CWE-79 |", "CVE: CVE-2024-1\nCWE: CWE-79"),
        ("Name | ID\n--- | ---\nAudit | M1047\n\nThat is all.", "Name: Audit\nID: M1047\n\nThat is all."),
        ("| ID |\n|---|\n| T1 |\n| T2 |", "| ID |\n| T1 |\n| T2 |"),
        ("| A | B |\n|---|---|\n| 1 |", "| A | B |\n| 1 |"),
        ("a | b\nc | d", "a | b\nc | d"),
        ("no table -- at all", "no table -- at all"),
    ],
)
def test_a_table_of_one_row_is_spelled_out(table, lines):
    assert spelled_tables(table) == lines


def test_readers_read_tables():
    assert stated_letter("| Question | Answer |\n|---|---|\n| 1 | B |") == "B"
    assert strict_cwe("| Candidate | CWE |\n|---|---|\n| CVE-2024-20 | CWE-79 |") == "CWE-79"
    head, rule, row = "| AV | AC | PR | UI | S | C | I | A |", "|---" * 8 + "|", "| N | L | N | R | C | L | L | N |"
    assert strict_vector(f"{head}\n{rule}\n{row}") == "AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
