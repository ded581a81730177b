"""Messages in the object headers of HDF5: shape, type, layout, filters or members of an object.

Source:
    HDF5 File Format Specification Version 3.0, The HDF Group, section IV.A.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

__all__ = ["ElementType", "Node", "read_message"]


@dataclass(frozen=True)
class ElementType:
    """Datatype of the elements: a NumPy dtype; for sequences, that of their entries."""

    dtype: np.dtype[np.generic]
    sequence: bool = False

    @property
    def size(self) -> int:
        """Bytes per element; of a sequence, those of its reference."""
        return 16 if self.sequence else self.dtype.itemsize


@dataclass
class Node:
    """What the messages of an object header say."""

    group: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None
    type: ElementType | None = None
    layout: tuple[int, ...] | None = None
    filters: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)


def read_message(node: Node, kind: int, body: bytes, flags: int, place: int) -> None:
    """Note on a node what a message says; messages that do not matter here are passed over.

    Args:
        node: where to note it.
        kind: type of the message.
        body: its bytes.
        flags: its flags.
        place: where the body stands in the file.

    Raises:
        ValueError: damaged, or of a version that is not read.
    """
    reader = {0x01: _dataspace, 0x03: _datatype, 0x08: _layout, 0x0B: _filters, 0x11: _group}.get(kind)
    if reader is None:
        return
    if flags & 2:
        raise ValueError("it is shared with other objects")
    try:
        reader(node, body, place)
    except (struct.error, IndexError, TypeError) as error:
        raise ValueError(str(error)) from error


def _group(node: Node, body: bytes, place: int) -> None:
    tree, heap = struct.unpack_from("<QQ", body)
    node.group = tree, heap


def _dataspace(node: Node, body: bytes, place: int) -> None:
    version, rank = body[0], body[1]
    if version not in (1, 2):
        raise ValueError(f"dataspace version {version}")
    node.shape = struct.unpack_from(f"<{rank}Q", body, 8 if version == 1 else 4)


def _datatype(node: Node, body: bytes, place: int) -> None:
    node.type = _parse_type(body)


def _parse_type(body: bytes) -> ElementType | None:
    """Datatype of a message; None for one that is not read."""
    kind, bits, size = struct.unpack_from("<BBxxI", body)
    kind &= 15  # the rest is the version
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return ElementType(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
    if kind == 1 and size in (2, 4, 8):
        return ElementType(np.dtype(f"{order}f{size}"))
    if kind == 3 and 1 <= size <= 4096:
        return ElementType(np.dtype(f"S{size}"))
    if kind == 8:  # an enumeration, such as h5py's bool
        base = _parse_type(body[8:])
        return base if base and base.dtype.kind in "iu" else None
    if kind == 9 and bits & 15 == 0 and size == 16:
        base = _parse_type(body[8:])
        return ElementType(base.dtype, sequence=True) if base and not base.sequence else None
    return None


def _layout(node: Node, body: bytes, place: int) -> None:
    version, kind = body[0], body[1]
    if version != 3 or kind > 2:
        raise ValueError(f"layout version {version}, class {kind}; write the file again with libver='earliest'")
    if kind == 0:
        node.layout = 0, place + 4, struct.unpack_from("<H", body, 2)[0]
    elif kind == 1:
        node.layout = 1, *struct.unpack_from("<QQ", body, 2)
    else:
        node.layout = 2, struct.unpack_from("<Q", body, 3)[0], *struct.unpack_from(f"<{body[2] - 1}I", body, 11)


def _filters(node: Node, body: bytes, place: int) -> None:
    version, count = body[0], body[1]
    if version not in (1, 2):
        raise ValueError(f"filter version {version}")
    offset = 8 if version == 1 else 2
    for _ in range(count):
        number = struct.unpack_from("<H", body, offset)[0]
        offset += 2
        length = 0
        if version == 1 or number >= 256:  # only these have a name
            length = struct.unpack_from("<H", body, offset)[0]
            offset += 2
        values = struct.unpack_from("<2xH", body, offset)[0]
        offset += 4 + length
        node.filters.append((number, struct.unpack_from(f"<{values}I", body, offset)))
        offset += 4 * values + (4 if version == 1 and values % 2 else 0)
