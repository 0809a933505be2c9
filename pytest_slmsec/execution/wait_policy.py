"""How the threads of OpenMP wait.

Threads that spin while they wait for each other stand still when another program wants their core: on a busy machine a
model then runs many times slower. ``OMP_WAIT_POLICY=PASSIVE`` lets them sleep. The OpenMP library reads it once, when
torch is imported.

Reference: https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html
"""

from __future__ import annotations

import os
import sys

VARIABLE = "OMP_WAIT_POLICY"


def wait_passively() -> str | None:
    """Set ``OMP_WAIT_POLICY=PASSIVE`` for this process and its children, unless the user has set it.

    Returns:
        A sentence for the header where it comes too late, since torch was imported before; None else.
    """
    if VARIABLE in os.environ:
        return None
    os.environ[VARIABLE] = "PASSIVE"
    if "torch" not in sys.modules:
        return None
    return f"torch was imported before {VARIABLE}=PASSIVE could be set; set it yourself, or a busy machine slows models"
