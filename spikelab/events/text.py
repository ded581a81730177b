"""Text: one event a line, "t x y p", with times in seconds, as in the Event Camera Dataset.

The first line may be "width height", or name the columns ("timestamp,x,y,polarity"); lines that begin with # or % are
comments. Numbers stand between spaces, tabs or commas. Polarity is 1 for ON, and 0 or -1 for OFF. Times are exact: the
nearest microsecond of the decimal number as written, half to even.
Times without a decimal point may be of any unit, so that these are refused until `unit` says it.

Source:
    Mueggler et al., The event-camera dataset and simulator, Int. J. Robot. Res. 36(2), 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO, RawIOBase
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events.array import Events, must_be_events
from spikelab.events.columns import NAMES, unit_power
from spikelab.events.faults import Faults
from spikelab.events.source import BLOCK, Extras, Format
from spikelab.events.words import decode, fresh_state
from spikelab.files import file_size, whole_file

__all__ = ["FORMAT", "open_text", "write"]

_HEAD = 1 << 16
_PROBLEMS = {
    3: "found a line that is not four numbers; expected t, x, y, p, with whole x, y and p; the file is damaged, or of "
    "another kind: name its columns in the first line, or pass columns='xypt', say",
    4: "found a time beyond 2**62 us; expected less; the file is damaged, or pass unit='us'",
    5: "found a polarity other than -1, 0, 1; expected one of them; the file is damaged, or pass columns='xypt', say",
    6: "found a line of more than 256 bytes; expected four numbers; the file is damaged or foreign",
}


class _Lines(RawIOBase):
    """A file of text, with an end of line behind its last byte."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._file, self._ended = FileIO(path), False

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer) or 0
        if not size and not self._ended and len(buffer):
            self._ended = True
            buffer[0] = 10
            return 1
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass(frozen=True)
class _Text:
    path: str | PathLike[str]
    faults: Faults
    shape: tuple[int, ...] | None
    sorted: bool
    start: int
    order: tuple[int, ...]
    power: int

    @property
    def most(self) -> int:
        """As many as the bytes could hold: a line has four numbers of a digit or more."""
        return file_size(self.path) // 8 + 1

    def blocks(self) -> Iterator[NDArray[np.void]]:
        from spikelab.events.text_kernel import LINE, OWN_STATE, events, resume
        from spikelab.events.words import OWN

        state = fresh_state(self.shape, self.sorted, OWN_STATE)
        state[OWN : OWN + OWN_STATE] = *self.order, self.power
        return decode(
            self.path, self.start, events, state, self.faults, LINE, 1, resume, _PROBLEMS, lambda: _Lines(self.path)
        )

    def extras(self) -> Extras:
        return Extras.none()


def open_text(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    unit: str | None = None,
    columns: str | None = None,
) -> _Text:
    """Open a file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage.
        shape: (width, height); None takes what the first line says, if anything.
        sorted: whether to refuse times that run backwards.
        unit: of the times: "s", "ms", "us" or "ns"; None means seconds, where the first time has a decimal point.
        columns: order of the columns, such as "xypt"; None takes names in the first line, else "txyp".

    Raises:
        FormatError: missing, empty, or its first times have no decimal point and no unit.
        ShapeError: `shape` has one axis.
        UnsupportedError: another unit, or columns that are not t, x, y and p in some order.
    """
    power = unit_power(unit, "s")
    if shape is not None and len(shape) != 2:
        raise ShapeError(f"text: found shape={shape!r}; expected (width, height); pass shape=(240, 180), say")
    order = "txyp" if columns is None else columns
    if not isinstance(order, str) or len(order) != 4 or set(order) != set("txyp"):
        raise UnsupportedError(f"text: found columns={columns!r}; expected t, x, y, p in some order; pass 'xypt', say")
    if not file_size(path):
        raise FormatError(path, "found an empty file; expected lines of t, x, y, p; copy it again", 0)
    start, line = _first_line(path, 0)
    words = line.replace(b",", b" ").split()
    named = _named(words)
    if named is not None:
        start += len(line)
        order = named if columns is None else order
    elif len(words) == 2 and all(word.isdigit() and 0 < len(word) < 6 for word in words):
        width, height = int(words[0]), int(words[1])
        if not (0 < width <= 1 << 16 and 0 < height <= 1 << 16):
            raise FormatError(
                path, f"found a sensor of {width} x {height}; expected pixels; the file is damaged", start
            )
        shape, start = shape or (width, height), start + len(line)
    at, record = _first_line(path, start)
    first = record.replace(b",", b" ").split()
    if unit is None and len(first) == 4 and not set(first[order.index("t")]) & set(b".eE"):
        raise FormatError(
            path,
            f"found the time {first[order.index('t')].decode('ascii', 'replace')} without a decimal point; expected "
            "seconds; pass unit='us', or unit='s' if these are seconds",
            at,
        )
    return _Text(path, faults, shape, sorted, start, tuple(order.index(name) for name in "txyp"), power)


def _first_line(path: str | PathLike[str], start: int) -> tuple[int, bytes]:
    """Place and bytes of the first line from `start` that is no comment and not empty."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            head = file.read(_HEAD)
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path") from error
    for line in head.splitlines(keepends=True):
        if line.strip() and not line.startswith((b"#", b"%")):
            return start, line
        start += len(line)
    return start, b""


def _named(words: list[bytes]) -> str | None:
    """Order of the columns that the words of a line name; None where they are no names."""
    texts = [word.decode("ascii", "replace").strip("\"'").lower() for word in words]
    order = "".join(next((field for field, known in NAMES.items() if text in known), "?") for text in texts)
    return order if len(order) == 4 and set(order) == set("txyp") else None


def write(events: Events, path: str | PathLike[str]) -> None:
    """Write text with the sensor's width and height in its first line, under a temporary name first.

    Raises:
        ShapeError: the sensor has one axis, or these are no events.
        UnsupportedError: a time beyond 2**62 us, which is not read again.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> one = Events.from_columns(t=[3811], x=[96], y=[133], p=[0], shape=(240, 180))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.txt")
        ...     Path(f"{folder}/a.txt").read_text().replace(chr(10), " ").strip()
        '240 180 0.003811 96 133 0'
    """
    must_be_events(events, "text")
    if len(events.shape) != 2:
        raise ShapeError(
            f"text: found a sensor of shape {events.shape}; expected (width, height); write .npz or .h5 instead"
        )
    if len(events) and not -(1 << 62) < events.t[0] <= events.t[-1] < 1 << 62:
        raise UnsupportedError(
            f"text: found times {events.t[0]} to {events.t[-1]} us; expected below 2**62; subtract events.t[0] first"
        )
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"{events.shape[0]} {events.shape[1]}\n")
        for start in range(0, len(events), BLOCK):
            block = events.array[start : start + BLOCK]
            second, rest = np.divmod(np.abs(block["t"]), 1_000_000)
            rows = zip(
                *(column.tolist() for column in (block["t"], second, rest, block["x"], block["y"])),
                block["p"].view(np.uint8).tolist(),
                strict=True,
            )
            file.writelines(f"{'-' if t < 0 else ''}{s}.{us:06d} {x} {y} {p}\n" for t, s, us, x, y, p in rows)


FORMAT: Final = Format("text", "text (t x y p)", (".txt", ".csv"), open_text, write=write, options=("unit", "columns"))
"""Known by the end of its name alone."""
