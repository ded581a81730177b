"""Writers that take a recording piece by piece write what they write of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import FORMATS, Events, Recordings, read, stream, write

FORMATS_OF_PIECES = [name for name, one in FORMATS.items() if one.pieces]
WRAPS = {"dat": 32, "evt2": 34, "evt21": 34, "evt3": 24}
SAME_BYTES = {"dat", "es", "evt2", "evt3"}  # others close a packet or a vector at the end of a piece


def parts(events: Events, *cuts: int) -> Iterator[Events]:
    edges = [0, *cuts, len(events)]
    return (Events(events.array[a:b], events.shape) for a, b in pairwise(edges))


@pytest.fixture(scope="module")
def events() -> Events:
    """Events with pauses around the wraps of each format's counter, most of them where pieces meet."""
    rng = np.random.default_rng(5)
    steps = rng.integers(0, 30, 9_000)
    steps[[2_000, 5_000]] = 300, 10_000_000
    t = np.cumsum(steps) + 50
    return Events.from_columns(t, *rng.integers(0, 99, (2, 9_000)), rng.integers(0, 2, 9_000), shape=(100, 99))


def test_the_formats_that_take_pieces_are_these() -> None:
    assert set(FORMATS_OF_PIECES) == {"aedat4", "dat", "es", "evt2", "evt21", "evt3", "hdf5"}


@pytest.mark.parametrize("name", FORMATS_OF_PIECES)
def test_pieces_are_written_as_the_whole_is(name: str, events: Events, tmp_path: Path) -> None:
    whole, pieced = tmp_path / "whole", tmp_path / "pieced"
    if name in WRAPS:  # the counter wraps where pieces meet
        array = events.array.copy()
        array["t"] += (1 << WRAPS[name]) - int(array["t"][5_000])
        events = Events(array, events.shape)
    write(events, whole, format=name)
    for cuts in ((1_000, 2_000, 2_000, 5_000, 5_001), (0, 9_000), (4_321,)):
        write(parts(events, *cuts), pieced, format=name)
        again = read(pieced, format=name)
        assert isinstance(again, Events) and again.equals(events)
        if name in SAME_BYTES:
            assert pieced.read_bytes() == whole.read_bytes()
    write(stream(whole, count=700, format=name), pieced, format=name)
    again = read(pieced, format=name)
    assert isinstance(again, Events) and again.equals(events)
    none = Events(events.array[:0], events.shape)
    write(iter([none, none]), pieced, format=name)
    assert len(read(pieced, format=name)) == 0


def test_an_index_of_milliseconds_goes_over_all_pieces(events: Events, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write(parts(events, 1_000, 2_000, 5_000), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        index, t = file["ms_to_idx"][:], (events.t - events.t[0])
    assert np.array_equal(index, np.searchsorted(t, 1_000 * np.arange(int(t[-1]) // 1_000 + 1)))


@pytest.mark.parametrize("name", FORMATS_OF_PIECES)
def test_what_a_later_piece_breaks_is_refused_and_the_old_file_stays(name: str, events: Events, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    back, other = list(parts(events, 4_000)), Events.from_columns([1 << 60], [1], [1], shape=(100, 100))
    for pieces, words in (
        ([back[1], back[0]], "expected pieces in order of time"),
        ([back[0], other], "expected one sensor"),
        ([back[0], 7], "found int; expected Events"),
        ([], "found no piece"),
    ):
        with pytest.raises(ShapeError, match=words):
            write(iter(pieces), path, format=name)  # type: ignore[arg-type]
    far = Events.from_columns([1 << 62], [1], [1], shape=(100, 99))
    if name != "aedat4":
        place = {"es": "t.-1.", "hdf5": "HDF5: t"}.get(name, "event 9000")
        with pytest.raises(UnsupportedError, match=place):
            write(iter([events, far]), path, format=name)

    def broken() -> Iterator[Events]:
        yield events
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(broken(), path, format=name)
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and path.read_text() == "old"


def test_formats_that_need_all_of_a_recording_say_so(events: Events, tmp_path: Path) -> None:
    for name in ("npz", "nmnist"):
        with pytest.raises(UnsupportedError, match=f"found pieces of a recording for {FORMATS[name].title}"):
            write(parts(events), tmp_path / "a", format=name)
    for wrong in ([events], events.array, Recordings.of([events], [0], ("a",))):
        with pytest.raises(ShapeError, match="expected Events"):
            write(wrong, tmp_path / "a.raw", format="evt2")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
