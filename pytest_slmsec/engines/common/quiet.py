"""Keep libraries that print, log and draw progress bars from writing into the test session."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what the enclosed code prints, logs or warns. Errors still come out as exceptions.

    The streams are those of the whole process: a live display that must go on meanwhile keeps its own reference to
    the stream (``rich.console.Console(file=sys.stderr)``).
    """
    silenced = logging.root.manager.disable
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(silenced)
