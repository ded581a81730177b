"""Real recordings of Prophesee's formats, their headers, and what the writers give."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, detect, extras, read, stream, write

FORMATS = ["evt2", "evt21", "evt3", "dat"]


def real(expected: dict[str, dict[str, Any]]) -> list[str]:
    folders = tuple(f"recordings/{name}/" for name in FORMATS)
    names = [name for name in expected if name.startswith(folders) and not name.endswith(".npy")]
    assert len(names) == 8
    return names


def test_real_recordings_have_what_others_found(shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    for name in real(expected):
        events, want = read(shared / name), expected[name]
        assert isinstance(events, Events)
        found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
        assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on")), name
        assert detect(shared / name) == name.split("/")[1]


def test_the_time_line_of_pedestrians_is_the_makers(shared: Path) -> None:
    # TIME_LOW goes from 811 to 800 here; other readers add 4096 us, or hold the time.
    folder = shared / "recordings/evt3"
    events = read(folder / "expelliarmus_pedestrians_evt3.raw")
    assert isinstance(events, Events)
    theirs = np.load(folder / "expelliarmus_pedestrians_evt3_expected.npy")
    for column in ("x", "y", "p"):
        np.testing.assert_array_equal(events.array[column], theirs[column])
    wrong = events.t != theirs["t"]
    assert (wrong.sum(), events.t[-1]) == (199_475, 11_727_457)
    assert int(np.argmax(wrong)) == 20_121


def test_a_recording_reads_the_same_in_each_format(shared: Path, tmp_path: Path) -> None:
    events = read(shared / "recordings/evt2/faery_evt2.raw")
    assert isinstance(events, Events)
    events = Events(events.array, (640, 480))
    for name in FORMATS:
        write(events, tmp_path / "a", format=name)
        assert detect(tmp_path / "a") == name
        found = read(tmp_path / "a")
        assert isinstance(found, Events) and found.equals(events)
    converted = read(shared / "recordings/evt21/converted_faery_evt2_first150k_evt21.raw")
    assert isinstance(converted, Events)
    assert (converted.array == events.array[:150_000]).all()


def test_triggers_are_extras(shared: Path) -> None:
    found = extras(shared / "recordings/evt3/ros_codecs_1280x720_with_triggers_evt3.raw").triggers
    assert found.tolist() == [(14_547_491, 0, False), (14_549_491, 0, True)]
    found = extras(shared / "recordings/evt3/ros_ecpy1_640x480_evt3.raw").triggers
    assert len(found) == 4157 and (np.diff(found["t"]) >= 0).all() and set(found["id"]) == {6}
    assert np.bincount(found["value"]).tolist() == [2078, 2079]  # the edges of a clock


@pytest.mark.parametrize(
    "name", ["evt2/faery_evt2.raw", "evt3/expelliarmus_pedestrians_evt3.raw", "dat/tonic_ncars.dat"]
)
def test_pieces_joined_are_the_whole(name: str, shared: Path) -> None:
    whole = read(shared / "recordings" / name)
    assert isinstance(whole, Events)
    for options in ({"window": "777 us"}, {"window": "1 s"}, {"count": 65_537}, {"count": 501}):
        parts = [piece.array for piece in stream(shared / "recordings" / name, **options)]  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.concatenate(parts), whole.array)


TIMES = st.one_of(st.integers(0, 5000), *(st.integers(2**n - 70, 2**n + 70) for n in (12, 24, 31, 32, 33, 34)))


@settings(deadline=None, max_examples=60)
@given(t=st.lists(TIMES, max_size=30).map(sorted), seed=st.integers(0, 99), spread=st.sampled_from([2, 40, 2048]))
def test_what_is_written_is_read(
    t: list[int], seed: int, spread: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng, path = np.random.default_rng(seed), tmp_path_factory.getbasetemp() / "round.raw"
    events = Events.from_columns(
        t, *rng.integers(0, spread, (2, len(t))), rng.integers(0, 2, len(t)), shape=(2048, 2048)
    )
    for name in FORMATS:
        crossings = np.flatnonzero(np.diff(events.t >> 32))
        # From just behind a wrap to just before the next: it would be read as a step back over the wrap.
        low, epoch = events.t & 0xFFFFFFFF, events.t >> 32
        back = ((epoch[:-1] > 0) & (low[:-1] < 1 << 26) & (low[1:] >= 63 << 26)).any()
        far = (epoch[:1] > 0).any() or (np.diff(events.t)[crossings] >= 1 << 31).any()
        if name == "dat" and (far or back):
            with pytest.raises(UnsupportedError, match="time_within_reach"):
                write(events, path, format=name)
            continue
        write(events, path, format=name)
        found = read(path)
        assert isinstance(found, Events) and found.equals(events), name
        pieces = list(stream(path, count=7))
        assert sum(map(len, pieces)) == len(events)


def test_a_step_back_over_a_wrap_is_no_further_wrap(tmp_path: Path) -> None:
    path, wrap = tmp_path / "a.dat", 2**32

    def dat(*times: int) -> None:
        head = b"% Version 2\n% Width 34\n% Height 34\n\x0c\x08"
        path.write_bytes(head + np.array([[t, 5 | 4 << 14] for t in times], "<u4").tobytes())

    # At the start of a file, and behind runs of records that are decoded at once.
    for quiet in (0, 5000):
        lead, tail = [wrap - 20] * quiet, [3] * quiet
        dat(*lead, wrap - 2, 1, *tail, wrap - 1, 4, 5)
        with pytest.raises(FormatError, match="a time before that of the event before it"):
            read(path)
        want = [*lead, wrap - 2, wrap - 1, wrap + 1, *(wrap + t for t in tail), wrap + 4, wrap + 5]
        found = read(path, sort=True)
        assert isinstance(found, Events) and found.t.tolist() == want
        want.remove(wrap - 1)
        with pytest.warns(UserWarning, match="left 8 bytes out"):
            found = read(path, errors="skip")
        assert isinstance(found, Events) and found.t.tolist() == want
    # Pauses: before the first wrap, or not from just behind one to just before the next.
    dat(1, wrap - 1, 1, wrap - 10**8, 3)
    found = read(path)
    assert isinstance(found, Events)
    assert found.t.tolist() == [1, wrap - 1, wrap + 1, 2 * wrap - 10**8, 2 * wrap + 3]


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_cannot_hold_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    limit = 1 << (14 if name == "dat" else 11)
    wide = Events.from_columns([5], [limit], [0], shape=(limit + 1, 1))
    early = Events.from_columns([-5], [0], [0], shape=(1, 1))
    late = Events.from_columns([1 << 62], [0], [0], shape=(1, 1))
    for events, rule in ((wide, "coordinates"), (early, "time"), (late, "time" if name == "dat" else "few_wraps")):
        with pytest.raises(UnsupportedError) as caught:
            write(events, path, format=name)
        assert [one.rule.startswith(rule) for one in caught.value.violations] == [True]
    with pytest.raises(ShapeError, match=r"write \.npz or \.h5"):
        write(Events.from_columns([1], [1], shape=(3,)), path, format=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_silent_recording_survives(name: str, tmp_path: Path) -> None:
    silent = Events.from_columns([], [], [], shape=(34, 34))
    write(silent, tmp_path / "a", format=name)
    found = read(tmp_path / "a")
    assert isinstance(found, Events) and found.equals(silent)


@pytest.mark.parametrize(
    ("head", "name", "shape"),
    [
        (b"% evt 2.0\n", "evt2", None),
        (b"% Date 2020\r\n% evt 3.0\r\n% geometry 640x480\r\n% end\r\n", "evt3", (640, 480)),
        (b"% format EVT2;height=480;width=640\n% end\n", "evt2", (640, 480)),
        (b"% evt 2.1\n% format EVT21;endianness=legacy\n% width 32\n% height 16\n", "evt21", (32, 16)),
        (b"% evt 2.0\n% format EVT3;width=7;height=9\n% geometry 1x1\n", "evt3", (7, 9)),
        (b"% Width 304\n% Height 240\n\x00\x08", "dat", (304, 240)),
        (b"% Version 2\n\x0c\x08", "dat", None),
    ],
)
def test_headers_name_format_and_sensor(head: bytes, name: str, shape: tuple[int, int] | None, tmp_path: Path) -> None:
    path = tmp_path / "recording.bin"
    path.write_bytes(head)
    assert detect(path) == name
    found = read(path)
    assert isinstance(found, Events)
    assert (len(found), found.shape) == (0, shape or (1, 1))
    given_shape = read(path, shape=(8, 6))
    assert isinstance(given_shape, Events) and given_shape.shape == (8, 6)
    with pytest.raises(ShapeError, match=r"expected \(width, height\)"):
        read(path, shape=(8,))


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("a.raw", b"", "found an empty file"),
        ("a.raw", b"%", "found no whole line"),
        ("a.raw", bytes(40), "found no whole line"),
        ("a.raw", b"% evt 4.0\n% end\n", "found no line '% evt' or '% format'"),
        ("a.raw", b"% format HISTO3D;width=3\n% end\n", "found the format HISTO3D in the header"),
        ("a.raw", b"% evt 2.0\n% geometry 70000x2\n% end\n", "found a sensor of 70000 x 2 pixels"),
        ("a.raw", b"% evt 2.0\n% geometry ax-2\n% end\n", "found a sensor of a x -2 pixels"),
        ("a.dat", b"% Version 2\n", "found 0 bytes behind the header"),
        ("a.dat", b"% Version 2\n\x07\x08", "found records of type 7 and 8 bytes"),
        ("a.dat", b"% Version 3\n\x0c\x08", "found version '3' in the header"),
        ("a.dat", bytes(40), "found no whole line"),
    ],
)
def test_a_wrong_header_is_named(file: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read(tmp_path / file)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_in_all_three_modes(name: str, camera: Events, tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(camera, path, format=name)
    data = path.read_bytes()
    garbage = np.random.default_rng(3).bytes(1000)
    middle = len(data) // 2
    for bad in (data[:-3], data + garbage, data[:middle] + garbage, data[:middle] + b"\x77" * 90 + data[middle:]):
        path.write_bytes(bad)
        with pytest.raises(FormatError, match=r"byte \d+") as caught:
            read(path)
        assert caught.value.offset is not None and 40 < caught.value.offset < len(bad)
        kept = {}
        for mode in ("truncate", "skip"):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = read(path, errors=mode)  # type: ignore[arg-type]
            assert f"errors='{mode}'" in str(told[0].message)
            assert isinstance(found, Events)
            kept[mode] = found.array
            Events(found.array.copy(), found.shape)  # checks order and range
        assert (kept["truncate"] == camera.array[: len(kept["truncate"])]).all()
        assert (kept["skip"][: len(kept["truncate"])] == kept["truncate"]).all()
        assert len(kept["truncate"]) >= 100
    # What was inserted costs no more than the events up to the next TIME_HIGH.
    assert len(kept["skip"]) >= (200 if name != "dat" else 290)
