"""Tasks of lm-evaluation-harness as the package itself reads them, over our own fixture files."""

import json

from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.tasks.harness.definition import tasks_folder

DATA = fixtures_dir() / "data"


def definition(task):
    """The task's own YAML over the JSON reader of `datasets`: nothing of this package in between.

    Splits that are named but not asked, and give no examples, hold the same documents.
    """
    known = task.load.args[0]
    asked = DATA / task.name / f"{known.split}.jsonl"
    files = {split: asked.with_stem(split) for split in ("train", "validation", "test", "dev")}
    files = {split: str(path if path.exists() else asked) for split, path in files.items()}
    lines = [f"include: {tasks_folder() / known.file}", "dataset_path: json", "dataset_name: null"]
    return "\n".join([*lines, f"dataset_kwargs: {json.dumps({'data_files': files})}"]) + "\n"
