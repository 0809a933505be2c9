"""Copies of our own documents, to be damaged."""

import json
import shutil

import pytest

from pytest_slmsec.core.paths import fixtures_dir


class Folder:
    """A folder of local files of one task."""

    def __init__(self, root, name):
        self.root, self.name = root, name
        shutil.copytree(fixtures_dir() / "data" / name, root / name)

    def path(self, split):
        return self.root / self.name / f"{split}.jsonl"

    def rows(self, split):
        return [json.loads(line) for line in self.path(split).read_text("utf-8").splitlines()]

    def write(self, split, rows):
        self.path(split).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def change(self, split, record, **fields):
        """Set fields of one record (from 1); None takes a field away."""
        rows = self.rows(split)
        row = {**rows[record - 1], **fields}
        rows[record - 1] = {key: value for key, value in row.items() if value is not None}
        self.write(split, rows)


@pytest.fixture
def folder(tmp_path):
    return lambda name: Folder(tmp_path, name)
