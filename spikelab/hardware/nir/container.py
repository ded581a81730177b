"""HDF5 to a tree of arrays, with bounds that hold before memory is taken.

A file can declare terabytes in a few bytes: unwritten chunks, highly compressed ones, chunks that
inflate beyond what they declare, groups that hold themselves, strings that all point to one block. It
can also name other files (external links, external and virtual data) or filters that load code. So
everything is checked against the size of the file and fixed caps first, and what points outside is
refused.
"""

from __future__ import annotations

import math
import os
import stat
import zlib
from typing import Any

import h5py
import numpy as np

from spikelab.errors import FormatError
from spikelab.files import file_name
from spikelab.hardware.nir import heap

__all__ = ["MOST_BYTES", "Tree", "load"]

Tree = dict[str, Any]
"""Nested groups; leaves are numeric arrays, strings, or object arrays of strings."""

MOST_BYTES = 4 * 2**30
"""Bytes that a file may hold once unpacked."""
_MOST_OBJECTS = 200_000
_MOST_DEPTH = 64
_INFLATION = 1100  # deflate packs at most 1032:1 (zlib technical details), lzf 88:1
_SLACK = 2**16
_MOST_TEXT = 2**26
_MOST_STRINGS = 2**20
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
_DEFLATE = 1


def load(path: str | os.PathLike[str], root: str) -> Tree:
    """Read one group of an HDF5 file.

    Args:
        path: the file.
        root: name of the group.

    Returns:
        The group as a tree, in the order in which the file lists it.

    Raises:
        FormatError: not a file, not HDF5, damaged, too large once unpacked, or pointing outside itself.
    """
    name = file_name(path)
    try:
        status = os.stat(name)
    except (OSError, ValueError) as error:
        raise FormatError(name, f"cannot be opened ({error}); expected a file") from None
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(name, "is not a regular file; expected an HDF5 file")
    try:
        with h5py.File(name, "r") as file:
            loader = _Loader(name, status.st_size, file)
            top = loader.open(file, root, f"/{root}") if root in file else None
            if not isinstance(top, h5py.h5g.GroupID):
                raise FormatError(name, f"has no group /{root}; expected a NIR graph there")
            return loader.group(h5py.Group(top), f"/{root}", 0)
    except FormatError:
        raise
    except Exception as error:  # noqa: BLE001  damaged files make h5py raise errors of nearly every class
        text = " ".join(str(error).split())[:200]
        raise FormatError(
            name, f"cannot be read as HDF5 ({type(error).__name__}: {text}); the file is damaged or foreign"
        ) from None


class _Loader:
    """One reading of one file: what is left of its bounds."""

    def __init__(self, path: str, size: int, file: Any):
        self.path, self.size, self.file = path, size, file
        self.bytes, self.objects, self.text = MOST_BYTES, _MOST_OBJECTS, _MOST_TEXT
        self.seen: set[Any] = set()

    def bad(self, where: str, found: str, expected: str) -> FormatError:
        return FormatError(self.path, f"{where}: found {found}; expected {expected}")

    def open(self, group: Any, key: str, where: str) -> Any:
        """Low-level object of a name, if it lies in this file: the high-level ones cost three times as much."""
        name = key.encode("utf-8", "surrogateescape")
        if group.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise self.bad(where, "a link to elsewhere", "data in the file itself")
        return h5py.h5o.open(group.id, name)

    def group(self, group: Any, where: str, depth: int) -> Tree:
        info = h5py.h5o.get_info(group.id)
        if info.addr in self.seen:
            raise self.bad(where, "a group that is held twice, by itself or by another", "a tree")
        self.seen.add(info.addr)
        if depth > _MOST_DEPTH:
            raise self.bad(where, f"more than {_MOST_DEPTH} levels", "a flatter graph")
        result: Tree = {}
        for key in group:
            self.objects -= 1
            if self.objects < 0:
                raise self.bad(where, f"more than {_MOST_OBJECTS} objects", "fewer")
            inner = f"{where}/{key}"
            item = self.open(group, key, inner)
            if isinstance(item, h5py.h5g.GroupID):
                result[key] = self.group(h5py.Group(item), inner, depth + 1)
            elif isinstance(item, h5py.h5d.DatasetID):
                others = "/metadata/" in inner and item.dtype.kind not in "fiub" and not _is_text(item)
                if not others:  # what other programs note in their metadata is theirs
                    result[key] = self.dataset(item, inner)
            else:
                raise self.bad(inner, "a data type", "a group or a dataset")
        return result

    def dataset(self, data: Any, where: str) -> Any:
        """Values of a low-level dataset."""
        plist = data.get_create_plist()
        if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
            raise self.bad(where, "data that lie in another file", "data in the file itself")
        if data.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            raise self.bad(where, "an empty dataset", "values")
        chunk = plist.get_chunk() if plist.get_layout() == h5py.h5d.CHUNKED else None
        self._bounds(data, chunk, where)
        if _is_text(data):
            return self._strings(data, where)
        if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
            raise self.bad(where, f"values of type {data.dtype}", "numbers of at most 64 bits, or strings")
        return _values(data)

    def _take(self, declared: int, where: str) -> None:
        self.bytes -= declared
        if self.bytes < 0:
            raise self.bad(where, f"more than {MOST_BYTES} bytes once unpacked", "a smaller file")

    def _bounds(self, data: Any, chunk: tuple[int, ...] | None, where: str) -> None:
        width, stored = data.get_type().get_size(), data.get_storage_size()
        if stored > self.size:
            raise self.bad(where, f"{stored} stored bytes", f"no more than the {self.size} of the file")
        most = stored if chunk is None else _INFLATION * stored + (_SLACK if stored else 0)
        whole = 0 if chunk is None else math.prod(chunk) * width
        for number in (math.prod(data.shape) * width, whole):
            if number > most:
                raise self.bad(where, f"{number} bytes declared and {stored} stored", f"at most {most}")
            self._take(number, where)
        if chunk is not None:
            self._filters(data, where, whole + 4)  # fletcher32 adds four bytes

    def _filters(self, data: Any, where: str, whole: int) -> None:
        plist = data.get_create_plist()
        filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
        for number in filters:
            if number not in _FILTERS:
                known = ", ".join(_FILTERS.values())
                raise self.bad(
                    where, f"HDF5 filter {number}", f"one of {known}; write the file with gzip or without compression"
                )
        deflate = 1 << filters.index(_DEFLATE) if _DEFLATE in filters else 0

        def inspect(chunk: Any) -> None:
            if chunk.size > min(self.size, whole + _SLACK):
                raise self.bad(
                    where, f"a chunk of {chunk.size} bytes", f"no more than {min(self.size, whole + _SLACK)}"
                )
            if not deflate or chunk.filter_mask & deflate:
                return
            _, raw = data.read_direct_chunk(chunk.chunk_offset)
            if len(zlib.decompressobj().decompress(raw, whole + 1)) > whole:
                raise self.bad(where, f"a chunk that inflates beyond {whole} bytes", "no more than it declares")

        data.chunk_iter(inspect)

    def _strings(self, data: Any, where: str) -> Any:
        count = math.prod(data.shape)
        if count > _MOST_STRINGS:
            raise self.bad(where, f"{count} strings", f"at most {_MOST_STRINGS}")
        if h5py.check_string_dtype(data.dtype).length is None:
            found = heap.strings(self.file, data, self.path)
        else:
            found = iter(_values(data).reshape(-1).tolist())
        result = np.empty(data.shape, object)
        flat = result.reshape(-1)
        for k, text in enumerate(found):
            self.text -= len(text)
            if self.text < 0:
                raise self.bad(where, f"more than {_MOST_TEXT} bytes of text", "less")
            flat[k] = text.decode("utf-8")
        return result if data.shape else str(flat[0])


def _values(data: Any) -> Any:
    values = np.empty(data.shape, data.dtype)
    if values.size:
        data.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _is_text(data: Any) -> bool:
    return h5py.check_string_dtype(data.dtype) is not None
