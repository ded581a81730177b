from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, nmnist, read
from spikelab.events.chunks import collect
from spikelab.events.faults import Faults


def of_bytes(data: bytes) -> Events:
    return collect(nmnist.open_bin("memory", Faults("memory"), contents=data))


@given(st.lists(st.integers(0, 20_000_000), max_size=40).map(sorted), st.integers(0, 99))
def test_what_is_written_is_read(t: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = Events.from_columns(t, *rng.integers(0, 34, (2, len(t))), rng.integers(0, 2, len(t)), shape=(34, 34))
    assert of_bytes(nmnist.encode(events)).equals(events)


def test_a_real_recording_has_what_others_found(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    name = "recordings/nmnist_bin/tonic_nmnist.bin"
    events, want = read(shared / name), expected[name]
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))
    assert nmnist.encode(events) == (shared / name).read_bytes()


def test_it_reads_what_tonic_reads(shared: Path) -> None:
    io = pytest.importorskip("tonic.io")
    path = shared / "recordings/nmnist_bin/tonic_nmnist.bin"
    theirs, ours = io.read_mnist_file(str(path), dtype=io.events_struct), read(path)
    for name in ("t", "x", "y", "p"):
        np.testing.assert_array_equal(ours.array[name], theirs[name])


def test_a_record_in_row_240_moves_time_and_is_no_event() -> None:
    data = bytes([1, 2, 0x80, 0, 5]) + bytes([0, 240, 0, 0, 0]) + bytes([3, 4, 0, 0, 6])
    events = of_bytes(data)
    assert events.t.tolist() == [5, 8192 + 6]
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([1, 3], [2, 4], [True, False])


def test_another_sensor_can_be_named(tmp_path: Path) -> None:
    events = Events.from_columns([1], [239], [179], shape=(240, 180))
    nmnist.write(events, tmp_path / "a.bin")
    assert read(tmp_path / "a.bin", shape=(240, 180)).equals(events)
    with pytest.raises(FormatError, match="found an event outside the sensor of 34 x 34 pixels"):
        read(tmp_path / "a.bin")


def test_a_silent_recording_survives() -> None:
    silent = Events.from_columns([], [], [], shape=(34, 34))
    assert of_bytes(nmnist.encode(silent)).equals(silent)


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "found an empty file", 0),
        (b"\1", "found 1 byte after the last whole record", 0),
        (bytes(7), "found 2 bytes after", 5),
        (bytes([0, 0, 0, 0, 9]) + bytes([33, 34, 0, 0, 9]), "found an event outside the sensor of 34 x 34", 5),
        (bytes([34, 0, 0, 0, 9]), "found an event outside", 0),
        (bytes([0, 0, 0, 0, 9]) * 2 + bytes([0, 0, 0, 0, 8]), "found a time before that of the event before it", 10),
    ],
)
def test_damage_is_named_with_its_place(data: bytes, message: str, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message) as caught:
        read(path)
    assert (caught.value.path, caught.value.offset) == (str(path), offset)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        read(tmp_path / "none.bin")


@pytest.mark.parametrize(
    ("t", "x", "y", "rule"),
    [
        (0, 256, 0, "coordinates_within_a_byte"),
        (0, 0, 256, "coordinates_within_a_byte"),
        (0, 0, 240, "row_240_means_overflow"),
        (-1, 0, 0, "time_not_negative"),
        (10**15, 0, 0, "few_overflow_records"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(t: int, x: int, y: int, rule: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        nmnist.write(Events.from_columns([t], [x], [y], shape=(640, 480)), tmp_path / "a.bin")
    assert [violation.rule for violation in caught.value.violations] == [rule]
    assert list(tmp_path.iterdir()) == []


def test_channels_are_refused(cochlea: Events) -> None:
    with pytest.raises(ShapeError, match=r"write \.npz or \.h5"):
        nmnist.encode(cochlea)


@pytest.mark.parametrize("shape", [(34,), 34, "34x34"])
def test_a_sensor_of_another_kind_is_refused(shape: object, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(5))
    with pytest.raises(ShapeError, match=r"expected \(width, height\)"):
        read(tmp_path / "a.bin", shape=shape)  # type: ignore[arg-type]
