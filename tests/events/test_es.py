from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, es, extras, read, stream, write
from spikelab.events.es_records import es_records

Record = tuple[int, int, int, int]


def header(kind: int, width: int = 320, height: int = 240) -> bytes:
    size = b"" if kind == 0 else width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return b"Event Stream\2\0\0" + bytes([kind]) + size


def slow_dvs(data: bytes) -> list[Record]:
    """t, x, y, p of type 1, a byte at a time: written from the specification alone."""
    found, t, rest = [], 0, iter(data[20:])
    for byte in rest:
        if byte == 0b11111111:
            t += 0b1111111
        elif byte != 0b11111110:
            t += byte // 2
            x = next(rest) + 256 * next(rest)
            found.append((t, x, next(rest) + 256 * next(rest), byte % 2))
    return found


def rows(events: Events) -> list[Record]:
    return list(zip(*(events.array[name].tolist() for name in "txyp"), strict=True))


def test_a_real_recording_has_what_others_found(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    name = "recordings/es/faery_dvs.es"
    events, want = read(shared / name), expected[name]
    assert isinstance(events, Events)
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))
    assert events.shape == (320, 240)
    assert rows(events) == slow_dvs((shared / name).read_bytes())
    joined = np.concatenate([part.array for part in stream(shared / name, count=70_001)])
    np.testing.assert_array_equal(joined, events.array)
    by_time = np.concatenate([part.array for part in stream(shared / name, window="100 ms")])
    np.testing.assert_array_equal(by_time, events.array)


@given(t=st.lists(st.integers(0, 3000), max_size=30).map(sorted), seed=st.integers(0, 99))
def test_what_is_written_is_read(t: list[int], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng, path = np.random.default_rng(seed), tmp_path_factory.mktemp("es") / "a.es"
    events = Events.from_columns(
        t, rng.integers(0, 1280, len(t)), rng.integers(0, 720, len(t)), rng.integers(0, 2, len(t)), shape=(1280, 720)
    )
    write(events, path)
    assert isinstance(found := read(path), Events)
    assert found.equals(events)
    assert rows(events) == slow_dvs(path.read_bytes())
    assert len(extras(path).triggers) == 0


def test_changes_of_an_atis_are_events_and_its_exposures_are_records(tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    body = [5 << 2 | 2, 3, 1, 4, 0, 0xFD, 0xFF, 0xFC, 1 << 2 | 1, 7, 0, 8, 0, 0, 9, 0, 9, 0]
    path.write_bytes(header(2) + bytes(body))
    events = read(path)
    assert isinstance(events, Events)
    assert rows(events) == [(5, 259, 4, 1), (5 + 63 + 189 + 1, 9, 9, 0)]
    assert es_records(path).tolist() == [(5, 259, 4, False, True), (258, 7, 8, True, False), (258, 9, 9, False, False)]


def test_colours_and_bytes_are_records_and_no_events(tmp_path: Path, shared: Path) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(header(4) + bytes([0xFF, 7, 1, 0, 2, 0, 10, 20, 30]))
    assert es_records(path).tolist() == [(254 + 7, 1, 2, 10, 20, 30)]
    with pytest.raises(FormatError, match=r"of type color, colours, and no polarity; .* spikelab.events.es_records"):
        read(path)
    generic = shared / "recordings/es/faery_generic.es"
    found = es_records(generic)
    assert (len(found), found["t"][0], found["t"][-1]) == (70, 0, 1_207_922)
    assert b" ".join(found["bytes"][:3]) == b"Lorem ipsum dolor"
    with pytest.raises(FormatError, match="of type generic, bytes with times"):
        read(generic)
    long = bytes(range(256)) * 2
    path.write_bytes(header(0) + bytes([3, (512 & 127) << 1 | 1, 512 >> 7 << 1]) + long)
    assert es_records(path).tolist() == [(3, long)]


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "found b''", 0),
        (b"Event Stream\2", "found a header of 13 bytes", 13),
        (b"Event Stream\1\0\0\1" + bytes(8), "found version 1.0.0", 12),
        (b"Event Stream\2\0\0\3" + bytes(8), "found type 3", 15),
        (header(1)[:18], "found no width and height", 18),
        (header(1, 0), "found a sensor of 0 x 240", 16),
        (header(1) + bytes([2, 1, 0, 1]), "found 4 bytes after the last whole record", 20),
        (header(1) + bytes([2, 1, 0, 1, 0, 2, 64, 1, 0, 0]), "found an event outside the sensor of 320 x 240", 25),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, message: str, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as caught:
        read(path, format="es")
    assert caught.value.offset == offset


def test_damage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.es"
    t = np.arange(2000) * 10
    events = Events.from_columns(t, t % 320, t % 240, t % 2, shape=(320, 240))
    write(events, path)
    good = path.read_bytes()
    wrong = bytearray(good)
    wrong[20 + 5 * 1000 + 2] = 0xFF  # a coordinate
    path.write_bytes(wrong)
    with pytest.warns(UserWarning, match=r"byte 5020: .* kept 1000 events"):
        found = read(path, errors="truncate")
    np.testing.assert_array_equal(found.array, events.array[:1000])  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match=r"kept 1999 events, left 5 bytes out"):
        found = read(path, errors="skip")
    assert isinstance(found, Events)
    np.testing.assert_array_equal(found.x, np.delete(events.x, 1000))
    np.testing.assert_array_equal(found.t[1000:], events.t[1001:] - 10)  # the time of the lost event is lost
    path.write_bytes(good[: 20 + 5 * 700] + b"\xf0" * 33 + good[20 + 5 * 700 :])  # bytes that no event can have
    with pytest.warns(UserWarning, match="kept 2000 events"):
        found = read(path, errors="skip")
    np.testing.assert_array_equal(found.array[["x", "y", "p"]], events.array[["x", "y", "p"]])  # type: ignore[union-attr]
    path.write_bytes(good[:20] + np.random.default_rng(0).bytes(100_000))
    with pytest.warns(UserWarning, match="left"):
        found = read(path, errors="skip")
    assert found.x.max(initial=0) < 320  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("t", "shape", "rule"),
    [(-1, (8, 8), "time_not_negative"), (10**15, (8, 8), "few_bytes_between_events"), (0, (65536, 1), "at_most_65535")],
)
def test_what_the_format_cannot_hold_is_refused(t: int, shape: tuple[int, int], rule: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        es.write(Events.from_columns([t], [0], [0], shape=shape), tmp_path / "a.es")
    assert caught.value.violations[0].rule.startswith(rule)
    assert list(tmp_path.iterdir()) == []


def test_channels_are_refused(cochlea: Events, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"write \.npz or \.h5"):
        es.write(cochlea, tmp_path / "a.es")


def test_long_pauses_are_held_and_too_long_ones_refused_with_advice(tmp_path: Path) -> None:
    t = np.sort(np.random.default_rng(0).integers(1945, 1_000_001_945, 2_000))
    sparse = Events.from_columns(t=t, x=t % 8, y=t % 8, shape=(8, 8))  # some 7.9 million bytes without an event
    write(sparse, tmp_path / "a.es")
    assert read(tmp_path / "a.es").equals(sparse)
    for t, advice in [
        ([10**15, 10**15 + 9], "subtract events.t"),
        ([5, 10**15], "cut it at its pauses, or write .npz"),
    ]:
        events = Events.from_columns(t=t, x=[0, 0], y=[0, 0], shape=(8, 8))
        with pytest.raises(UnsupportedError, match=advice):
            write(events, tmp_path / "b.es")
    assert not (tmp_path / "b.es").exists()
