"""AEDAT 1 and 2 against a decoder that reads record by record, and against what is known of each recording."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import Events, detect, extras, read, read_ahead, stream

OBJECTS = [f"labelled/dvs128_objects/{name}.aedat" for name in ("Caixa", "Celular", "Tesoura")]
RECORDINGS = [
    *OBJECTS,
    "recordings/aedat2/biolab_pendulo2.aedat",
    "recordings/aedat2/dvsflow16_IMU_translBoxes.aedat",
]
SILENT = {
    "recordings/aedat2/ne15_poisson_mnist.aedat": ("dvs128", (128, 128)),
    "recordings/aedat2/synth_RotatingBar.aedat": ("davis240", (240, 180)),
}
DVS128 = b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
DAVIS = b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"

Row = tuple[int, int, int, int]


def file_of(records: list[tuple[int, int]], chip: bytes = DVS128, version: int = 2) -> bytes:
    """Bytes of a file: addresses and raw times."""
    layout = ">II" if version == 2 else ">HI"
    return f"#!AER-DAT{version}.0\r\n".encode() + chip + b"".join(struct.pack(layout, *record) for record in records)


def decode(data: bytes, davis: bool, width: int) -> tuple[list[Row], list[int]]:
    """Slow and plain: events, and times of the external inputs."""
    place = 0
    while data[place : place + 1] == b"#":
        place = data.index(b"\n", place) + 1
    events, inputs, wraps, before = [], [], 0, 0
    for address, low in struct.iter_unpack(">II", data[place : place + (len(data) - place) // 8 * 8]):
        if davis and address & 1 << 31:
            continue
        wraps += low < before - 2**31
        before, t = low, low + (wraps << 32)
        if davis:
            if address >> 10 & 3 == 1:
                inputs.append(t)
            else:
                events.append((t, width - 1 - (address >> 12 & 1023), address >> 22 & 511, address >> 11 & 1))
        elif address & 1 << 15:
            inputs.append(t)
        else:
            events.append((t, 127 - (address >> 1 & 127), address >> 8 & 127, 1 - (address & 1)))
    return events, inputs


def rows(events: Events) -> list[Row]:
    return [tuple(map(int, row)) for row in zip(events.t, events.x, events.y, events.p, strict=True)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_real_recordings_have_what_is_known_of_them(
    name: str, shared: Path, expected: dict[str, dict[str, Any]]
) -> None:
    events, want = read(shared / name), expected[name]
    on = want["pol_bit11"] if "pol_bit11" in want else want["records"] - want["bit0_set"]
    assert len(events) == want.get("dvs_events", want["records"])
    assert (events.t[0], events.t[-1]) == (want["t_first_i32"] % 2**32, want["t_last_i32"] % 2**32)
    assert (events.x.max(), events.y.max(), events.p.sum()) == (want["x_max"], want["y_max"], on)
    davis = want["layout"] != "DVS128"
    assert events.shape == ((240, 180) if davis else (128, 128))
    if name != OBJECTS[1]:
        assert rows(events) == decode((shared / name).read_bytes(), davis, events.shape[0])[0]


@pytest.mark.parametrize("name", SILENT)
def test_a_file_that_does_not_name_its_sensor_is_read_with_a_warning(
    name: str, shared: Path, expected: dict[str, dict[str, Any]]
) -> None:
    sensor, shape = SILENT[name]
    with pytest.warns(UserWarning, match=f"its addresses look like {sensor} .*; pass sensor='{sensor}'"):
        events = read(shared / name)
    want = expected[name]
    assert (len(events), events.t[0], events.t[-1], events.shape) == (
        want["records"],
        want["t_first_i32"],
        want["t_last_i32"],
        shape,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(shared / name, sensor=sensor).equals(events)


def test_bits_mean_what_jaer_says(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(file_of([(0, 5), (127 << 1 | 1, 6), (3 << 8 | 2 << 1, 7), (1 << 15, 8), (127 << 8 | 1, 9)]))
    assert rows(read(path)) == [(5, 127, 0, 1), (6, 0, 0, 0), (7, 125, 3, 1), (9, 127, 127, 0)]
    assert extras(path).triggers.tolist() == [(8, 0, True)]
    one = 179 << 22 | 239 << 12 | 1 << 11
    sample, imu = 1 << 31 | 3 << 22 | 4 << 12 | 500, 1 << 31 | 3 << 10 | 7 << 28
    path.write_bytes(file_of([(one, 5), (sample, 2**32 - 1), (imu, 6), (2 << 22, 7), (1 << 10, 8)], DAVIS))
    assert rows(read(path)) == [(5, 0, 179, 1), (7, 239, 2, 0)]
    assert extras(path).triggers.tolist() == [(8, 0, True)]
    path.write_bytes(file_of([(1, 5), (3 << 8 | 2 << 1, 2**31 + 7)], version=1))
    assert rows(read(path)) == [(5, 127, 0, 0), (2**31 + 7, 125, 3, 1)]
    assert detect(path) == "aedat2"


def test_times_are_unsigned_and_unwrapped(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    raw = [2**31 - 1, 2**31, 2**32 - 1, 0, 2**31 + 7, 4]
    path.write_bytes(file_of([(0, t) for t in raw]))
    assert read(path).t.tolist() == [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 2**31 + 7, 2**33 + 4]
    # An external input sees the wraps of the events before it.
    path.write_bytes(file_of([(0, 2**32 - 1), (0, 1), (0, 2**31 + 5), (0, 2), (1 << 15, 3)]))
    assert extras(path).triggers["t"].tolist() == [2**33 + 3]
    path.write_bytes(file_of([(0, 10), (0, 20), (2, 0), (0, 30)]))  # the camera's clock was set to 0
    with pytest.raises(FormatError, match="a time before that of the event before it"):
        read(path)
    assert read(path, sort=True).t.tolist() == [0, 10, 20, 30]
    with pytest.warns(UserWarning, match="kept 3 events, left 8 bytes out"):
        assert read(path, errors="skip").t.tolist() == [10, 20, 30]
    path.write_bytes(file_of([(2, 7)] * 5))
    assert read(path).t.tolist() == [7] * 5


def test_a_step_back_over_a_wrap_is_no_further_wrap(tmp_path: Path) -> None:
    path, wrap = tmp_path / "a.aedat", 2**32
    raw = [wrap - 20, wrap - 2, 1, wrap - 1, 2, 5]
    path.write_bytes(file_of([(0, t) for t in raw]))
    with pytest.raises(FormatError, match="a time before that of the event before it"):
        read(path)
    assert read(path, sort=True).t.tolist() == [wrap - 20, wrap - 2, wrap - 1, wrap + 1, wrap + 2, wrap + 5]
    with pytest.warns(UserWarning, match="kept 5 events, left 8 bytes out"):
        assert read(path, errors="skip").t.tolist() == [wrap - 20, wrap - 2, wrap + 1, wrap + 2, wrap + 5]
    path.write_bytes(file_of([(1 << 15, t) for t in raw]))
    assert extras(path).triggers["t"].tolist() == [wrap - 20, wrap - 2, wrap + 1, wrap - 1, wrap + 2, wrap + 5]
    # Pauses: before the first wrap, or not from just behind one to just before the next.
    path.write_bytes(file_of([(0, t) for t in (1, wrap - 1, 1, wrap - 10**8, 3)]))
    assert read(path).t.tolist() == [1, wrap - 1, wrap + 1, 2 * wrap - 10**8, 2 * wrap + 3]


def test_data_that_starts_like_a_header_line_is_data(tmp_path: Path) -> None:
    first = 0x23000000 | 5 << 12  # the byte "#", y = 140
    data = file_of([(first, 0x0A0D0A0D), (first, 0x0A0D0A0E)], DAVIS)
    (tmp_path / "a.aedat").write_bytes(data)
    assert rows(read(tmp_path / "a.aedat")) == [(0x0A0D0A0D, 234, 140, 0), (0x0A0D0A0E, 234, 140, 0)]
    ended = data.replace(DAVIS, DAVIS + b"#End Of ASCII Header\r\n")
    (tmp_path / "a.aedat").write_bytes(ended)
    assert len(read(tmp_path / "a.aedat")) == 2


def test_the_sensor_is_never_guessed_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(file_of([(5, 1)], b"# AEChip: ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n"))
    with pytest.raises(UnsupportedError, match="found AEChip CochleaAMS1c, whose addresses are not known"):
        read(path)
    assert len(read(path, sensor="dvs128")) == 1
    with pytest.raises(UnsupportedError, match=r"sensor 'dvs12': unknown.*did you mean 'dvs128'"):
        read(path, sensor="dvs12")
    path.write_bytes(file_of([(70_000, 1)], b""))
    with pytest.raises(UnsupportedError, match=r"addresses of no known sensor; .*pass sensor="):
        read(path)
    path.write_bytes(file_of([(300 << 12, 1), (200 << 22, 1)], b""))
    with pytest.warns(UserWarning, match="look like davis346"):
        assert rows(read(path)) == [(1, 45, 0, 0), (1, 345, 200, 0)]
    assert rows(read(path, sensor="davis", shape=(301, 201))) == [(1, 0, 0, 0), (1, 300, 200, 0)]
    with pytest.raises(FormatError, match="outside the sensor of 240 x 180"):
        read(path, sensor="davis240")
    path.write_bytes(file_of([(5, 1)], b"# HardwareInterface: DVS128-V1 0392\r\n"))
    assert len(read(path)) == 1


@pytest.mark.parametrize("davis", [False, True])
def test_skip_finds_the_records_behind_damage(davis: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 10**6, 3000))
    if davis:
        addresses = rng.integers(0, 180, 3000) << 22 | rng.integers(0, 240, 3000) << 12 | rng.integers(0, 2, 3000) << 11
    else:
        addresses = rng.integers(0, 1 << 15, 3000)
    whole = file_of(list(zip(addresses.tolist(), t.tolist(), strict=True)), DAVIS if davis else DVS128)
    start = len(whole) - 24_000
    path = tmp_path / "a.aedat"
    path.write_bytes(whole)
    intact = read(path)
    cut = start + 8 * 1500
    for damaged in (
        whole[: cut + 2] + whole[cut + 5 :],  # bytes lost
        whole[:cut] + b"\xff\x01\xff" * 100 + whole[cut:],  # bytes added
        whole[:cut] + b"\x7f" * 800 + whole[cut + 800 :],  # bytes changed
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read(path)
        with pytest.warns(UserWarning, match="kept [0-9]+ events"):
            before = read(path, errors="truncate")
        assert 1499 <= len(before) <= 1502
        assert rows(before)[:1499] == rows(intact)[:1499]
        with pytest.warns(UserWarning, match="kept [0-9]+ events"):
            around = read(path, errors="skip")
        assert len(around) >= 2880
        assert rows(around)[-1300:] == rows(intact)[-1300:]
    path.write_bytes(whole[:-3])
    with pytest.raises(FormatError, match="found 5 bytes after the last whole record"):
        read(path)
    with pytest.warns(UserWarning, match="kept 2999 events, left 5 bytes out"):
        assert rows(read(path, errors="truncate")) == rows(intact)[:-1]


def test_a_stream_gives_what_read_gives(shared: Path) -> None:
    path = shared / "recordings/aedat2/dvsflow16_IMU_translBoxes.aedat"
    whole = read(path)
    for pieces in (stream(path, count=70_001), stream(path, window="300 ms")):
        parts = list(pieces)
        assert len(parts) > 2
        assert np.array_equal(np.concatenate([part.t for part in parts]), whole.t)
        assert np.array_equal(np.concatenate([part.x for part in parts]), whole.x)


@pytest.mark.parametrize("mode", ["truncate", "skip"])
def test_a_time_far_ahead_is_judged_alike_at_the_edge_of_a_piece(
    mode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A record thrown far ahead, and a record behind it that says so: in whichever piece that one comes.
    good = [(k % 90 << 8 | k % 60 << 1, 1000 + 10 * k) for k in range(200)]
    for broken in range(150, 158):
        records = [*good]
        records[broken] = (records[broken][0], 1_500_000_000)
        path = tmp_path / f"{broken}.aedat"
        path.write_bytes(file_of(records))
        with pytest.warns(UserWarning, match="far ahead"):
            whole = read(path, errors=mode)
        for piece in (61, 64, 1208):
            monkeypatch.setattr(read_ahead, "_PIECE", piece)
            with pytest.warns(UserWarning, match="far ahead"):
                parts = [part.array for part in stream(path, count=10, errors=mode)]
            assert np.array_equal(np.concatenate(parts), whole.array), (broken, piece)
            monkeypatch.undo()


def test_headers_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    for data, message in (
        (b"", "found an empty file"),
        (b"#", "found no whole line of text"),
        (b"#!AER-DAT2.0", "found no whole line of text"),
        (bytes(100), "found no whole line of text"),
    ):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=message):
            read(path, format="aedat2")
    path.write_bytes(file_of([]))
    assert len(read(path)) == 0
    with pytest.raises(FormatError, match="No such file"):
        read(tmp_path / "none.aedat", format="aedat2")
