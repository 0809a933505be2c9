"""The ground can be imported where modules of one operating system are missing, and without heavy packages."""

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_slmsec

UNIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix_ipc", "syslog")
OPTIONAL = ("pynvml", "psutil", "torch", "transformers")
ROOMS = ("core", "meters", "scoring", "tasks", "sentinels", "replay", "gates", "config", "collection", "engines.common")
IMPORT_ALL = """
import importlib, os, pkgutil, sys

for name in sys.argv[2].split(","):
    sys.modules[name] = None  # `import name` then raises ImportError
for name in ("sched_getaffinity", "fork", "getuid", "geteuid", "setsid", "killpg", "getpgid", "posix_fallocate"):
    if hasattr(os, name):
        delattr(os, name)
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    importlib.import_module(module.name)
if sys.argv[1].endswith("meters"):
    from pytest_slmsec.meters.device import cpus_usable, machine_facts
    from pytest_slmsec.meters.memory import MemoryMeter
    assert cpus_usable() == os.cpu_count()
    assert "reasons" in machine_facts()
    with MemoryMeter() as meter:
        pass
    assert meter.use.reasons
"""


def import_all(room, hidden):
    root = Path(pytest_slmsec.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, f"pytest_slmsec.{room}", ",".join(hidden)],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_without_the_modules_of_unix(room):
    if room.startswith("engines"):
        pytest.importorskip("torch")
    import_all(room, UNIX_ONLY)


@pytest.mark.parametrize("room", ["core", "meters"])
def test_the_ground_is_imported_without_optional_packages(room):
    import_all(room, UNIX_ONLY + OPTIONAL)
