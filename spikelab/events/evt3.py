"""EVT3 (Prophesee): words of 16 bits, little-endian, each of which changes what is known of the next events.

Bits 12 to 15 are the type. 0: row (11 bits). 2: an event at column x (11 bits), polarity in bit 11. 3: column and
polarity where a vector starts. 4, 5: 12 or 8 bits, an event for each that is set, at the next 12 or 8 columns. 6, 8:
low and high 12 bits of the time. 10: external trigger, channel in bits 8 to 11, level in bit 0. 7, 14, 15 (continued,
monitoring) are passed over.

Time follows the maker's decoder. A new TIME_HIGH sets the low bits to 0. TIME_LOW replaces them, also downwards. A fall
of TIME_HIGH by 2048 or more is a wrap, which comes each 2**24 us (16.8 s); so one that falls back over a wrap and rises
over it again is two. Events before the first TIME_HIGH, or before the first row, are left out, with a warning.

Source:
    Prophesee, "EVT 3.0 format"; OpenEB, evt3_decoder.h.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Final

import numpy as np

from spikelab.events.faults import Faults
from spikelab.events.pieces import Pieces
from spikelab.events.prophesee import Raw, evt_name, open_raw
from spikelab.events.prophesee_write import Encoder, write_raw
from spikelab.events.source import Format

__all__ = ["FORMAT", "open_evt3", "write"]


def _kernel() -> tuple[Any, Any]:
    from spikelab.events.evt3_kernel import resume, words

    return words, resume


def open_evt3(
    path: str | PathLike[str], faults: Faults, shape: tuple[int, ...] | None = None, sorted: bool = True
) -> Raw:
    """Open an EVT3 file; see `Opener`, and `open_raw` for what it raises."""
    return open_raw(path, faults, shape, sorted, "EVT3", 2, 12, lambda header: _kernel)


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write an EVT3 file, under a temporary name first: a word per event, and one where time or row changes.

    Raises:
        UnsupportedError: a coordinate above 2047, a time that is negative or many wraps of the counter away.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, read
        >>> one = Events.from_columns(t=[5, 1 << 30], x=[3, 0], y=[4, 0], p=[0, 1], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.raw")
        ...     read(f"{folder}/a.raw").equals(one)
        True
    """
    write_raw(events, path, "EVT3", "3.0", _ENCODER)


def _words() -> Any:
    from spikelab.events.write_kernel import evt3_words

    return evt3_words


_ENCODER: Final = Encoder(np.dtype("<u2"), most=4, low=12, high=12, kernel=_words)
FORMAT: Final = Format(
    "evt3", "EVT3", (".raw",), open_evt3, knows=lambda head: evt_name(head) == "EVT3", write=write, pieces=True
)
"""Known by its header."""
