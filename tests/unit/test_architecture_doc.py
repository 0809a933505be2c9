"""docs/architecture.md names every module, in the section of its folder."""

import re
from pathlib import Path

import pytest

import pytest_slmsec

PACKAGE = Path(pytest_slmsec.__file__).parent
DOCUMENT = PACKAGE.parent / "docs/architecture.md"
FOLDERS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")})


def sections():
    """The modules that are listed below each heading, by the folder in it; '.' for the package itself."""
    text = DOCUMENT.read_text("utf-8").partition("\n## Every module\n")[2]
    found = {}
    for part in text.split("\n### ")[1:]:
        heading, _, body = part.partition("\n")
        folder = re.search(r"`([\w/]+)/`$", heading)[1]
        listed = "\n".join(line for line in body.splitlines() if line.startswith(("* ", "  ")))
        found["." if folder == PACKAGE.name else folder] = re.findall(r"`(\w+\.py)`", listed)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_module_is_named_once_where_it_stands(folder):
    modules = {path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"}
    named = sections().get(folder, [])
    assert sorted(named) == sorted(modules)


def test_no_folder_is_named_that_is_gone():
    assert set(sections()) == set(FOLDERS)
