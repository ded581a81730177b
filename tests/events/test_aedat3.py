"""AEDAT 3.1 against packets made and decoded by hand."""

from __future__ import annotations

import struct
from math import radians
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import detect, extras, read, read_ahead, stream

HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
SLIDER = "recordings/aedat31/converted_slider_depth_50k_v31.aedat"


def packet(kind: int, size: int, events: list[bytes], overflow: int = 0, source: int = 1, spare: int = 0) -> bytes:
    count = len(events)
    head = struct.pack("<hhiiiiii", kind, source, size, 4, overflow, count + spare, count, count)
    return head + b"".join(events) + bytes(spare * size)


def polarity(t: int, x: int, y: int, p: int, valid: int = 1) -> bytes:
    return struct.pack("<Ii", x << 17 | y << 2 | p << 1 | valid, t)


def many(seed: int, start: int, count: int = 50) -> list[bytes]:
    rng = np.random.default_rng(seed)
    values = zip(np.sort(rng.integers(0, 1000, count)) + start, *rng.integers(0, 128, (2, count)), strict=True)
    return [polarity(int(t), int(x), int(y), int(x) & 1) for t, x, y in values]


def test_a_recording_has_the_events_it_was_made_from(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    events = read(shared / SLIDER)
    text = np.loadtxt(shared / "recordings/txt/rpg_slider_depth_events_chunk.txt")
    assert len(events) == expected[SLIDER]["events"]
    assert np.array_equal(events.t, np.rint(text[:, 0] * 1e6))
    for name, column in (("x", 1), ("y", 2), ("p", 3)):
        assert np.array_equal(events.array[name], text[:, column])
    assert events.shape == (240, 180)
    pieces = [part.array for part in stream(shared / SLIDER, count=7001)]
    assert np.concatenate(pieces).tolist() == events.array.tolist()


def test_packets_of_polarity_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(
        HEADER
        + packet(1, 8, [polarity(5, 1, 2, 1), polarity(0, 9, 9, 1, valid=0), polarity(5, 127, 127, 0)], spare=2)
        + packet(7, 12, [bytes(12)] * 3)
        + packet(1, 8, [])
        + packet(1, 8, [polarity(3, 4, 5, 1)], overflow=2)
    )
    assert read(path).array.tolist() == [(5, 1, 2, True), (5, 127, 127, False), (2 * 2**31 + 3, 4, 5, True)]
    assert detect(path) == "aedat3"
    path.write_bytes(HEADER)
    assert len(read(path)) == 0


@pytest.mark.parametrize(("piece", "long"), [(256, 512), (256, 1 << 30), (5000, 1 << 30), (1 << 20, 4 << 20)])
def test_packets_lie_across_the_pieces_in_which_a_file_is_read(
    piece: int, long: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "_PIECE", piece)
    monkeypatch.setattr(read_ahead, "_LONG", long)
    times = np.arange(700_000 if piece > 5000 else 7000)
    words = np.empty((len(times), 2), "<u4")
    words[:, 0], words[:, 1] = (times % 128) << 17 | (times % 90) << 2 | (times % 2) << 1 | 1, times
    size, path = 1000 if piece <= 5000 else 8192, tmp_path / "a.aedat"
    with path.open("wb") as file:
        file.write(HEADER)
        for start in range(0, len(words), size):
            part = words[start : start + size]
            file.write(struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, len(part), len(part), len(part)) + part.tobytes())
    events = read(path)
    assert np.array_equal(events.t, times) and np.array_equal(events.array["x"], times % 128)
    assert sum(len(part) for part in stream(path, count=1234)) == len(times)


def test_what_lies_beside_the_events_is_given(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    special = [struct.pack("<Ii", kind << 1 | 1, 10 + kind) for kind in (0, 1, 2, 3, 6, 12, 15)]
    image = np.arange(12, dtype="<u2")
    frame = struct.pack("<Iiiiiiiii", 1 << 1 | 1, 1, 2, 3, 4, 4, 3, 0, 0) + image.tobytes()
    gone = bytes(len(frame))  # not valid
    six, nine = struct.pack("<Ii7f", 1, 8, 0, 1, -1, 90, 0, 180, 25), struct.pack("<Ii10f", 1, 9, *[0] * 6, 20, 1, 2, 3)
    path.write_bytes(
        HEADER
        + packet(0, 8, special, overflow=1)
        + packet(2, len(frame), [frame, gone])
        + packet(3, 36, [six])
        + packet(4, 48, [nine])
        + packet(1, 8, [polarity(1, 2, 3, 1)])
    )
    found = extras(path)
    edges = [(11, 6, True), (12, 0, True), (13, 0, False), (16, 1, True), (22, 3, True), (25, 4, False)]
    assert found.triggers.tolist() == [(2**31 + t, number, value) for t, number, value in edges]
    assert found.frame_times.tolist() == [3]
    assert np.array_equal(found.frames[0], image.reshape(3, 4))
    assert found.imu["t"].tolist() == [8, 9]
    np.testing.assert_allclose(found.imu["acceleration"][0], [0, 9.80665, -9.80665], rtol=1e-6)
    np.testing.assert_allclose(found.imu["rotation"][0], [radians(90), 0, radians(180)], rtol=1e-6)
    assert np.isnan(found.imu["magnetic"][0]).all()
    np.testing.assert_allclose(found.imu["magnetic"][1], [1e-6, 2e-6, 3e-6], rtol=1e-6)
    assert found.imu["temperature"].tolist() == [25, 20]
    assert len(read(path)) == 1


def test_of_several_cameras_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    two = HEADER.replace(b"#!END", b"#Source 2: DAVIS240C\r\n#!END")
    path.write_bytes(two + packet(1, 8, many(1, 0)) + packet(1, 8, [polarity(5, 200, 2, 1)], source=2))
    with pytest.raises(UnsupportedError, match=r"found cameras 1 \(DVS128\), 2 \(DAVIS240C\); expected one"):
        read(path)
    assert len(read(path, source=1)) == 50
    assert read(path, source=2).array.tolist() == [(5, 200, 2, True)]
    assert read(path, source=2).shape == (240, 180)
    with pytest.raises(UnsupportedError, match="source 3: unknown; known are 1, 2"):
        read(path, source=3)


def test_damage_costs_its_packet(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    parts = [packet(1, 8, many(k, 1000 * k)) for k in range(6)]
    whole = HEADER + b"".join(parts)
    path.write_bytes(whole)
    intact = read(path).array.tolist()
    third = len(HEADER) + 2 * len(parts[0])
    wrong = struct.pack("<i", -5)
    for damaged, message, before, around in (
        (whole[: third + 100] + whole[third + 103 :], "no header of another one behind it", 100, 250),
        (whole[:third] + b"\xff" * 28 + whole[third + 28 :], "no header of", 150, 250),
        (whole[: third + 28 + 84] + wrong + whole[third + 28 + 88 :], "found a negative time", 110, 260),
        (whole[: third + 28 + 80] + wrong + whole[third + 28 + 84 :], "outside the sensor of 128 x 128", 110, 260),
        (whole[: third + 108], "the end of the file within a packet", 110, 110),
        (whole + bytes(range(100)), "found no header of a packet", 300, 300),
        (whole + b"\1", "found 1 byte after the last whole record", 300, 300),
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=message) as caught:
            read(path)
        assert caught.value.offset is not None
        with pytest.warns(UserWarning, match="; kept"):
            kept = read(path, errors="truncate").array.tolist()
        assert kept == intact[: len(kept)]
        assert 100 <= len(kept) <= before
        with pytest.warns(UserWarning, match="; kept"):
            assert len(read(path, errors="skip")) == around
    path.write_bytes(HEADER.replace(b"#!END-HEADER\r\n", b""))
    with pytest.raises(FormatError, match="found no line '#!END-HEADER'"):
        read(path)


def test_a_size_beyond_the_file_sets_no_memory_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    for head in (
        struct.pack("<hhiiiiii", 2, 1, 2**31 - 1, 12, 0, 2**31 - 1, 1, 1),
        struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 2**31 - 1, 2**31 - 1, 0),
    ):
        path.write_bytes(HEADER + packet(1, 8, many(0, 0)) + head + bytes(200))
        with pytest.warns(UserWarning, match="; kept"):
            assert len(read(path, errors="truncate")) == 50
        with pytest.raises(FormatError):
            extras(path)
