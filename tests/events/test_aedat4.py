from __future__ import annotations

import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, extras, read, stream, write

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


def test_a_stream_gives_what_read_gives(shared: Path) -> None:
    path = shared / "recordings/aedat4/tonic_sample.aedat4"
    whole = read(path)
    for pieces in (stream(path, count=10_007), stream(path, window="70 ms", start_us=int(whole.t[0]))):
        parts = list(pieces)
        assert len(parts) > 2
        assert np.concatenate([part.array for part in parts]).tolist() == whole.array.tolist()


def test_what_lies_beside_the_events_is_what_aedat_found(shared: Path) -> None:
    found = extras(shared / "recordings/aedat4/evlibrary_sample.aedat4")
    # The numbers of aedat 2.3.0: first IMU sample in g, deg/s and deg C; triggers of type 7, 6 and 8; frames.
    assert found.imu["t"][0] == 1589163147369190
    np.testing.assert_allclose(found.imu["acceleration"][0] / 9.80665, [0.02758789, -0.9951172, 0.2590332], rtol=1e-5)
    np.testing.assert_allclose(np.degrees(found.imu["rotation"][0]), [0.7781982, -0.5187988, -0.01525879], rtol=1e-5)
    assert found.imu["temperature"][0] == pytest.approx(28.517897)
    assert len(found.imu) == 160
    triggers = found.triggers.tolist()
    assert {(1589163147374647, 4, False), (1589163147395806, 4, True), (1589163147404965, 5, True)} < set(triggers)
    assert len(triggers) == 17
    assert found.frame_times.tolist() == [1589163147364965 + 40_000 * k for k in range(4)]
    assert [(frame.shape, frame.dtype) for frame in found.frames] == [((260, 346), np.uint8)] * 4


def frame_packet(width: int, height: int, form: int, pixels: bytes) -> bytes:
    """A frame by hand: a table with time, format, sizes and pixels."""
    vtable = struct.pack("<13H", 26, 28, 4, 0, 0, 0, 0, 12, 14, 16, 0, 0, 20)
    body = struct.pack("<I4s2x", 36, b"FRME") + vtable + struct.pack("<iqbxhhxxi", 26, 77, form, width, height, 8)
    return len(body + bytes(8) + pixels).to_bytes(4, "little") + body + struct.pack("<xxxxI", len(pixels)) + pixels


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_what_is_written_is_read(codec: str, camera: Events, tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    rng = np.random.default_rng(3)
    many = Events.from_columns(
        np.sort(rng.integers(-(10**15), 10**16, 100_000)),
        *rng.integers(0, 480, (2, 100_000)),
        rng.integers(0, 2, 100_000),
        shape=(640, 480),
    )
    for events in (camera, many, Events.from_columns([], [], [], shape=(346, 260))):
        write(events, path, codec=codec)
        assert read(path).equals(events)
    last = Events.from_columns([2**63 - 1], [32767], [32767], [1], shape=(32768, 32768))
    write(last, path)
    assert read(path).equals(last)


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_others_read_what_is_written(codec: str, camera: Events, tmp_path: Path) -> None:
    aedat = pytest.importorskip("aedat")
    path = tmp_path / "a.aedat4"
    write(camera, path, codec=codec)
    decoder = aedat.Decoder(str(path))
    assert decoder.id_to_stream() == {0: {"type": "events", "width": 34, "height": 34}}
    theirs = np.concatenate([packet["events"] for packet in decoder])
    for mine, other in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(camera.array[mine], theirs[other])


def test_written_bytes_stay_as_they_are(tmp_path: Path) -> None:
    """These bytes were read by aedat 2.3.0, tonic 1.7.0 and dv-processing 2.0.4."""
    write(Events.from_columns([5, 7], [1, 3], [2, 0], [1, 0], shape=(4, 3)), tmp_path / "a.aedat4", codec="none")
    data = (tmp_path / "a.aedat4").read_bytes()
    packet = bytes.fromhex(
        "00000000400000003c00000010000000455654530000060008000400060000000400000002000000"
        "05000000000000000100020001000000"
        "07000000000000000300000000000000"
    )
    assert packet in data
    index = data[data.index(packet) + len(packet) :]
    assert index[8:12] == b"FTAB"
    assert struct.unpack("<qqqqii", index[-44:-4])[1:] == (2, 5, 7, 0, 64)
    assert struct.unpack("<qqqqii", index[-44:-4])[0] == data.index(packet) + 8


def test_what_the_format_cannot_hold_is_refused(cochlea: Events, camera: Events, tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    with pytest.raises(ShapeError, match="expected \\(width, height\\)"):
        write(cochlea, path)
    with pytest.raises(UnsupportedError, match="coordinates_are_int16"):
        write(Events.from_columns([], [], [], shape=(40_000, 2)), path)
    with pytest.raises(UnsupportedError, match=r"codec 'lz5': unknown.*did you mean 'lz4'"):
        write(camera, path, codec="lz5")
    assert not path.exists()


@pytest.mark.parametrize("compression", [0, 1, 3])
def test_skip_goes_on_at_the_next_packet(compression: int, make: Any, fuzz: ModuleType) -> None:
    rng = np.random.default_rng(0)
    parts = [shifted(fuzz.random_events(rng, 100, (34, 34), 1000), 1000 * k) for k in range(5)]
    path = make([(0, part) for part in parts], compression)
    whole = path.read_bytes()
    start = len(fuzz.aedat4_bytes([], compression, killed=True))
    size = struct.unpack_from("<i", whole, start + 4)[0]
    second = start + 8 + size
    for damaged in (
        whole[: second + 4] + b"\xff\xff\xff\x7f" + whole[second + 8 :],  # an absurd size
        whole[:second] + bytes(8) + whole[second + 8 :],
        whole[: second + 30] + b"\xff" * 60 + whole[second + 90 :],
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read(path)
        with pytest.warns(UserWarning, match="kept 100 events"):
            assert read(path, errors="truncate").equals(parts[0])
        with pytest.warns(UserWarning, match="kept 400 events"):
            kept = read(path, errors="skip")
        rest = np.concatenate([part.array for part in (parts[0], *parts[2:])])
        assert kept.array.tolist() == rest.tolist()


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


def test_frames_are_read_where_there_are_no_events(make: Any, fuzz: ModuleType) -> None:
    streams = fuzz.aedat4_streams({0: ("FRME", None)})
    gray, deep, colour = bytes(range(6)), bytes(range(12)), bytes(range(18))
    packets = [(0, frame_packet(3, 2, form, data)) for form, data in ((0, gray), (2, deep), (16, colour))]
    found = extras(make(packets, streams=streams))
    assert found.frame_times.tolist() == [77] * 3
    assert found.frames[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.frames[1].dtype == np.uint16
    assert found.frames[1][0, 1] == 0x0302
    assert found.frames[2].shape == (2, 3, 3)
    for packet in (frame_packet(3, 3, 0, gray), frame_packet(3, 2, 5, gray), frame_packet(-3, -2, 0, gray)):
        with pytest.raises(FormatError, match="packet of FRME cannot be read"):
            extras(make([(0, packet)], streams=streams))


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


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_events_that_are_all_equal_come_back(codec: str, tmp_path: Path) -> None:
    for count in (9408, 40_000):  # Zstd packs them some thousand times
        events = Events.from_columns(t=[7] * count, x=[3] * count, y=[4] * count, shape=(34, 34))
        write(events, tmp_path / "a.aedat4", codec=codec)
        assert read(tmp_path / "a.aedat4").equals(events)
