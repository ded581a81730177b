"""A file in pieces: the next one is read by a thread while this one is decoded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReadAhead"]

_PIECE = 1 << 20
_LONG = 4 * _PIECE  # bytes from which a thread is worth its start


class ReadAhead:
    """A file in pieces of 1 MiB.

    Args:
        file: opened; it can be sought.
        start: first byte.
        room: bytes that may be left of a piece, to come again before the next.
        threads: whether the file may be read by another thread; a data base of SQLite must not.
    """

    def __init__(self, file: Any, start: int, room: int, threads: bool) -> None:
        self.size = int(file.seek(0, 2))
        """Bytes of the file."""
        file.seek(start)
        self._file, self._room = file, room
        left = max(self.size - start, 0)
        # Two in turn: what is left of one piece lies in the other.
        self._buffers = np.empty((2, room + min(_PIECE, left + 1)), np.uint8)
        self._number = 0
        self._thread = ThreadPoolExecutor(1) if threads and left > _LONG else None
        self._wait = self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            self._thread.shutdown()

    def _begin(self) -> Callable[[], int | None]:
        """Begin to read a piece; what is given waits for it and says its size."""
        there = self._buffers[self._number, self._room :].data
        if self._thread:
            return self._thread.submit(self._file.readinto, there).result
        return lambda: self._file.readinto(there)

    def next(self, rest: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
        """Give the next piece behind `rest`, and the size of the piece: 0 at the end of the file.

        Args:
            rest: end of the array that was given before; one of more than `room` bytes costs a copy of the piece.

        Raises:
            OSError: the file cannot be read.
        """
        size = self._wait() or 0
        whole, begin = self._buffers[self._number], self._room - len(rest)
        if begin < 0:  # a packet that the piece held in part
            given = np.concatenate([rest, whole[self._room : self._room + size]])
        else:
            whole[begin : self._room] = rest
            given = whole[begin : self._room + size]
        self._number = 1 - self._number
        if size:
            self._wait = self._begin()
        return given, size
