"""Memory for large results, used again.

Fresh memory is expensive: the system hands it out in pages of 4 KB and clears each when it is first touched, which
for a result of 26 MB takes longer than the kernel that fills it (7.5 against 2.8 ms), and NumPy and torch give it back
with every array. So the memory of a large result is kept when the last array that shows it is gone, and the next
result of about that size takes it; at most `MOST` bytes lie idle.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memory", "take"]

SMALLEST = 1 << 20
"""Bytes from which memory is kept."""
MOST = 1 << 29
"""Bytes that are kept idle at most."""


class Memory:
    """Bytes to be filled, then lent out; `take` gives them.

    Args:
        content: the bytes.
        mapped: what they lie in, where it can grow.
    """

    def __init__(self, content: NDArray[np.uint8], mapped: mmap.mmap | None = None) -> None:
        self.content = content
        self._mapped = mapped
        self.touched = 0
        """Bytes from the start that may have been written: the rest is only an address and costs nothing."""

    def grow(self, size: int) -> None:
        """Make room for `size` bytes; those that are there stay. No array may show them, for they may move."""
        if self._mapped is not None:
            held, self.content = len(self.content), np.empty(0, np.uint8)
            with contextlib.suppress(SystemError, OSError, BufferError):  # a system that cannot, an array that shows it
                self._mapped.resize(size)  # moves pages, not bytes
                held = size
            self.content = np.frombuffer(self._mapped, np.uint8, held)
        if len(self.content) < size:
            larger = take(size)
            larger.content[: len(self.content)] = self.content
            self.content, self._mapped = larger.content, larger._mapped

    def clear(self, size: int) -> None:
        """Set the first bytes to 0, before anything is written: what the system has just handed out is 0."""
        if self._mapped is None or self.touched:
            self.content[:size].fill(0)

    def lend(self, size: int) -> NDArray[np.uint8]:
        """Give the first bytes away as an array [size]; nothing behind them may have been written.

        The memory is kept when this array and all that show the same bytes are gone.
        """
        if self.content.size < SMALLEST:
            return self.content[:size]
        self.touched = max(self.touched, size)
        owner = _Owner(self.content, size)
        weakref.finalize(owner, _keep, self).atexit = False
        return np.asarray(owner)


class _Owner:
    """What a lent array holds on to, and so its views: from one array to another they would pass it over."""

    def __init__(self, content: NDArray[np.uint8], size: int) -> None:
        self.__array_interface__: dict[str, Any] = {**content.__array_interface__, "shape": (size,)}


_numbers = itertools.count()
_idle: dict[int, Memory] = {}
"""Kept memory, the oldest first. Single operations on it are atomic, so threads and finalisers need no lock."""


def take(size: int, *, huge: bool = False) -> Memory:
    """Memory with undefined values.

    Args:
        size: number of bytes, at least.
        huge: fresh memory comes in pages of 2 MB where the system has them. They are handed out and looked up faster,
            but in a virtual machine that gives idle pages back to its host the first touch may take 50 times as long.
    """
    fitting = [(memory.content.size, key) for key, memory in list(_idle.items()) if size <= memory.content.size]
    for found, key in sorted(fitting):
        if found <= 2 * size and (memory := _idle.pop(key, None)):  # None: another thread was faster
            return memory
    if size < SMALLEST or not hasattr(mmap, "MAP_PRIVATE"):
        return Memory(np.empty(size, np.uint8))
    fresh = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if huge and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            fresh.madvise(mmap.MADV_HUGEPAGE)
    return Memory(np.frombuffer(fresh, np.uint8), fresh)


def _keep(memory: Memory) -> None:
    _idle[next(_numbers)] = memory
    excess = sum(memory.touched for memory in list(_idle.values())) - MOST
    for key in list(_idle):
        if excess <= 0:
            break
        if oldest := _idle.pop(key, None):
            excess -= oldest.touched
