"""Packing and unpacking with a bound: n bytes never become more than 256 n bytes (plus 64 KiB), or than 32 MiB.

The 32 MiB are for Zstd, which packs equal events up to 32,768 times; packets of events have some hundred KiB.

Both codecs let other threads run while they work.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CODECS", "CodecError", "pack", "unpack"]

CODECS: Final = ("lz4", "none", "zstd")
"""Names of the codecs."""
_MOST_INFLATION = 256  # LZ4 cannot do better than 255:1 (LZ4 block format)
_MOST_OF_ZSTD = 32768  # 128 KiB in an RLE block of 4 bytes (RFC 8878, 3.1.1.2)
_ANY_PACKET = 1 << 25
_USUAL_INFLATION = 4
_PIECE = 64


class CodecError(ValueError):
    """Packed bytes cannot be unpacked. A reader turns it into a `FormatError` with path and offset."""


def pack(data: bytes, codec: str) -> bytes:
    """Pack bytes into one frame of `codec`, as `unpack` reads it.

    Example:
        >>> unpack(pack(b"abc", "zstd"), "zstd")
        (b'abc', 0)
    """
    if codec == "none":
        return data
    if codec == "lz4":
        import lz4.frame

        return bytes(lz4.frame.compress(data))
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def unpack(data: bytes, codec: str) -> tuple[bytes, int]:
    """Unpack one frame.

    Args:
        data: the frame, perhaps with bytes after it.
        codec: one of `CODECS`.

    Returns:
        The unpacked bytes, and the number of bytes left after the frame (0 for `"none"`).

    Raises:
        CodecError: damaged or incomplete, or it grows beyond the bound.

    Example:
        >>> unpack(b"abc", "none")
        (b'abc', 0)
    """
    if codec == "none":
        return data, 0
    limit = _MOST_INFLATION * len(data) + (1 << 16)
    if codec == "lz4":
        return _unpack_lz4(data, limit)
    return _unpack_zstd(data, max(limit, min(_MOST_OF_ZSTD * len(data), _ANY_PACKET)))


def _unpack_lz4(data: bytes, limit: int) -> tuple[bytes, int]:
    import lz4.frame

    decoder = lz4.frame.LZ4FrameDecompressor()
    parts: list[bytes] = []
    size = 0
    try:
        # The decoder sets aside as much as it may return, so it is asked for the usual size first.
        room = min(limit, _USUAL_INFLATION * len(data) + (1 << 16))
        while True:
            parts.append(decoder.decompress(b"" if parts else data, max_length=room))
            size += len(parts[-1])
            if decoder.eof or decoder.needs_input or not parts[-1] or size >= limit:
                break
            room = min(limit - size, 2 * size)
    except (RuntimeError, ValueError, EOFError, MemoryError) as error:
        raise CodecError(f"LZ4: {error}") from error
    if not decoder.eof:
        raise CodecError("LZ4: the frame is incomplete, or unpacks to more than 256 times its size")
    return parts[0] if len(parts) == 1 else b"".join(parts), len(decoder.unused_data or b"")


def _unpack_zstd(data: bytes, limit: int) -> tuple[bytes, int]:
    import zstandard

    try:
        if 0 < zstandard.frame_content_size(data) <= limit:
            whole = zstandard.ZstdDecompressor(max_window_size=1 << 27)
            return whole.decompress(data, allow_extra_data=False), 0
    except (zstandard.ZstdError, MemoryError):
        pass  # damaged, or bytes after the frame: found out below
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    parts: list[bytes] = []
    size = used = 0
    try:
        # In small pieces, as one byte may stand for 32 KiB: the bound is looked at each 2 MiB.
        while used < len(data) and not decoder.eof:
            parts.append(decoder.decompress(data[used : used + _PIECE]))
            used = min(used + _PIECE, len(data))
            size += len(parts[-1])
            if size > limit:
                raise CodecError(f"Zstd: {len(data)} bytes unpack to more than {limit}")
    except (zstandard.ZstdError, MemoryError) as error:
        raise CodecError(f"Zstd: {error}") from error
    if not decoder.eof:
        raise CodecError("Zstd: the frame is incomplete")
    return b"".join(parts), len(decoder.unused_data) + len(data) - used
