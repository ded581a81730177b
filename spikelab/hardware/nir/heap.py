"""Strings of variable length, taken from the global heap of an HDF5 file without libhdf5.

libhdf5 2.0 walks a damaged heap without end (an object of size 0 leads to itself), so the heap is
walked here, where each step must go forward. A dataset of such strings holds (length, address of a
collection, index in it) for each; a collection is a header and objects, each with index and size.

Source:
    HDF5 File Format Specification 3.0, III.E (global heap).
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

__all__ = ["HeapError", "strings"]

_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")


class HeapError(ValueError):
    """The heap is not what the format asks for."""


def strings(file: Any, data: Any, path: str) -> Iterator[bytes]:
    """The strings of a contiguous dataset, in order.

    Args:
        file: the open `h5py.File`.
        data: low-level dataset of variable-length strings.
        path: of the file.

    Raises:
        HeapError: a damaged heap, or a layout that h5py does not write for strings.
    """
    if file.id.get_create_plist().get_sizes() != (8, 8):
        raise HeapError("addresses that are not 64 bits wide")
    first = data.get_offset()
    if data.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS or first is None:
        raise HeapError("strings of variable length that are not stored contiguously")
    size, base = os.stat(path).st_size, file.userblock_size
    with open(path, "rb") as raw:
        count = math.prod(data.shape)
        references = np.frombuffer(_bytes(raw, first, count * _REFERENCE.itemsize, size), _REFERENCE)
        collections: dict[int, dict[int, bytes]] = {}
        for reference in references:
            length, address, index = (int(v) for v in reference.tolist())
            if not length:
                yield b""
                continue
            if address not in collections:
                collections[address] = _collection(raw, base + address, size)
            text = collections[address].get(index)
            if text is None or len(text) < length:
                raise HeapError(f"no string of {length} bytes at index {index} of the heap at byte {address}")
            yield text[:length]


def _bytes(raw: Any, first: int, count: int, size: int) -> bytes:
    if first < 0 or count < 0 or first + count > size:
        raise HeapError(f"{count} bytes at byte {first} of a file of {size}")
    raw.seek(first)
    return bytes(raw.read(count))


def _collection(raw: Any, first: int, size: int) -> dict[int, bytes]:
    """Objects of one collection by index."""
    mark, version, whole = _COLLECTION.unpack(_bytes(raw, first, _COLLECTION.size, size))
    if mark != b"GCOL" or version != 1 or whole < _COLLECTION.size:
        raise HeapError(f"no heap at byte {first}")
    block = _bytes(raw, first, whole, size)
    result: dict[int, bytes] = {}
    at = _COLLECTION.size
    while at + _OBJECT.size <= whole:
        index, _, length = _OBJECT.unpack_from(block, at)
        if index == 0:  # the free rest
            break
        at += _OBJECT.size
        if length > whole - at:
            raise HeapError(f"an object that leaves its heap at byte {first + at}")
        result[index] = block[at : at + length]
        at += (length + 7) // 8 * 8
    return result
