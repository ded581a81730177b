"""Filters of HDF5 that unpack chunks: deflate, shuffle, Fletcher-32, LZF, LZ4, Zstd and Blosc, each within a bound.

Source:
    HDF5 File Format Specification Version 3.0, The HDF Group; filters registered with The HDF Group (32000 LZF,
    32001 Blosc, 32004 LZ4, 32015 Zstd); Blosc chunk format (c-blosc, README_CHUNK_FORMAT.rst).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from math import prod

import numpy as np

__all__ = ["FilterError", "most_bytes", "unfilter"]

_MOST_CHUNK = 1 << 32
_MOST_SPLITS, _SMALLEST_SPLIT = 16, 128  # c-blosc 1: MAX_SPLITS and MIN_BUFFERSIZE


# Deflate cannot do better than 1032:1 (zlib, technical notes), Zstd than 128 KiB in 4 bytes (RFC 8878, 3.1.1.2).
_MOST_INFLATION = {1: 1032, 2: 1, 3: 1, 32001: 32768, 32015: 32768}
_USUAL_INFLATION = 1032  # the others pack less tight


class FilterError(ValueError):
    """A chunk cannot be unpacked. The reader turns it into a `FormatError` with path and offset."""


def most_bytes(stored: int, numbers: Sequence[int]) -> int:
    """Most bytes that a chunk of `stored` bytes may become, packed with the filters of these numbers.

    Example:
        >>> most_bytes(100, [2, 1]), most_bytes(100, [])
        (103200, 100)
    """
    return stored * prod(_MOST_INFLATION.get(number, _USUAL_INFLATION) for number in numbers)


def unfilter(data: bytes, number: int, values: tuple[int, ...], size: int) -> bytes:
    """Undo one filter.

    Args:
        data: the packed chunk.
        number: of the filter, as registered.
        values: its parameters.
        size: bytes of the unpacked chunk: no result is longer (but for a checksum behind it).

    Raises:
        FilterError: damaged, longer than `size`, or a filter that is not read.
    """
    try:
        if number == 1:
            return _inflate(data, size + 4)
        if number == 2 and values and values[0] > 0:
            return _unshuffle(data, values[0])
        if number == 3:
            return _check_sum(data)
        if number == 32000:
            return _lz(data, size, "lzf")
        if number == 32001:
            return _unblosc(data, size)
        if number == 32004:
            return _lz4_blocks(data, size)
        if number == 32015:
            return _zstd(data, size)
    except (struct.error, IndexError, ValueError) as error:
        raise FilterError(f"cannot unpack a chunk ({error}); the file is damaged") from error
    raise FilterError(
        f"found filter {number}; expected deflate, shuffle, LZF, LZ4, Zstd or Blosc; pack the file again with "
        "h5repack -f GZIP=6"
    )


def _inflate(data: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        result = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise FilterError(f"cannot unpack a chunk ({error}); the file is damaged") from error
    if not unpacker.eof:
        raise FilterError("found an incomplete chunk; expected all of it; the file is damaged")
    return result


def _unshuffle(data: bytes, width: int) -> bytes:
    from spikelab.events.hdf5_lz import unshuffle

    out = np.empty(len(data), np.uint8)
    unshuffle(np.frombuffer(data, np.uint8), min(width, len(data) + 1), out)
    return out.tobytes()


def _check_sum(data: bytes) -> bytes:
    """Take the Fletcher-32 sum of big-endian words of 16 bits off, and compare it."""
    body, stored = data[:-4], data[-4:]
    words = np.frombuffer(body[: len(body) // 2 * 2], ">u2").astype(np.uint64)
    if len(body) % 2:
        words = np.append(words, np.uint64(body[-1] << 8))
    low = int(words.sum())
    weights = np.arange(len(words), 0, -1, dtype=np.uint64)
    high = sum(int((words[k : k + 65536] * weights[k : k + 65536]).sum()) for k in range(0, len(words), 65536))
    found = [(total - 1) % 65535 + 1 if total else 0 for total in (low, high)]
    if len(stored) != 4 or (found[1] << 16 | found[0]) != int.from_bytes(stored, "little"):
        raise FilterError("found a chunk that differs from its checksum; expected it unchanged; the file is damaged")
    return body


def _lz(data: bytes, size: int, kind: str) -> bytes:
    from spikelab.events import hdf5_lz

    out = np.empty(size, np.uint8)
    length = (hdf5_lz.lzf if kind == "lzf" else hdf5_lz.blosclz)(np.frombuffer(data, np.uint8), out)
    if length < 0:
        raise FilterError("found a pointer outside the chunk; expected it inside; the file is damaged")
    return out[:length].tobytes()


def _lz4_blocks(data: bytes, size: int) -> bytes:
    total, block = struct.unpack_from(">QI", data)
    if total > size or not 0 < block <= _MOST_CHUNK:
        raise FilterError(f"found {total} bytes in blocks of {block}; expected at most {size}; the file is damaged")
    parts, place, left = list[bytes](), 12, total
    while left:
        packed = struct.unpack_from(">I", data, place)[0]
        length = min(block, left)
        part = data[place + 4 : place + 4 + packed]
        parts.append(part if packed == length else _lz4(part, length))
        place, left = place + 4 + packed, left - length
        if len(parts[-1]) != length:
            raise FilterError("found an incomplete block; expected all of it; the file is damaged")
    return b"".join(parts)


def _lz4(data: bytes, size: int) -> bytes:
    import lz4.block

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=size))
    except (lz4.block.LZ4BlockError, MemoryError) as error:
        raise FilterError(f"cannot unpack a block ({error}); the file is damaged") from error


def _zstd(data: bytes, size: int) -> bytes:
    import zstandard

    try:
        stated = zstandard.get_frame_parameters(data).content_size
        if stated not in (size, zstandard.CONTENTSIZE_UNKNOWN) and stated > size + 4:
            raise FilterError(f"found a frame of {stated} bytes; expected {size}; the file is damaged")
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, max_output_size=size + 4)
    except (zstandard.ZstdError, MemoryError) as error:
        raise FilterError(f"cannot unpack a frame ({error}); the file is damaged") from error


def _unblosc(data: bytes, size: int) -> bytes:
    version, _, flags, width, total, block, packed = struct.unpack_from("<4B3I", data)
    if version not in (1, 2) or total > size or packed > len(data) or not width or not (block or not total):
        raise FilterError("found no Blosc chunk; expected one; the file is damaged")
    if flags & 2:  # stored as it is
        return data[16 : 16 + total]
    parts, codec = list[bytes](), flags >> 5
    for k in range(-(-total // block) if total else 0):
        length = min(block, total - k * block)
        splits = 1
        if not flags & 16 and width <= _MOST_SPLITS and block // width >= _SMALLEST_SPLIT and length == block:
            splits = width
        place = struct.unpack_from("<I", data, 16 + 4 * k)[0]
        streams = list[bytes]()
        for _ in range(splits):
            inside, step = struct.unpack_from("<I", data, place)[0], length // splits
            stream = data[place + 4 : place + 4 + inside]
            streams.append(stream if inside == step else _codec(stream, step, codec))
            if len(streams[-1]) != step:
                raise FilterError("found an incomplete block; expected all of it; the file is damaged")
            place += 4 + inside
        whole = b"".join(streams)
        if flags & 1 and width > 1:
            whole = _unshuffle(whole, width)
        elif flags & 4:
            whole = _unshuffle_bits(whole, width)
        parts.append(whole)
    return b"".join(parts)


def _codec(data: bytes, size: int, codec: int) -> bytes:
    if codec == 0:
        return _lz(data, size, "blosclz")
    if codec == 1:
        return _lz4(data, size)
    if codec == 3:
        return _inflate(data, size)
    if codec == 4:
        return _zstd(data, size)
    raise FilterError(f"found Blosc with codec {codec}; expected BloscLZ, LZ4, zlib or Zstd; pack the file again")


def _unshuffle_bits(data: bytes, width: int) -> bytes:
    """Undo the shuffle of bits: bit b of all elements, 8 elements a byte, for each of 8 * width bits."""
    count = len(data) // width
    if count % 8:
        return data
    planes = np.frombuffer(data[: count * width], np.uint8).reshape(8 * width, count // 8)
    bits = np.unpackbits(planes, axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes() + data[count * width :]
