"""EVT2 (Prophesee): words of 32 bits, little-endian; an event each.

Bits 28 to 31 are the type. 0 and 1: OFF and ON event, with 6 low bits of its time (22 to 27), x (11 to 21), y (0 to
10). 8: the 28 bits of time above these, which wrap each 2**34 us (4.8 h): a fall by more than half of the range is
a wrap. 10: external trigger, channel in bits 8 to 12, level in bit 0. 13, 14, 15 (IMU, monitoring, continued) are
passed over. Events before the first TIME_HIGH have no time: they are left out, with a warning. A TIME_HIGH that falls
back over a wrap and rises over it again is two wraps, as in the maker's decoder: the words do not tell them apart.

Source:
    Prophesee, "EVT 2.0 format"; OpenEB, evt2_decoder.h, which takes only a fall by nearly the whole range as a wrap.
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

__all__ = ["FORMAT", "open_evt2", "write"]


def _kernel() -> tuple[Any, Any]:
    from spikelab.events.evt2_kernel import resume, words

    return words, resume


def open_evt2(
    path: str | PathLike[str], faults: Faults, shape: tuple[int, ...] | None = None, sorted: bool = True
) -> Raw:
    """Open an EVT2 file; see `Opener`, and `open_raw` for what it raises."""
    return open_raw(path, faults, shape, sorted, "EVT2", 4, 1, lambda header: _kernel)


def write(events: Pieces, path: str | PathLike[str]) -> None:
    """Write an EVT2 file, under a temporary name first.

    Raises:
        UnsupportedError: a coordinate above 2047, a time that is negative or many wraps of the counter away.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.

    Example:
        >>> import tempfile
        >>> from spikelab.events import Events, read
        >>> one = Events.from_columns(t=[1 << 40], x=[3], y=[4], p=[0], shape=(34, 34))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(one, f"{folder}/a.raw")
        ...     read(f"{folder}/a.raw").equals(one)
        True
    """
    write_raw(events, path, "EVT2", "2.0", _ENCODER)


def _words() -> Any:
    from spikelab.events.write_kernel import evt2_words

    return evt2_words


_ENCODER: Final = Encoder(np.dtype("<u4"), most=2, low=6, high=28, kernel=_words)
FORMAT: Final = Format(
    "evt2", "EVT2", (".raw",), open_evt2, knows=lambda head: evt_name(head) == "EVT2", write=write, pieces=True
)
"""Known by its header."""
