"""How many threads a kernel may use: one for little work, and one after a fork.

A parallel Numba kernel is killed in a forked child (DataLoader workers), so the child stays serial.
"""

from __future__ import annotations

import os

__all__ = ["PARALLEL_FROM", "usable"]

PARALLEL_FROM = 32_768
"""Elements below which starting threads costs more than it gives (measured on two cores: about 20 us a start)."""

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def usable(threads: int, work: int) -> int:
    """Threads to use for `work` elements, at most `threads`; tells Numba about it."""
    if threads <= 1 or work < PARALLEL_FROM or _forked:
        return 1
    import numba

    threads = min(threads, int(numba.config.NUMBA_NUM_THREADS))
    numba.set_num_threads(threads)
    return threads
