from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import Events, read

RECORDINGS = ["dvp_py_sample", "dvp_test_minimal", "evlibrary_sample", "tonic_sample"]


def shifted(events: Events, us: int) -> Events:
    return Events.from_columns(events.t + us, events.x, events.y, events.p, shape=events.shape)


@pytest.fixture
def make(fuzz: ModuleType, tmp_path: Path) -> Any:
    def write(*args: Any, **kwargs: Any) -> Path:
        path = tmp_path / "a.aedat4"
        path.write_bytes(fuzz.aedat4_bytes(*args, **kwargs))
        return path

    return write


@pytest.mark.parametrize("name", RECORDINGS)
def test_real_recordings_have_what_others_found(name: str, shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    name = f"recordings/aedat4/{name}.aedat4"
    events, want = read(shared / name), expected[name]
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))


def test_the_shape_comes_from_the_header(shared: Path) -> None:
    shapes = [read(shared / f"recordings/aedat4/{name}.aedat4").shape for name in RECORDINGS]
    assert shapes == [(640, 480), (640, 480), (346, 260), (320, 240)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_it_reads_what_aedat_reads(name: str, shared: Path) -> None:
    aedat = pytest.importorskip("aedat")
    path = shared / f"recordings/aedat4/{name}.aedat4"
    theirs = np.concatenate([packet["events"] for packet in aedat.Decoder(str(path)) if "events" in packet])
    ours = read(path)
    for mine, other in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(ours.array[mine], theirs[other])


@pytest.mark.parametrize("compression", [0, 1, 3])
@pytest.mark.parametrize("killed", [False, True])
def test_packets_of_all_codecs_are_joined(compression: int, killed: bool, make: Any, camera: Events) -> None:
    later = shifted(camera, 200_000)
    empty = Events.from_columns([], [], [], shape=(34, 34))
    path = make([(0, camera), (1, b"imu samples"), (0, empty), (0, later)], compression, killed=killed)
    events = read(path)
    assert np.array_equal(events.array[["t", "x", "y", "p"]], np.concatenate([camera.array, later.array]))
    assert events.shape == (34, 34)


def test_no_packets_are_no_events(make: Any) -> None:
    assert len(read(make([]))) == 0


def test_a_header_without_a_size_takes_the_largest_coordinates(make: Any, fuzz: ModuleType) -> None:
    streams = fuzz.aedat4_streams({0: ("EVTS", None)})
    events = Events.from_columns([1, 2], [3, 9], [20, 4], shape=(34, 34))
    assert read(make([(0, events)], streams=streams)).shape == (10, 21)
    assert read(make([], streams=streams)).shape == (1, 1)


def test_of_several_event_streams_one_is_chosen(make: Any, fuzz: ModuleType, camera: Events) -> None:
    streams = fuzz.aedat4_streams({0: ("EVTS", (34, 34)), 4: ("EVTS", (34, 34)), 5: ("FRME", None)})
    path = make([(0, camera), (4, shifted(camera, 7))], streams=streams)
    with pytest.raises(UnsupportedError, match="found event streams 0, 4; expected one"):
        read(path)
    assert read(path, stream=4).equals(shifted(camera, 7))
    with pytest.raises(UnsupportedError, match="event stream 5: unknown; known are 0, 4"):
        read(path, stream=5)


def test_a_recording_without_events_names_what_it_has(make: Any, fuzz: ModuleType) -> None:
    with pytest.raises(FormatError, match="found streams FRME, IMUS; expected one of events"):
        read(make([], streams=fuzz.aedat4_streams({0: ("FRME", None), 1: ("IMUS", None)})))


@given(killed=st.booleans(), lost=st.integers(1, 1000))
def test_a_cut_file_is_an_error_or_gives_its_whole_packets(
    killed: bool, lost: int, fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(0)
    parts = [shifted(fuzz.random_events(rng, 20, (34, 34), 1000), 1000 * k) for k in range(5)]
    whole = fuzz.aedat4_bytes([(0, part) for part in parts], 1, killed=killed)
    start = len(fuzz.aedat4_bytes([], 1, killed=True))
    path = tmp_path_factory.mktemp("cut") / "a.aedat4"
    path.write_bytes(whole[: max(start, len(whole) - lost)])
    try:
        strict: int | None = len(read(path))
    except FormatError:
        strict = None
    if strict is not None:
        assert killed  # an intact end cannot be told from a cut between two packets
        assert strict % 20 == 0
        return
    with pytest.warns(UserWarning, match="; kept"):
        events = read(path, errors="truncate")
    expected = np.concatenate([part.array for part in parts])[: len(events)]
    assert len(events) % 20 == 0
    assert np.array_equal(events.array, expected)


def test_truncate_says_what_it_kept_and_what_it_left(make: Any, camera: Events) -> None:
    path = make([(0, camera), (0, shifted(camera, 200_000))], 0, killed=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match='errors="truncate"'):
        read(path)
    with pytest.warns(UserWarning, match="kept 300 events, left [0-9]+ bytes out"):
        assert read(path, errors="truncate").equals(camera)
    with pytest.raises(UnsupportedError, match="skip, strict, truncate"):
        read(path, errors="ignore")  # type: ignore[arg-type]


def test_damage_in_a_packet_is_named_with_its_place(make: Any, camera: Events) -> None:
    intact = make([(0, camera), (0, shifted(camera, 200_000))]).read_bytes()
    for find, put, message in (
        (b"EVTS", b"EVTT", "cannot be read"),
        (camera.array[7].tobytes()[:8], np.int64(-1).tobytes(), "a time before that of the event before it"),
    ):
        place = intact.rindex(find) if find == b"EVTS" else intact.index(find)
        path = make([])
        path.write_bytes(intact[:place] + put + intact[place + len(put) :])
        with pytest.raises(FormatError, match=message) as caught:
            read(path)
        assert caught.value.offset is not None
        assert caught.value.offset <= place


@pytest.mark.parametrize(
    ("place", "value", "message"), [(8, b"\x22", "x = 34"), (10, b"\xff\xff", "y = 65535"), (12, b"\2", "polarity 2")]
)
def test_events_outside_the_sensor_are_refused(
    place: int, value: bytes, message: str, make: Any, fuzz: ModuleType
) -> None:
    path = make([(0, Events.from_columns([258], [1], [1], [1], shape=(34, 34)))], killed=True)
    data = bytearray(path.read_bytes())
    data[len(data) - 16 + place : len(data) - 16 + place + len(value)] = value
    path.write_bytes(data)
    with pytest.raises(FormatError, match=f"found {message}; expected sorted events of a 34 x 34 sensor"):
        read(path)


def test_a_lost_packet_is_seen_by_the_index(make: Any, camera: Events, fuzz: ModuleType) -> None:
    whole = make([(0, camera), (0, shifted(camera, 200_000))]).read_bytes()
    # A packet of events that claims to be of the IMU.
    start = len(fuzz.aedat4_bytes([], 0, killed=True))
    path = make([])
    path.write_bytes(whole[:start] + b"\1" + whole[start + 1 :])
    with pytest.raises(FormatError, match="differ from the index"):
        read(path)


def test_bytes_after_the_index_are_seen(make: Any, camera: Events) -> None:
    for compression in (0, 1, 3):
        path = make([(0, camera)], compression)
        path.write_bytes(path.read_bytes() + b"garbage")
        with pytest.raises(FormatError, match="7 bytes after it"):
            read(path)


def test_a_declaration_in_the_header_is_refused(make: Any) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "cccc">]><dv>&b;</dv>'
    with pytest.raises(FormatError, match="holds a declaration"):
        read(make([], streams=bomb))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    for data in (b"", b"#", b"#!AER-DAT2.0\r\n" + bytes(100), bytes(1000)):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="this is no AEDAT 4 file, or it is cut"):
            read(path, format="aedat4")
    with pytest.raises(FormatError, match="No such file"):
        read(tmp_path / "none.aedat4")
