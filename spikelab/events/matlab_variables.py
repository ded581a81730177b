"""Variables of a MATLAB 5 file (MATLAB's "-v6" and "-v7"), read within bounds: matrices of numbers, and nothing else.

Source:
    MAT-File Format, The MathWorks, R2015b, chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.files import file_size

__all__ = ["SIGNATURE", "read_variables"]

SIGNATURE: Final = b"MATLAB 5.0 MAT-file"
"""First bytes of a file."""
_HEADER = 128
_MOST_INFLATION = 1032  # of deflate (zlib, technical notes)
_MATRIX, _PACKED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMBERS = range(6, 16)  # classes double, single, int8 to uint64


def read_variables(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read all real matrices of numbers; other variables are passed over.

    Returns:
        Arrays by name, in MATLAB's order of axes. Values may be stored narrower than their class; whole numbers of
        class double come as the integers that they are stored as.

    Raises:
        FormatError: missing, foreign, cut or damaged.
    """
    file_size(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path") from error
    if not data.startswith(SIGNATURE) or len(data) < _HEADER:
        raise FormatError(path, f"found {data[:8]!r}; expected a MATLAB 5 file; it is foreign or cut in its header", 0)
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise FormatError(path, f"found the order of bytes {data[126:128]!r}; expected IM or MI; it is damaged", 126)
    found: dict[str, NDArray[Any]] = {}
    for kind, body, place in _elements(path, data, _HEADER, order, 0):
        if kind == _PACKED:
            inner = _unpack(path, body, place)
            elements = list(_elements(path, inner, 0, order, place))
            if len(elements) != 1:
                raise FormatError(path, f"found {len(elements)} elements packed; expected one; it is damaged", place)
            kind, body, _ = elements[0]
        if kind == _MATRIX:
            named = _matrix(path, body, order, place)
            if named is not None:
                found[named[0]] = named[1]
    return found


def _elements(
    path: str | PathLike[str], data: bytes | memoryview, start: int, order: str, base: int
) -> Iterator[tuple[int, memoryview, int]]:
    """Elements one after the other: type, bytes, and place in the file (`base` where they were packed)."""
    view, place = memoryview(data), start
    while place < len(view):
        at = base or place
        if place + 8 > len(view):
            raise FormatError(path, "found an element without an end; expected one; the file is cut", at)
        kind, size = struct.unpack_from(order + "II", view, place)
        body = place + 8
        following = body + (size if kind == _PACKED else -(-size // 8) * 8)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, body, following = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if size > 4:
                raise FormatError(path, f"found a small element of {size} bytes; expected up to 4; it is damaged", at)
        if body + size > len(view):
            raise FormatError(path, f"found an element of {size} bytes; expected fewer; the file is cut or damaged", at)
        yield kind, view[body : body + size], at
        place = following


def _unpack(path: str | PathLike[str], body: memoryview, place: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(body, _MOST_INFLATION * (len(body) + 64))
    except zlib.error as error:
        raise FormatError(path, f"cannot unpack a variable ({error}); the file is damaged", place) from error
    if not unpacker.eof:
        raise FormatError(path, "found an incomplete variable; expected all of it; the file is damaged", place)
    return data


def _matrix(path: str | PathLike[str], body: memoryview, order: str, place: int) -> tuple[str, NDArray[Any]] | None:
    """Name and values of a matrix; None where it is not one of real numbers."""
    parts = [part for part, _ in zip(_elements(path, body, 0, order, place), range(4), strict=False)]
    if len(parts) < 3 or len(parts[0][1]) != 8 or len(parts[1][1]) % 4:
        return None
    flags = struct.unpack(order + "II", parts[0][1])[0]
    number, is_complex = flags & 255, flags >> 11 & 1
    if number not in _NUMBERS or is_complex or len(parts) < 4:
        return None
    kind, values, _ = parts[3]
    axes = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    if kind not in _STORED or not axes or min(axes) < 0:
        raise FormatError(path, f"found a matrix of shape {axes} stored as type {kind}; it is damaged", place)
    dtype = np.dtype(f"{order}{_STORED[kind]}")
    if prod(axes) * dtype.itemsize != len(values):
        raise FormatError(
            path,
            f"found {len(values)} bytes of a matrix of shape {axes}; expected {prod(axes) * dtype.itemsize}",
            place,
        )
    name = bytes(parts[2][1]).decode("latin-1")
    return name, np.frombuffer(values, dtype).reshape(axes, order="F")
