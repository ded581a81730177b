"""Header lines of AEDAT 1, 2 and 3: each starts with `#`, is text, and ends with CRLF (or LF)."""

from __future__ import annotations

from os import PathLike
from typing import Final

from spikelab.errors import FormatError

__all__ = ["read_lines"]

_LONGEST: Final = 1 << 16
_TEXT: Final = bytes([9, *range(32, 127), *range(128, 256)])


def read_lines(path: str | PathLike[str], last: bytes, needed: bool) -> tuple[list[str], int, int]:
    """Read the header.

    Binary data may start with the byte `#` too, so a line counts only when it holds nothing but text.

    Args:
        path: the file.
        last: start of the line that ends the header, where there is one.
        needed: whether there must be such a line.

    Returns:
        The lines, without their ends; the byte behind the header; the size of the file.

    Raises:
        FormatError: the file is missing or empty, or its header is cut.
    """
    lines: list[str] = []
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = 0
            while (line := file.readline(_LONGEST)).startswith(b"#") and line.endswith(b"\n"):
                text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
                if text.translate(None, _TEXT):
                    break
                lines.append(text.decode("utf-8", "replace"))
                start += len(line)
                if text.startswith(last):
                    return lines, start, size
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error
    if not size:
        raise FormatError(path, "found an empty file; expected a header; copy it again", 0)
    if needed:
        raise FormatError(
            path, f"found no line {last.decode()!r}; expected one that ends the header; the file is cut", start
        )
    if start == 0:
        raise FormatError(path, "found no whole line of text at its start; expected a header; the file is cut", 0)
    return lines, start, size
