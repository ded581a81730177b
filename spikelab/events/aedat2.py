r"""AEDAT 1 and 2 (jAER): lines that start with `#`, then records of an address and a time in us, both big-endian.

A record has 6 bytes in version 1 (16-bit address) and 8 in version 2 (32-bit address). Polarity and axes are jAER's:

- DVS128: bit 0 clear is ON, x = 127 - bits 1 to 7, y = bits 8 to 14; bit 15 set is an external input, not an event.
- DAVIS: bit 11 set is ON, x = width - 1 - bits 12 to 21, y = bits 22 to 30; bit 10 set and bit 11 clear is an external
  input; bit 31 set is a sample of a frame or of the IMU.

x grows to the right and y upwards: jAER draws row 0 at the bottom, and rows stay as it counts them (see `read`).
External inputs are given as triggers (id 0, True: the file does not say which edge). Samples of frames and of the IMU
are passed over: what they mean depends on the camera's settings (readout, full scale), which the records do not hold.

Times are read as unsigned, so they reach 2**32 us (71.6 min); a step back by more than 2**31 us is a wrap, and adds
2**32 us from there on. A smaller step back, such as that of a camera whose clock was set to 0, is refused, or sorted;
so is one back over a wrap: ahead, by the counter, from the 67 s behind a wrap into the last 67 s before the next one.

Source:
    jAER (github.com/SensorsINI/jaer): AEFileInputStream.java, DVS128.java, DavisChip.java, DavisBaseCamera.java.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.events.aedat_lines import read_lines
from spikelab.events.aedat_sensor import Sensor, find_sensor
from spikelab.events.faults import Faults
from spikelab.events.source import TRIGGER, Extras, Format
from spikelab.events.words import decode, fresh_state

__all__ = ["FORMAT", "open_aedat2"]

_OLD: Final = b"#!AER-DAT1.0"
_LAST: Final = b"#End Of ASCII Header"


@dataclass(frozen=True)
class _Recording:
    path: str | PathLike[str]
    faults: Faults
    start: int
    size: int
    record: int
    sensor: Sensor
    shape: tuple[int, ...]
    sorted: bool

    @property
    def most(self) -> int:
        """Number of records."""
        return (self.size - self.start) // self.record

    def blocks(self) -> Iterator[NDArray[np.void]]:
        return self._decode(self.shape, self.sorted, triggers=False)

    def extras(self) -> Extras:
        found = [block[["t", "p"]].copy() for block in self._decode(None, False, triggers=True)]
        triggers = np.zeros(sum(map(len, found)), TRIGGER)
        if found:
            together = np.concatenate(found)
            triggers["t"], triggers["value"] = together["t"], together["p"]
        return Extras.none()._replace(triggers=triggers)

    def _decode(self, shape: tuple[int, ...] | None, ordered: bool, triggers: bool) -> Iterator[NDArray[np.void]]:
        from spikelab.events import aedat2_kernel as kernel

        state = fresh_state(shape, ordered, kernel.OWN_NUMBERS)
        state[kernel.RECORD], state[kernel.IS_DAVIS] = self.record, self.sensor.davis
        state[kernel.EDGE], state[kernel.TRIGGERS] = self.sensor.shape[0] - 1, triggers
        state[kernel.CAREFUL] = True
        problems = {
            kernel.JUMP: "found a time far ahead of the event before it, and behind it a record that does not fit; "
            "expected sorted times; the file is damaged",
            kernel.ADDRESS: "found an address of more than 16 bits; expected one of a DVS128; the file is damaged, or "
            "pass sensor=",
        }
        short = kernel.DVS128_SHORT if self.record == 6 else kernel.DVS128
        return decode(
            self.path,
            self.start,
            kernel.DAVIS if self.sensor.davis else short,
            state,
            self.faults,
            self.record,
            self.record,
            kernel.resume,
            problems,
        )


def open_aedat2(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None = None,
    sorted: bool = True,
    sensor: str | None = None,
) -> _Recording:
    """Open an AEDAT 1 or 2 file; see `Opener`.

    Args:
        path: the file.
        faults: what to do with damage.
        shape: (width, height); None takes the sensor's.
        sorted: whether to refuse times that run backwards.
        sensor: name of the sensor, where the header does not say it; see `aedat_sensor`.

    Raises:
        FormatError: missing or empty, or no header.
        UnsupportedError: the sensor is unknown.
    """
    lines, start, size = read_lines(path, _LAST, needed=False)
    record = 6 if lines[0].encode().startswith(_OLD) else 8
    found = find_sensor(path, lines, start, record, sensor, shape)
    return _Recording(path, faults, start, size, record, found, shape or found.shape, sorted)


FORMAT: Final = Format(
    "aedat2", "AEDAT 1 and 2", (".aedat",), open_aedat2, starts=(_OLD, b"#!AER-DAT2.0"), options=("sensor",)
)
"""Known by its first bytes."""
