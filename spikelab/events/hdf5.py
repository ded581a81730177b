"""HDF5, read within bounds: what SHD files and our bundled sets use, and nothing else.

Why not h5py: the HDF5 library trusts its files. Of 3,000 SHD files with one to three changed bytes, 5 hung
and 1 crashed the process (h5py 3.16, HDF5 2.0); an application cannot catch that. Here every access is checked
against the size of the file, walks are finite, and what is unpacked is bounded. Writing is left to h5py.

Read are files of h5py's default layout (superblock 0 and 1, symbol-table groups, object headers 1; datasets
contiguous, compact or chunked with the filters of `hdf5_filters`; integers, floats, enumerations, byte strings and
sequences of variable length). Files in the newer layout (libver="latest") are refused with advice.

Source:
    HDF5 File Format Specification Version 3.0, The HDF Group.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.events.faults import Faults
from spikelab.events.hdf5_column import Column
from spikelab.events.hdf5_filters import FilterError, most_bytes, unfilter
from spikelab.events.hdf5_heap import REFERENCE, Sequences
from spikelab.events.hdf5_messages import ElementType, Node, read_message

__all__ = ["SIGNATURE", "Hdf5", "open_hdf5"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file."""

_UNDEFINED = 2**64 - 1
_MOST_INFLATION = 1032  # of deflate (zlib, technical notes)
_MOST_CHUNK = 1 << 26  # bytes; a larger chunk must not have been packed tighter than deflate can
_MOST_NODES = 100_000


@contextmanager
def open_hdf5(path: str | PathLike[str], faults: Faults | None = None) -> Iterator[Hdf5]:
    """Open a file, and close it after.

    Args:
        path: the file.
        faults: what to do where the file is shorter or longer than its header says; None refuses it.

    Raises:
        FormatError: missing, empty, foreign, cut, longer than its header says, or of a layout that is not read.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(len(SIGNATURE))
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if head == SIGNATURE else None
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); expected an HDF5 file; check the path") from error
    if data is None:
        raise FormatError(
            path, f"found {head!r}; expected {SIGNATURE!r}; this is no HDF5 file, or it is empty or cut", 0
        )
    with data:
        yield Hdf5(str(path), data, faults)


class Hdf5:
    """An open file: arrays by path.

    Args:
        path: name of the file, for errors.
        data: its bytes.
        faults: see `open_hdf5`.
    """

    def __init__(self, path: str, data: mmap.mmap | bytes, faults: Faults | None = None) -> None:
        self.path, self._data, self._steps = path, data, 0
        version, offsets, lengths = self.unpack("8xB4xBB", 0)
        if version > 1 or (offsets, lengths) != (8, 8):
            raise self.error(
                f"found superblock version {version} with offsets of {offsets} bytes; expected version 0 or 1 with 8; "
                'write it again with h5py.File(..., libver="earliest"), or h5repack --low=0 --high=0',
                8,
            )
        first = 24 if version == 0 else 28
        base, end = self.unpack("Q8xQ", first)
        if base or end != len(data):
            size = self.error(
                f"found {len(data)} bytes; expected {end}, as its header says; the file is cut, or has bytes added",
                first,
            )
            if base or faults is None:
                raise size
            faults.meet(size)
            faults.leave(max(0, len(data) - end))
        self._nodes = dict(self._walk(self.unpack("Q", first + 40)[0]))

    def error(self, message: str, offset: int | None = None) -> FormatError:
        """Make an error of this file."""
        return FormatError(self.path, message, None if offset == _UNDEFINED else offset)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def names(self, group: str) -> list[str]:
        """Names of the arrays directly in a group."""
        return sorted(name for name in self._nodes if name.rpartition("/")[0] == group)

    def read(self, name: str, rank: int = 1) -> NDArray[np.generic]:
        """Read a whole array of numbers or byte strings.

        Raises:
            FormatError: missing, of another rank, of variable length, or damaged.
        """
        node, shape, kind = self._dataset(name)
        if kind.sequence or len(shape) != rank:
            what = "sequences" if kind.sequence else "an array"
            raise self.error(
                f"found {what} of shape {shape} in {name}; expected plain values on {rank} axes; the layout is another"
            )
        return np.frombuffer(self._bytes(name, node, shape, kind.size), kind.dtype).reshape(shape)

    def sequences(self, name: str) -> Sequences:
        """Find the entries of an array of sequences; each is read when it is asked for.

        Raises:
            FormatError: missing, not of variable length, or damaged.
        """
        node, shape, kind = self._dataset(name)
        if not kind.sequence or len(shape) != 1:
            raise self.error(
                f"found an array of shape {shape} in {name}; expected sequences on one axis; the layout is another"
            )
        raw = np.frombuffer(self._bytes(name, node, shape, kind.size), REFERENCE)
        if int(raw["length"].sum(dtype=np.float64)) * kind.dtype.itemsize > len(self._data):
            raise self.error(f"found {name} longer than the whole file; expected less; the file is damaged")
        return Sequences(self, name, raw, kind.dtype)

    def view(self, start: int, size: int) -> bytes:
        """Bytes of the file, all of them or an error."""
        if start < 0 or size < 0 or start + size > len(self._data):
            raise self.error(
                f"found a pointer to {size} bytes at {start}; expected it inside the file; the file is cut or damaged"
            )
        return bytes(self._data[start : start + size])

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """Little-endian values at a place, as `struct.unpack` gives them."""
        return struct.unpack("<" + layout, self.view(offset, struct.calcsize("<" + layout)))

    def column(self, name: str) -> Column:
        """Find an array of numbers on one axis, for reading part by part.

        Raises:
            FormatError: missing, of another rank or type, or damaged.
        """
        node, shape, kind = self._dataset(name)
        if kind.sequence or len(shape) != 1 or kind.dtype.kind not in "iuf":
            raise self.error(f"found an array of shape {shape} in {name}; expected numbers on one axis")
        return Column(self, name, node, shape[0], kind.dtype)

    def _dataset(self, name: str) -> tuple[Node, tuple[int, ...], ElementType]:
        self._steps = 0
        node = self._nodes.get(name)
        if node is None:
            known = ", ".join(sorted(self._nodes)) or "none"
            raise self.error(f"found no array {name} among {known}; expected it; the layout is another")
        if node.shape is None or node.type is None or node.layout is None:
            raise self.error(f"found {name} of a type that is not read; expected numbers or sequences of them")
        return node, node.shape, node.type

    def _bytes(self, name: str, node: Node, shape: tuple[int, ...], itemsize: int) -> bytes:
        size = prod(shape) * itemsize
        kind, address, *rest = node.layout or (0, 0, -1)
        if size == 0:
            return b""
        if kind == 2:
            return self._chunks(name, address, tuple(rest), shape, itemsize, node.filters)
        if rest[0] != size or address == _UNDEFINED:
            raise self.error(
                f"found {rest[0]} bytes stored for {name}; expected {size}; the file is damaged or was never filled"
            )
        return self.view(address, size)

    def _chunks(
        self,
        name: str,
        tree: int,
        chunk: tuple[int, ...],
        shape: tuple[int, ...],
        itemsize: int,
        filters: list[tuple[int, tuple[int, ...]]],
    ) -> bytes:
        """Put a chunked array together."""
        size = prod(chunk) * itemsize
        found = self.chunk_table(name, tree, chunk, shape, size, filters)
        array = np.empty(shape, np.dtype((np.void, itemsize)))
        for place, entry in found.items():
            data = self.chunk(name, entry, size, filters)
            target = array[tuple(slice(c, c + n) for c, n in zip(place, chunk, strict=True))]
            target[...] = np.frombuffer(data, array.dtype).reshape(chunk)[tuple(slice(n) for n in target.shape)]
        return array.tobytes()

    def chunk_table(
        self,
        name: str,
        tree: int,
        chunk: tuple[int, ...],
        shape: tuple[int, ...],
        size: int,
        filters: list[tuple[int, tuple[int, ...]]],
    ) -> dict[tuple[int, ...], tuple[int, int, int]]:
        """Find the chunks of an array: address, stored bytes and mask of filters, by their corner.

        Raises:
            FormatError: some are missing, twice, off their grid, more than the file can hold, or of so few bytes that
                they cannot become the `size` of a chunk.
        """
        if not chunk or len(chunk) != len(shape) or min(chunk) < 1:
            raise self.error(f"found chunks of shape {chunk} in {name} of shape {shape}; the file is damaged", tree)
        if tree == _UNDEFINED:
            raise self.error(f"found no chunks of {name}; expected values; the file was never filled")
        found: dict[tuple[int, ...], tuple[int, int, int]] = {}
        for (stored, mask, *corner), address in self._tree(tree, 1, "II" + "Q" * len(shape) + "8x"):
            place = tuple(corner)
            if place in found or any(c % n or c >= all_ for c, n, all_ in zip(place, chunk, shape, strict=True)):
                raise self.error(
                    f"found a chunk of {name} at {place}, twice or off its grid; the file is damaged", address
                )
            used = [number for k, (number, _) in enumerate(filters) if not mask >> k & 1]
            if size > most_bytes(stored, used):
                raise self.error(
                    f"found {stored} bytes for a chunk of {size} of {name}; expected more; the file is damaged", address
                )
            found[place] = address, stored, mask
        packed = sum(stored for _, stored, _ in found.values())
        if len(found) != prod(-(-all_ // n) for all_, n in zip(shape, chunk, strict=True)):
            raise self.error(
                f"found {len(found)} chunks of {name}; expected all; the file is damaged or unfilled", tree
            )
        if packed > len(self._data):
            raise self.error(f"found {packed} bytes of {name}; expected at most {len(self._data)}", tree)
        return found

    def chunk(
        self, name: str, entry: tuple[int, int, int], size: int, filters: list[tuple[int, tuple[int, ...]]]
    ) -> bytes:
        """Unpack a chunk of `size` bytes.

        Raises:
            FormatError: it is damaged, or unpacks to another size.
        """
        address, stored, mask = entry
        if size > max(_MOST_CHUNK, _MOST_INFLATION * (stored + 64)):
            raise self.error(f"found {stored} bytes for a chunk of {size} of {name}; the file is damaged", address)
        data = self.view(address, stored)
        for k in reversed(range(len(filters))):
            if not mask >> k & 1:
                try:
                    data = unfilter(data, *filters[k], size)
                except FilterError as error:
                    raise self.error(str(error), address) from error
        if len(data) != size:
            raise self.error(f"found {len(data)} bytes in a chunk of {name}; expected {size}", address)
        return data

    def _tree(self, address: int, kind: int, key: str, depth: int = 0) -> Iterator[tuple[tuple[int, ...], int]]:
        """Walk a B-tree of version 1: keys and addresses of its leaves."""
        if address == _UNDEFINED:
            return
        signature, found, level, used = self.unpack("4sBBH", address)
        if signature != b"TREE" or found != kind or level > 8 or depth > 8:
            raise self.error("found no B-tree node; expected one; the file is damaged", address)
        step = struct.calcsize("<" + key) + 8
        for k in range(used):
            entry = address + 24 + k * step
            *keys, child = self.unpack(key + "Q", entry)
            self._count(entry)
            if level:
                yield from self._tree(child, kind, key, depth + 1)
            else:
                yield tuple(keys), child

    def _count(self, offset: int) -> None:
        """Bound the walk: a damaged file may point in circles."""
        self._steps += 1
        if self._steps > min(_MOST_NODES, len(self._data)):
            raise self.error(
                "found pointers in a circle, or too many of them; expected a tree; the file is damaged", offset
            )

    def _walk(self, root: int) -> Iterator[tuple[str, Node]]:
        """Find all arrays, with their paths."""
        waiting, seen = [("", root)], set[int]()
        while waiting:
            path, address = waiting.pop()
            if address in seen:
                raise self.error("found an object in two groups; expected a tree; the file is damaged", address)
            seen.add(address)
            node = self._header(address)
            if node.group is None:
                yield path, node
                continue
            tree, heap = node.group
            signature, _, size, start = self.unpack("4sB3xQ8xQ", heap)
            if signature != b"HEAP":
                raise self.error("found no local heap; expected the names of a group; the file is damaged", heap)
            names = self.view(start, size)
            for _, leaf in self._tree(tree, 0, "Q"):
                signature, count = self.unpack("4s2xH", leaf)
                if signature != b"SNOD":
                    raise self.error(
                        "found no symbol table; expected the members of a group; the file is damaged", leaf
                    )
                for k in range(count):
                    offset, member = self.unpack("QQ", leaf + 8 + 40 * k)
                    stop = names.find(b"\0", offset)
                    if stop < 0:
                        raise self.error("found a name without an end; expected one; the file is damaged", leaf)
                    name = names[offset:stop].decode("utf-8", "replace")
                    waiting.append((f"{path}/{name}" if path else name, member))

    def _header(self, address: int) -> Node:
        """Read the messages of an object header of version 1."""
        version, count, size = self.unpack("BxH4xI", address)
        if version != 1:
            raise self.error(
                f"found an object header of version {version}; expected 1; write the file again with libver='earliest'",
                address,
            )
        node = Node()
        blocks = [(address + 16, size)]
        while blocks and count:
            place, left = blocks.pop(0)
            while left >= 8 and count:
                kind, length, flags = self.unpack("HHB3x", place)
                body = place + 8
                if length > left - 8:
                    raise self.error(
                        "found a message beyond the end of its header; expected it inside; the file is damaged", place
                    )
                self._count(place)
                count -= 1
                if kind == 0x10:
                    blocks.append((self.unpack("QQ", body)[0], self.unpack("QQ", body)[1]))
                else:
                    try:
                        read_message(node, kind, self.view(body, length), flags, body)
                    except ValueError as error:
                        message = (
                            f"cannot read message {kind:#x} ({error}); the file is damaged, or of a layout not read"
                        )
                        raise self.error(message, body) from error
                place, left = body + length, left - 8 - length
        return node
