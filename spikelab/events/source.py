"""A recording, opened: what the decoder of each file format gives. `read` and `stream` are written on it once.

A decoder gives blocks, sorted arrays of events, so that a recording larger than memory passes through a small buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "IMU", "TRIGGER", "Extras", "Format", "Opener", "Source"]

BLOCK: Final = 1 << 16
"""Most events in a block: 1 MiB, so that a block stays in a core's cache between decoding and use."""
TRIGGER: Final = np.dtype([("t", np.int64), ("id", np.uint8), ("value", np.bool_)], align=True)
"""Dtype of an external trigger: `t` [us], channel, and level after the edge."""
IMU: Final = np.dtype(
    [
        ("t", np.int64),
        ("acceleration", np.float32, 3),
        ("rotation", np.float32, 3),
        ("magnetic", np.float32, 3),
        ("temperature", np.float32),
    ],
    align=True,
)
"""Dtype of an IMU sample: `t` [us], acceleration [m/s^2], rotation [rad/s], magnetic field [T], temperature [deg C];
NaN where the sensor has none."""


class Extras(NamedTuple):
    """What a file holds beside its events."""

    triggers: NDArray[np.void]
    """[K] `TRIGGER`."""
    imu: NDArray[np.void]
    """[K] `IMU`."""
    frame_times: NDArray[np.int64]
    """[F] start of exposure [us]."""
    frames: list[NDArray[Any]]
    """[F] images [H, W] or [H, W, 3], uint8 or uint16, as stored."""

    @classmethod
    def none(cls) -> Extras:
        """Nothing beside the events."""
        return cls(np.zeros(0, TRIGGER), np.zeros(0, IMU), np.zeros(0, np.int64), [])


class Source(Protocol):
    """A recording, opened for reading from its start."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """(width, height) or (channels,) where the file or the caller says it, else None."""

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Give the events, in order.

        Each block is an array [n] of dtype `EVENT`, n <= `BLOCK`, sorted unless the caller asked to sort, within
        `shape`; it may be overwritten when the next one is asked for. Each call starts anew.

        Raises:
            FormatError: damage, in `"strict"`.
        """

    def extras(self) -> Extras:
        """Read triggers, frames and IMU samples."""


Opener = Callable[..., Source]
"""`open(path, faults, shape=None, sorted=True, **options)` reads the header of a file.

`faults` says what to do with damage, `shape` is (width, height) or (channels,) where the caller knows it, and `sorted`
whether to refuse times that run backwards. It raises FormatError where the file is missing, foreign, or cut in its
header.
"""


@dataclass(frozen=True)
class Format:
    """A file format: how it is known, read and written."""

    name: str
    """Short name, as in `read(path, format=...)`."""
    title: str
    """Name in messages."""
    suffixes: tuple[str, ...]
    """Ends of file names, lower case; the first is used for new files."""
    open: Opener
    starts: tuple[bytes, ...] = ()
    """First bytes by which a file is known for certain; where there are none, the suffix decides."""
    knows: Callable[[bytes], bool] | None = None
    """Whether a file is certainly of this format, from its first 4 KiB; for those that no fixed bytes start."""
    write: Any = None
    """`write(events, path, **options)`, where the format can be written."""
    pieces: bool = False
    """Whether `write` also takes an iterator of Events, the pieces of a recording, and holds one at a time."""
    options: tuple[str, ...] = field(default=())
    """Names of further options of `open`."""
