from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Events, read, stream, text, write


def written(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def whole(path: Path, **options: Any) -> Events:
    found = read(path, **options)
    assert isinstance(found, Events)
    return found


@pytest.mark.parametrize("name", ["rpg_slider_depth_events_chunk", "evlibrary_event"])
def test_a_real_recording_has_what_others_found(name: str, shared: Path, expected: dict[str, dict[str, Any]]) -> None:
    path, want = shared / f"recordings/txt/{name}.txt", expected[f"recordings/txt/{name}.txt"]
    events = whole(path)
    found = (len(events), events.t[0], events.t[-1], events.x.max(), events.y.max(), events.p.sum())
    assert found == tuple(want[k] for k in ("events", "t_first", "t_last", "x_max", "y_max", "on"))
    table = np.loadtxt(path)
    np.testing.assert_array_equal(events.t, np.rint(table[:, 0] * 1e6))
    for k, column in enumerate("xyp", 1):
        np.testing.assert_array_equal(events.array[column], table[:, k])
    joined = np.concatenate([part.array for part in stream(path, count=999)])
    np.testing.assert_array_equal(joined, events.array)


# Seconds in every notation, also halves of a microsecond, and more digits than a float has.
TIMES = st.one_of(
    st.decimals(0, 10**9, places=6).map(str),
    st.decimals(-5, 5, places=7).map(lambda t: f"{t:f}"),
    st.decimals(0, 5, places=30).map(lambda t: f"{t:f}"),
    st.floats(0, 1e6).map(lambda t: f"{t:.18e}"),
    st.floats(0, 1e-3).map(repr).filter(lambda t: "." in t or "e" in t),
)


@settings(max_examples=200)
@given(times=st.lists(TIMES, min_size=1, max_size=20))
def test_times_are_the_nearest_microsecond(times: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = written(tmp_path_factory.mktemp("text"), "".join(f"{t} 1 2 1\n" for t in ["0.0", *times]))
    exact = [int((Decimal(t) * 10**6).quantize(Decimal(1), ROUND_HALF_EVEN)) for t in ["0.0", *times]]
    assert sorted(exact) == whole(path, sort=True).t.tolist()


def test_what_is_written_is_read(camera: Events, tmp_path: Path) -> None:
    shifted = Events.from_columns(camera.t - 50_000, camera.x, camera.y, camera.p, shape=camera.shape)
    silent = Events.from_columns([], [], [], shape=(3, 4))
    late = Events.from_columns([2**61], [1], [2], shape=(3, 4))
    for events in (camera, shifted, silent, late):
        write(events, tmp_path / "a.txt")
        assert whole(tmp_path / "a.txt").equals(events)


def test_separators_comments_names_and_sizes(tmp_path: Path) -> None:
    want = [(1500, 3, 4, True), (2000, 5, 0, False)]
    for content in (
        "0.0015 3 4 1\n0.002 5 0 0\n",
        "# t x y p\r\n\r\n  1.5e-3\t3, 4,1\r\n% more\n.002 5 0 -1",
        "1.500000000000000000e-03 3.000e+00 4.0 1.0\n2e-3 5e0 0 0\n",
        "timestamp,x,y,polarity\n0.0015,3,4,1\n0.002,5,0,0\n",
        "x,y,p,t\n3,4,1,0.0015\n5,0,0,0.002\n",
        "8 6\n0.0015 3 4 1\n0.002 5 0 0\n",
    ):
        events = whole(written(tmp_path, content))
        assert events.array.tolist() == want
        assert events.shape == ((8, 6) if content.startswith("8") else (6, 5))
    events = whole(written(tmp_path, "3 4 1500 1\n5 0 2000 0\n", "a.csv"), columns="xytp", unit="us")
    assert events.array.tolist() == want
    assert whole(written(tmp_path, "1 3 4 1\n2 5 0 0\n"), unit="s").t.tolist() == [10**6, 2 * 10**6]
    assert whole(written(tmp_path, "1500 3 4 1\n"), unit="ns").t.tolist() == [2]


def test_times_without_a_point_need_a_unit(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"found the time 1500 without a decimal point; .* pass unit='us'"):
        read(written(tmp_path, "1500 3 4 1\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0.5 1 2", "not four numbers"),
        ("0.5 1 2 1 7", "not four numbers"),
        ("0.5 1.5 2 1", "not four numbers"),
        ("0.5 1 2 x", "not four numbers"),
        ("nan 1 2 1", "not four numbers"),
        ("0.5 1 2 1\0", "not four numbers"),
        ("9e300 1 2 1", "found a time beyond"),
        ("0.5 1 2 2", "found a polarity other than"),
        ("0.5 70000 2 1", "found an event outside"),
        ("0.5 -1 2 1", "found an event outside"),
        ("0.1 1 2 1", "found a time before"),
        ("0.5 1 2 1" + " " * 300, "more than 256 bytes"),
    ],
)
def test_damage_is_named_and_passed_over(line: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"0.3 1 2 1\n{line}\n0.7 5 6 0\n")
    if "256" in message:
        assert whole(path).t.tolist() == [300_000, 500_000, 700_000]
        path = written(tmp_path, f"0.3 1 2 1\n{'7' * 300} 1 2 1\n0.7 5 6 0\n")
    with pytest.raises(FormatError, match=message) as caught:
        read(path)
    assert caught.value.offset == 10
    with pytest.warns(UserWarning, match="kept 1 events"):
        assert whole(path, errors="truncate").t.tolist() == [300_000]
    with pytest.warns(UserWarning, match="kept 2 events"):
        assert whole(path, errors="skip").t.tolist() == [300_000, 700_000]


def test_a_cut_line_is_a_fault_and_a_lost_end_of_line_is_none(tmp_path: Path) -> None:
    assert whole(written(tmp_path, "0.3 1 2 1\n0.7 5 6 0")).t.tolist() == [300_000, 700_000]
    with pytest.raises(FormatError, match="not four numbers"):
        read(written(tmp_path, "0.3 1 2 1\n0.7 5 6"))


@pytest.mark.parametrize("content", [b"", b"\n", b"#\n", b"0", b"PNG" * 90, bytes(600), b"\xff" * 600])
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    if content in (b"\n", b"#\n"):
        assert len(whole(path)) == 0
    else:
        with pytest.raises(FormatError):
            read(path)


def test_other_arguments_are_refused(cochlea: Events, tmp_path: Path) -> None:
    path = written(tmp_path, "0.3 1 2 1\n")
    with pytest.raises(UnsupportedError, match="found columns='txy'"):
        read(path, columns="txy")
    with pytest.raises(UnsupportedError, match="found 'minutes'; expected one of s, ms, us, ns"):
        read(path, unit="minutes")
    with pytest.raises(ShapeError, match="pass shape"):
        read(path, shape=(5,))
    with pytest.raises(ShapeError, match=r"write \.npz or \.h5"):
        text.write(cochlea, tmp_path / "b.txt")
    with pytest.raises(UnsupportedError, match="2\\*\\*62"):
        text.write(Events.from_columns([2**62], [0], [0], shape=(1, 1)), tmp_path / "b.txt")
