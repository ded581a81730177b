"""Global heaps of HDF5: where arrays of variable length keep their entries.

Source:
    HDF5 File Format Specification Version 3.0, The HDF Group, section III.E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spikelab.events.hdf5 import Hdf5

__all__ = ["REFERENCE", "Sequences"]

REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
"""What an array of variable length stores for each entry."""


class Sequences:
    """Entries of variable length; each is read from the open file when it is asked for.

    Args:
        file: the open file.
        name: path of the array, for errors.
        references: [R] of dtype `REFERENCE`.
        dtype: type of the values of the entries.
    """

    def __init__(self, file: Hdf5, name: str, references: NDArray[np.void], dtype: np.dtype[np.generic]) -> None:
        self._file, self._name, self._references, self.dtype = file, name, references, dtype
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._references)

    def __getitem__(self, k: int) -> NDArray[np.generic]:
        """Values of one entry.

        Raises:
            FormatError: its place in the file is damaged.
        """
        length, address, index = (int(value) for value in self._references[k])
        if length == 0:
            return np.zeros(0, self.dtype)
        if address not in self._heaps:
            self._heaps[address] = self._objects(address)
        start, size = self._heaps[address].get(index, (0, -1))
        if length * self.dtype.itemsize != size:
            raise self._file.error(
                f"found {size} bytes for {self._name}[{k}]; expected {length} values; the file is damaged", address
            )
        return np.frombuffer(self._file.view(start, size), self.dtype)

    def _objects(self, address: int) -> dict[int, tuple[int, int]]:
        """Place and size of each object of a heap."""
        signature, version, size = self._file.unpack("4sB3xQ", address)
        if signature != b"GCOL" or version != 1:
            raise self._file.error("found no heap; expected one; the file is damaged", address)
        objects: dict[int, tuple[int, int]] = {}
        place, end = address + 16, address + size
        while place + 16 <= end:
            index, length = self._file.unpack("H6xQ", place)
            if index == 0:  # the rest is free
                break
            if place + 16 + length > end:
                raise self._file.error("found an object across the end of its heap; the file is damaged", place)
            objects[index] = place + 16, length
            place += 16 + (length + 7) // 8 * 8
        return objects
