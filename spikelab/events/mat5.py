"""MATLAB files, version 5 (also 6 and 7): real numeric arrays of the top level, compressed or not.

Source:
    MathWorks, MAT-File Format, "Level 5 MAT-File Format".
"""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError

__all__ = ["read"]

# Data types of elements: miINT8 to miUINT32, miSINGLE, miDOUBLE, miINT64, miUINT64.
_TYPES: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC = range(6, 16)  # classes mxDOUBLE to mxUINT64
_MOST_INFLATION = 1032  # of deflate (zlib, technical notes)


def read(path: str | PathLike[str]) -> dict[str, NDArray[np.generic]]:
    """Read the numeric arrays of a file by name; cells, structures and text are passed over.

    Raises:
        FormatError: missing, foreign (version 7.3 is HDF5), cut or damaged.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected a MATLAB file; check the path") from error
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128], "")
    if not order:
        raise FormatError(path, f"found {data[:19]!r}; expected a MATLAB 5 file; save it with -v7", 0)
    arrays: dict[str, NDArray[np.generic]] = {}
    place = 128
    while place < len(data):
        kind, body, after = _element(path, data, place, order, place)
        if kind == _COMPRESSED:
            try:
                unpacked = zlib.decompressobj().decompress(body, _MOST_INFLATION * len(body) + 64)
            except zlib.error as error:
                raise FormatError(path, f"cannot unpack an array ({error}); copy the file again", place) from error
            kind, body, _ = _element(path, unpacked, 0, order, place)
            after = place + 8 + int(np.frombuffer(data, order + "u4", 1, place + 4)[0])  # no padding behind it
        if kind == _MATRIX:
            arrays |= _array(path, body, order, place)
        place = after
    return arrays


def _element(path: Path, data: bytes, start: int, order: str, shown: int) -> tuple[int, bytes, int]:
    """Type and bytes of an element, and where the next one begins."""
    if start + 8 > len(data):
        raise FormatError(path, "found an element that is cut; expected all of it; copy the file again", shown)
    kind, size = (int(value) for value in np.frombuffer(data, order + "u4", 2, start))
    if kind >> 16:  # a small element: size and type share a word, up to four bytes follow
        return kind & 0xFFFF, data[start + 4 : start + 4 + min(kind >> 16, 4)], start + 8
    if start + 8 + size > len(data):
        raise FormatError(path, f"found an element of {size} bytes that is cut; expected all; copy it again", shown)
    return kind, data[start + 8 : start + 8 + size], start + 8 + -(-size // 8) * 8


def _array(path: Path, body: bytes, order: str, shown: int) -> dict[str, NDArray[np.generic]]:
    if not body:
        return {}
    _, flags, at = _element(path, body, 0, order, shown)
    if int.from_bytes(flags[:4], "little" if order == "<" else "big") & 0xFF not in _NUMERIC:
        return {}
    _, sizes, at = _element(path, body, at, order, shown)
    _, name, at = _element(path, body, at, order, shown)
    kind, values, _ = _element(path, body, at, order, shown)
    try:
        shape = np.frombuffer(sizes, order + "i4").tolist()
        array = np.frombuffer(values, order + _TYPES[kind]).reshape(shape, order="F")
    except (KeyError, ValueError) as error:
        raise FormatError(path, f"found an array that is damaged ({error}); copy the file again", shown) from error
    return {name.decode("ascii", "replace"): array.astype(array.dtype.newbyteorder("="))}
