"""Flatbuffers with a size prefix, read within bounds: what lies outside the data is a `struct.error`.

Source:
    FlatBuffers binary format, https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct

__all__ = ["at", "field", "root", "vector"]


def at(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    r"""Read little-endian integers at an offset; `layout` as in `struct`.

    Raises:
        struct.error: they lie outside the data.

    Example:
        >>> at("HH", b"\1\0\2\0", 0)
        (1, 2)
    """
    if offset < 0:
        raise struct.error(f"an offset points to byte {offset}")
    return struct.unpack_from("<" + layout, data, offset)


def root(data: bytes, identifier: bytes) -> int:
    """Find the root table.

    Args:
        data: the whole flatbuffer, its size first.
        identifier: 4 bytes that name its type.

    Raises:
        struct.error: another size or type.
    """
    size, offset = at("II", data, 0)
    if data[8:12] != identifier or size + 4 != len(data):
        raise struct.error(f"found {data[8:12]!r} of {size} bytes, expected {identifier!r} of {len(data) - 4}")
    return 4 + offset


def field(data: bytes, table: int, number: int) -> int | None:
    """Find a field of a table; None where it has its default."""
    vtable = table - at("i", data, table)[0]
    if 6 + 2 * number > at("H", data, vtable)[0]:
        return None
    offset = at("H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None


def vector(data: bytes, place: int, itemsize: int) -> tuple[int, int]:
    """Start and end of the elements of a vector or string that a field at `place` points to."""
    start = place + at("I", data, place)[0]
    stop = start + 4 + at("I", data, start)[0] * itemsize
    if stop > len(data):
        raise struct.error(f"a vector ends at byte {stop} of {len(data)}")
    return start + 4, stop
