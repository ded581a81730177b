"""EVT2.1 (Prophesee): words of 64 bits; up to 32 events of a row each.

Bits 60 to 63 are the type. 0 and 1: OFF and ON events, with 6 low bits of their time (54 to 59), x of the first (43 to
53), y (32 to 42), and a mask (0 to 31): an event at x + k for each bit k. 8: the 28 bits of time above these (32 to
59). 10: external trigger, channel in bits 40 to 44, level in bit 32. 14, 15 (monitoring, continued) are passed over.
Time is that of EVT2.

Words are little-endian; in older files (`endianness=legacy` in the header) their two halves are swapped. Where the
header does not say which, the first words do: in the wrong order they soon have types that the format does not.

Source:
    Prophesee, "EVT 2.1 format"; OpenEB, evt21_event_types.h, evt21_decoder.h.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.events.faults import Faults
from spikelab.events.pieces import Pieces
from spikelab.events.prophesee import Header, Raw, evt_name, open_raw
from spikelab.events.prophesee_write import Encoder, write_raw
from spikelab.events.source import Format

__all__ = ["FORMAT", "open_evt21", "write"]

_TYPES = (0, 1, 8, 10, 14, 15)
_LOOK = 1 << 16


def open_evt21(
    path: str | PathLike[str], faults: Faults, shape: tuple[int, ...] | None = None, sorted: bool = True
) -> Raw:
    """Open an EVT2.1 file; see `Opener`, and `open_raw` for what it raises."""

    def choose(header: Header) -> Any:
        swapped = _swapped(path, header)

        def kernel() -> tuple[Any, Any]:
            from spikelab.events import evt21_kernel

            return evt21_kernel.SWAPPED if swapped else evt21_kernel.LITTLE

        return kernel

    return open_raw(path, faults, shape, sorted, "EVT21", 8, 32, choose)


def _swapped(path: str | PathLike[str], header: Header) -> bool:
    said = header.format.get("endianness", "").lower()
    if said:
        return said == "legacy"
    with open(path, "rb") as file:
        file.seek(header.start)
        head = file.read(_LOOK)
    halves = np.frombuffer(head, "<u4", len(head) // 8 * 2).reshape(-1, 2) >> 28
    first, second = (_sound(halves[:, k]) for k in (0, 1))
    return first > second


def _sound(types: NDArray[np.integer]) -> int:
    """Number of words before the first of unknown type, where one of them is a TIME_HIGH; else 0."""
    known = np.isin(types, _TYPES)
    count = len(types) if known.all() else int(np.argmin(known))
    return count if (types[:count] == 8).any() else 0


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write an EVT2.1 file (little-endian), under a temporary name first.

    Events that follow each other share a word where they have time, row and polarity in common and columns that rise.

    Raises:
        UnsupportedError: a coordinate above 2047, a time that is negative or many wraps of the counter away.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, read
        >>> two = Events.from_columns(t=[7, 7], x=[3, 5], y=[4, 4], p=[0, 0], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(two, f"{folder}/a.raw")
        ...     read(f"{folder}/a.raw").equals(two)
        True
    """
    write_raw(events, path, "EVT21", "2.1", _ENCODER)


def _words() -> Any:
    from spikelab.events.write_kernel import evt21_words

    return evt21_words


_ENCODER: Final = Encoder(np.dtype("<u8"), most=2, low=6, high=28, kernel=_words)
FORMAT: Final = Format(
    "evt21", "EVT2.1", (".raw",), open_evt21, knows=lambda head: evt_name(head) == "EVT21", write=write, pieces=True
)
"""Known by its header."""
