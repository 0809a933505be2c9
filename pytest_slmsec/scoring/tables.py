"""Markdown tables in answers: a table of one row says of each column what a line "Label: value" says."""

from __future__ import annotations

import re

# "|---|:-:|", "--- | ---".
_RULE = re.compile(r"[ \t]{0,8}\|?(?:[ \t]{0,4}:?-{1,40}:?[ \t]{0,4}(?:\||$)){1,20}[ \t]{0,4}")
COLUMNS_READ = 20


def spelled_tables(text: str) -> str:
    """A text without the rules of its tables, in which a table of one row is spelled out.

    ``| CVE | CWE |``, ``|---|---|``, ``| CVE-2024-1 | CWE-79 |`` give the lines ``CVE: CVE-2024-1`` and
    ``CWE: CWE-79``. The rows of longer tables stay as they are.
    """
    if "|" not in text or "--" not in text:
        return text
    lines, kept, at = text.split("\n"), [], 0
    while at < len(lines):
        if at + 1 < len(lines) and _is_row(lines[at]) and _RULE.fullmatch(lines[at + 1]):
            end = at + 2
            while end < len(lines) and _is_row(lines[end]):
                end += 1
            kept += _spelled(lines[at], lines[at + 2 : end])
            at = end
        else:
            kept.append(lines[at])
            at += 1
    return "\n".join(kept)


def _is_row(line: str) -> bool:
    return "|" in line and not _RULE.fullmatch(line)


def _spelled(head: str, rows: list[str]) -> list[str]:
    if len(rows) != 1:
        return [head, *rows]
    names, values = _cells(head), _cells(rows[0])
    if len(names) != len(values) or len(names) > COLUMNS_READ:
        return [head, *rows]
    return [f"{name}: {value}" for name, value in zip(names, values, strict=True) if value]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
