r"""AEDAT 3.1 (iniVation, cAER): lines that start with `#`, the last of them `#!END-HEADER`, then packets.

A packet has a header of 28 bytes, little-endian: int16 type, int16 source, int32 size of an event, offset of the time
in it, tsOverflow, capacity, number and number of valid events; then capacity x size bytes. Events of polarity are of
type 1: bit 0 valid, bit 1 ON, bits 2 to 16 y, bits 17 to 31 x, then int32 time; t = tsOverflow << 31 | time [us].
Events that are marked as not valid are left out, as whoever marked them meant. In `"skip"` a fault costs the rest of
its packet. x grows to the right, y downwards.

Source:
    iniVation, AEDAT 3.1 file format; libcaer (gitlab.com/inivation/dv/libcaer), events/*.h.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, unknown_name
from spikelab.events import aedat3_extras
from spikelab.events.aedat_lines import read_lines
from spikelab.events.aedat_sensor import SENSORS, known_chip
from spikelab.events.faults import Faults
from spikelab.events.source import Extras, Format
from spikelab.events.words import decode, fresh_state

__all__ = ["FORMAT", "open_aedat3"]

_FIRST: Final = b"#!AER-DAT3.1"
_LAST: Final = b"#!END-HEADER"


@dataclass(frozen=True)
class _Recording:
    path: str | PathLike[str]
    faults: Faults
    start: int
    size: int
    source: int
    shape: tuple[int, ...] | None
    sorted: bool

    @property
    def most(self) -> int:
        """As many as the bytes could hold."""
        return (self.size - self.start) // 8

    def blocks(self) -> Iterator[NDArray[np.void]]:
        from spikelab.events import aedat3_kernel as kernel

        state = fresh_state(self.shape, self.sorted, kernel.OWN_NUMBERS)
        state[kernel.SOURCE] = self.source
        problems = {
            kernel.PACKET: "found no header of a packet; expected one; the file is damaged",
            kernel.CUT: "found the end of the file within a packet; expected all of it; the file is cut: copy it "
            'again, or take what is there with errors="truncate"',
            kernel.END: "found a packet and no header of another one behind it; expected one; the file is damaged",
            kernel.TIME: "found a negative time; expected one from 0; the file is damaged",
        }
        return decode(
            self.path, self.start, kernel.packets, state, self.faults, kernel.HEAD, 8, kernel.resume, problems
        )

    def extras(self) -> Extras:
        return aedat3_extras.read(self.path, self.faults, self.start, self.source)


def open_aedat3(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    source: int | None = None,
) -> _Recording:
    """Open an AEDAT 3.1 file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage.
        shape: (width, height); None takes that of the sensor that the header names, where it is known.
        sorted: whether to refuse times that run backwards.
        source: number of the camera, as in the header line `#Source 1: ...`; None takes the only one.

    Raises:
        FormatError: missing or empty, or the header is cut.
        UnsupportedError: several cameras and none chosen, or none of that number.
    """
    lines, start, size = read_lines(path, _LAST, needed=True)
    cameras = {int(found[1]): found[2] for line in lines if (found := re.match(r"#\s*Source (\d{1,5}):\s*(\S+)", line))}
    if source is None and len(cameras) > 1:
        raise UnsupportedError(
            f"{fspath(path)}: found cameras {', '.join(f'{k} ({name})' for k, name in cameras.items())}; expected "
            f"one; choose with read(path, source={min(cameras)})"
        )
    if source is not None and source not in cameras:
        raise unknown_name(f"{fspath(path)}: source", source, map(str, cameras))
    chip = cameras.get(source, "") if source is not None else next(iter(cameras.values()), "")
    known = known_chip(chip)
    return _Recording(
        path,
        faults,
        start,
        size,
        -1 if source is None else source,
        shape or (SENSORS[known].shape if known else None),
        sorted,
    )


FORMAT: Final = Format("aedat3", "AEDAT 3.1", (".aedat",), open_aedat3, starts=(_FIRST,), options=("source",))
"""Known by its first bytes."""
