"""A column of an HDF5 file: numbers on one axis, read part by part with one chunk in memory."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spikelab.events.hdf5 import Hdf5
    from spikelab.events.hdf5_messages import Node

__all__ = ["Column"]


class Column:
    """Part of an open file; made by `Hdf5.column`.

    Args:
        file: the open file.
        name: path of the array, for errors.
        node: what its header says.
        count: number of values.
        dtype: their type.
    """

    def __init__(self, file: Hdf5, name: str, node: Node, count: int, dtype: np.dtype[Any]) -> None:
        self._file, self._name, self._filters = file, name, node.filters
        self.count, self.dtype = count, dtype
        kind, address, *rest = node.layout or (1, 0, 0)
        self._start = address
        self._step, self._chunks = 0, dict[tuple[int, ...], tuple[int, int, int]]()
        self._held: tuple[int, NDArray[Any]] = -1, np.empty(0, dtype)
        if not count:
            return
        if kind == 2:
            size = prod(rest) * dtype.itemsize
            self._chunks = file.chunk_table(name, address, tuple(rest), (count,), size, node.filters)
            self._step = rest[0]
        elif rest[0] != count * dtype.itemsize:
            raise file.error(
                f"found {rest[0]} bytes stored for {name}; expected {count * dtype.itemsize}; the file is damaged"
            )

    @property
    def chunked(self) -> bool:
        """Whether it lies in chunks, each of which may become no more than its bytes allow."""
        return self._step > 0

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Read values from `start` to `stop`.

        Raises:
            FormatError: they are damaged, or lie outside the file.
        """
        size = self.dtype.itemsize
        if not self._step:
            return np.frombuffer(self._file.view(self._start + start * size, (stop - start) * size), self.dtype)
        parts: list[NDArray[Any]] = []
        while start < stop:
            corner = start // self._step * self._step
            if self._held[0] != corner:
                data = self._file.chunk(self._name, self._chunks[corner,], self._step * size, self._filters)
                self._held = corner, np.frombuffer(data, self.dtype)
            end = min(stop, corner + self._step)
            parts.append(self._held[1][start - corner : end - corner])
            start = end
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
