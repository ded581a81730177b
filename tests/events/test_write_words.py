"""Writers whose words are compiled write these bytes, made by hand from the descriptions of the formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikelab.events import Events, write


def written(name: str, t: list[int], path: Path, p: list[int] | None = None) -> bytes:
    events = Events.from_columns(t, [3, 4, 5], [2, 2, 1], p or [1, 0, 1], shape=(8, 8))
    write(events, path, format=name)
    return path.read_bytes().rpartition(b"% end\n")[2]


def test_words_of_prophesee(tmp_path: Path) -> None:
    wrap = (1 << 24) + 7
    evt3 = [0x8000, 0x6005, 0x0002, 0x2803, 0x2004, 0x8FFF, 0x8000, 0x8000, 0x6007, 0x0001, 0x2805]
    assert written("evt3", [5, 5, wrap], tmp_path / "a") == np.array(evt3, "<u2").tobytes()
    evt2 = [0x8000_0000, 0x1140_1802, 0x0140_2002, 0x8004_0000, 0x11C0_2801]
    assert written("evt2", [5, 5, wrap], tmp_path / "a") == np.array(evt2, "<u4").tobytes()
    evt21 = [8 << 60, 1 << 60 | 5 << 54 | 2 << 32 | 0b11000, 1 << 60 | 5 << 54 | 1 << 32 | 0b100000]
    assert written("evt21", [5, 5, 5], tmp_path / "a", [1, 1, 1]) == np.array(evt21, "<u8").tobytes()
    # A wrap of 2**34 us, from TIME_HIGH 0.
    evt2 = [0x8000_0000, 0x1140_1802, 0x0140_2002, 0x8FFF_FFFF, 0x8000_0000, 0x8000_0000, 0x11C0_2801]
    assert written("evt2", [5, 5, (1 << 34) + 7], tmp_path / "a") == np.array(evt2, "<u4").tobytes()


def test_bytes_of_event_stream_and_of_nmnist(tmp_path: Path) -> None:
    expected = bytes([11, 3, 0, 2, 0, 0, 4, 0, 2, 0, 255, 255, 41 << 1 | 1, 5, 0, 1, 0])
    assert written("es", [5, 5, 300], tmp_path / "a")[20:] == expected
    expected = bytes([3, 2, 128, 0, 5, 4, 2, 0, 0, 5, 0, 240, 0, 0, 0, 5, 1, 0xFF, 0xE0, 1])
    assert written("nmnist", [5, 5, (1 << 23) + 1], tmp_path / "a") == expected
