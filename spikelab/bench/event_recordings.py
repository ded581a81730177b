"""The files that `spikelab bench events` reads: a real recording repeated until it has as many events as are asked for.

AEDAT 2 and 3.1, which have no writer, and EVT2.1 with one event a word are encoded here with NumPy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError
from spikelab.events import Events, Recordings, read, write

__all__ = ["FILES", "RECORDING", "EventFile", "repeated", "write_long_evt3"]

RECORDING: Final = Path(__file__).parents[2] / "datasets" / "recordings" / "dvxplorer.aedat4"
"""What is repeated where nothing else is named: 255,283 events of a DVXplorer, 640 x 480."""
_WRAP_US: Final = 1 << 24  # EVT3 counts its time in 24 bits


@dataclass(frozen=True)
class EventFile:
    """One file of the benchmark.

    Args:
        title: name in the lines.
        suffix: end of its name.
        peers: readers to compare with, of `bench.peers.reading`.
        options: of `write`.
        format: key of `FORMATS`.
        encode: makes the bytes, where our writer makes none, or not those that are to be measured.
        fitted: the events as the format can hold them.
        share: of the events, for formats that take long.
    """

    title: str
    suffix: str
    peers: tuple[str, ...]
    format: str
    options: dict[str, Any] = field(default_factory=dict)
    encode: Callable[[Events], Iterator[bytes]] | None = None
    fitted: Callable[[Events], Events] = lambda events: events
    share: float = 1.0

    def make(self, events: Events, folder: Path, name: str) -> Path:
        """Write the events.

        Raises:
            UnsupportedError: as `write`.
        """
        events = self.fitted(Events(events.array[: max(1, int(len(events) * self.share))], events.shape))
        path = folder / f"{name}{self.suffix}"
        if self.encode is None:
            write(events, path, format=self.format, **self.options)
        else:
            with path.open("wb") as file:
                file.writelines(self.encode(events))
        return path


def repeated(recording: Path, count: int, period_us: int | None = None) -> Events:
    """Repeat a recording, one behind the other, from 0 us.

    Args:
        recording: any event file.
        count: number of events.
        period_us: [us] the times are stretched so that the whole is a multiple of it long; None leaves them.

    Raises:
        UnsupportedError: it holds no events of a camera.
        FormatError: it cannot be read.
    """
    found = read(recording)
    if isinstance(found, Recordings) or len(found.shape) != 2 or not len(found):
        raise UnsupportedError(f"bench events: found {recording}; expected a recording of a camera; name another one")
    times = -(-count // len(found))
    array = np.tile(found.array, times)
    span = int(found.t[-1]) - int(found.t[0]) + 1
    array["t"] -= found.t[0]
    array["t"] += np.repeat(np.arange(times) * span, len(found))
    array = array[:count]
    if period_us is not None:
        last = int(array["t"][-1]) + 1
        array["t"] = (array["t"].astype(np.float64) * (-(-last // period_us) * period_us / last)).astype(np.int64)
    array.flags.writeable = False
    return Events(array, found.shape)


def write_long_evt3(recording: Path, path: Path, size: int, count: int) -> int:
    """Write an EVT3 file far larger than memory needs to be: its counter of time wraps where the content repeats.

    Args:
        recording: any recording of a camera.
        path: the file.
        size: [B] least size of the file.
        count: events of the part that is repeated.

    Returns:
        Number of events.
    """
    events = repeated(recording, count, period_us=_WRAP_US)
    write(events, path, format="evt3")
    data = path.read_bytes()
    start = data.index(b"% end\n") + len(b"% end\n")
    copies = max(1, -(-size // (len(data) - start)))
    with path.open("ab") as file:
        for _ in range(copies - 1):
            file.write(memoryview(data)[start:])
    return copies * len(events)


def _within(width: int, height: int) -> Callable[[Events], Events]:
    """Fold the coordinates into a small sensor: as many events, and the same times."""

    def fold(events: Events) -> Events:
        return Events.from_columns(events.t, events.x % width, events.y % height, events.p, shape=(width, height))

    return fold


def _aedat2(events: Events) -> Iterator[bytes]:
    """DVS128 (jAER): address and time, 32 bits each, big-endian; bit 0 is 0 for ON, x counts from the right."""
    yield b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
    words = np.empty((len(events), 2), ">u4")
    words[:, 0] = events.y.astype(np.uint32) << 8 | (127 - events.x.astype(np.uint32)) << 1 | ~events.p & 1
    words[:, 1] = events.t
    yield words.tobytes()


def _aedat3(events: Events) -> Iterator[bytes]:
    """AEDAT 3.1: packets of 8,192 polarity events of 8 bytes, little-endian."""
    yield b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS640\r\n#!END-HEADER\r\n"
    words = np.empty((len(events), 2), "<u4")
    words[:, 0] = (
        events.x.astype(np.uint32) << 17 | events.y.astype(np.uint32) << 2 | events.p.astype(np.uint32) << 1 | 1
    )
    words[:, 1] = events.t & 0x7FFFFFFF
    turns = events.t >> 31
    edges = np.union1d(np.arange(0, len(events), 8192), np.flatnonzero(np.diff(turns)) + 1)
    for start, stop in zip(edges, [*edges[1:], len(events)], strict=True):
        number = int(stop - start)
        yield struct.pack("<hhiiiiii", 1, 1, 8, 4, int(turns[start]), number, number, number)
        yield words[start:stop].tobytes()


def _evt21(events: Events) -> Iterator[bytes]:
    """EVT2.1: words of 64 bits, one event each, and a TIME_HIGH word wherever t / 64 changes."""
    width, height = events.shape
    yield f"% evt 2.1\n% format EVT21;height={height};width={width}\n% geometry {width}x{height}\n% end\n".encode()
    high = events.t >> 6
    changes = np.flatnonzero(np.diff(high, prepend=-1))
    place = np.arange(len(events)) + np.searchsorted(changes, np.arange(len(events)), side="right")
    x, y, p = (column.astype(np.uint64) for column in (events.x, events.y, events.p))
    low = (events.t & 63).astype(np.uint64)
    words: NDArray[np.uint64] = np.empty(len(events) + len(changes), "<u8")
    words[place] = p << 60 | low << 54 | (x & ~np.uint64(31)) << 43 | y << 32 | np.uint64(1) << (x & 31)
    words[place[changes] - 1] = np.uint64(8) << 60 | high[changes].astype(np.uint64) << 32
    yield words.tobytes()


FILES: Final[tuple[EventFile, ...]] = (
    EventFile("EVT2", ".evt2.raw", ("expelliarmus", "faery", "evlib"), "evt2"),
    EventFile("EVT2.1", ".evt21.raw", ("evlib", "faery"), "evt21", encode=_evt21),
    EventFile("EVT3", ".evt3.raw", ("evt3", "expelliarmus", "faery", "evlib"), "evt3"),
    EventFile("DAT", ".dat", ("expelliarmus", "faery"), "dat"),
    EventFile("ES", ".es", ("event_stream", "faery"), "es"),
    *(
        EventFile(
            f"AEDAT 4, {codec}",
            f".{codec}.aedat4",
            ("aedat", "dv-processing", "tonic", "faery", "evlib"),
            "aedat4",
            {"codec": codec},
        )
        for codec in ("none", "lz4", "zstd")
    ),
    EventFile("AEDAT 2", ".aedat2.aedat", (), "aedat2", encode=_aedat2, fitted=_within(128, 128)),
    EventFile("AEDAT 3.1", ".aedat31.aedat", (), "aedat3", encode=_aedat3),
    EventFile("N-MNIST", ".bin", ("tonic",), "nmnist", fitted=_within(34, 34)),
    EventFile("HDF5", ".h5", ("h5py", "evlib"), "hdf5"),
    EventFile("npz", ".npz", ("numpy",), "npz"),
    EventFile("text", ".txt", ("numpy", "evlib"), "text", share=0.1),
)
"""Every format, with those peers that read it."""
