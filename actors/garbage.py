"""Garbage collections of a process that answers: seldom a full one, and then a short one.

Python's full collection walks every object there is with the interpreter's lock held: 50 to 140 ms in a process that
has loaded Ray and a model, in which no recall goes on. What has outlived one is therefore set aside, so that the next
walks over what has come since. What is free in the C library's arenas is given back to the system at the same time.
"""

import ctypes
import gc
import sys
import threading
from collections.abc import Callable
from typing import Final

YOUNG: Final = 2000
"""Objects made and not yet gone after which the youngest are looked through; ten times as many for the next older."""
NO_FULL: Final = 1 << 30
"""Of those after which Python would begin a full collection by itself: never."""
TIDY_S: Final = 30.0
"""Between two full collections of what has come since the last one."""
WHOLE_ROUNDS: Final = 120
"""Every so many of them everything is walked over: rings of what was set aside are found then only."""


def tidy_for_ever(wait: Callable[[float], bool] | None = None) -> None:
    """Collect, set aside, and go on so in a thread until `wait` is true, like that of an event; once in a process."""
    gc.set_threshold(YOUNG, 10, NO_FULL)
    tidy(whole=True)
    threading.Thread(target=_tidy_on, args=(wait or threading.Event().wait,), name="garbage", daemon=True).start()


def tidy(*, whole: bool) -> None:
    """Collect what is garbage since the last time, or of everything, and set aside what is left."""
    if whole:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    _trim()


def _trim() -> None:
    """Threads of the engine and of Ray allocate from many arenas, which keep what was freed in them until asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc alone has it
        trim(0)


def _tidy_on(wait: Callable[[float], bool]) -> None:
    rounds = 0
    while not wait(TIDY_S):
        rounds += 1
        tidy(whole=rounds % WHOLE_ROUNDS == 0)
