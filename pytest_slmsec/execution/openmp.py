"""How many threads OpenMP starts, and how they wait.

Threads that spin while they wait for each other stand still when another program wants their core: on a busy machine a
model then runs many times slower. ``OMP_WAIT_POLICY=PASSIVE`` lets them sleep. ``OMP_NUM_THREADS`` becomes the number
of cores that this process may use, which torch does not know where a container has a quota of CPU time. The OpenMP
library reads both once, when torch is imported.

Reference: https://gcc.gnu.org/onlinedocs/libgomp/Environment-Variables.html
"""

from __future__ import annotations

import os
import sys

from pytest_slmsec.meters.cores import usable_cores

WAIT_POLICY, THREADS = "OMP_WAIT_POLICY", "OMP_NUM_THREADS"


def set_openmp() -> str | None:
    """Set both variables for this process and its children, except those that the user has set.

    Returns:
        A sentence for the header where it comes too late, since torch was imported before; None else.
    """
    wanted = {WAIT_POLICY: "PASSIVE", THREADS: str(usable_cores())}
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(missing)
    if not missing or "torch" not in sys.modules:
        return None
    settings = " and ".join(f"{name}={value}" for name, value in missing.items())
    return f"torch was imported before {settings} could be set; set it yourself, or a busy machine slows models"
