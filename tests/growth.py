"""Whether the time of a reading grows faster than its text.

The whole text is compared with an eighth of it. A reading that takes time proportional to the text takes 8 times as
long for the whole, one that takes quadratic time 64 times. The border lies between them, nearly three times away from
both, so that a busy machine moves neither across it.
"""

import gc
import time

SMALLER = 8
BORDER = 22
READINGS = 6


def cpu_seconds(reader, piece, chars):
    """CPU seconds of one reading. The garbage collector, which looks at what all other tests left behind, stands
    still."""
    text = piece * (chars // len(piece))
    gc.disable()
    try:
        start = time.process_time()
        reader(text)
        return time.process_time() - start
    finally:
        gc.enable()


def grows_faster_than_text(reader, piece, chars, at_once_s):
    """Whether `chars` characters of `piece` after `piece` take more than `BORDER` times as long as an eighth of them.

    A reading of less than `at_once_s` seconds is fast enough, and too short for a ratio. A text that seems slow is
    read again: the shortest of some readings counts.
    """
    whole = cpu_seconds(reader, piece, chars)
    if whole < at_once_s:
        return False
    eighth = min(cpu_seconds(reader, piece, chars // SMALLER) for _ in range(READINGS))
    for _ in range(READINGS):
        if whole <= BORDER * eighth:
            return False
        whole = min(whole, cpu_seconds(reader, piece, chars))
    return True
