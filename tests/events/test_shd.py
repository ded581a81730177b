from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, Recordings, shd

TRAINS = st.lists(st.lists(st.integers(0, 3_000_000), max_size=20).map(sorted), min_size=1, max_size=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.h5"


def write_raw(path: Path, times: list, units: list, labels: list, **extra: object) -> None:
    """A file in SHD layout, as others write it."""
    with h5py.File(path, "w") as file:
        for name, values, kind in (("times", times, np.float32), ("units", units, np.uint16)):
            data = file.create_dataset(f"spikes/{name}", len(values), h5py.vlen_dtype(kind))
            for k, value in enumerate(values):
                data[k] = np.array(value, kind)
        file["labels"] = np.array(labels, np.uint16)
        for name, value in extra.items():
            file[f"extra/{name}"] = value


@given(trains=TRAINS, seed=st.integers(0, 99))
def test_what_is_written_is_read(trains: list[list[int]], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    events = [Events.from_columns(t, rng.integers(0, 12, len(t)), shape=(12,)) for t in trains]
    metadata = {"speaker": np.arange(len(events)), "name": np.array([f"é{k}" for k in range(len(events))])}
    recordings = Recordings.of(events, np.arange(len(events)) % 2, ("null", "eins"), metadata)
    path = tmp_path_factory.mktemp("shd") / "a.h5"
    shd.write(recordings, path)
    again = shd.read(path, channels=12)
    assert again.classes == recordings.classes
    assert again.labels.tolist() == recordings.labels.tolist()
    for name, values in metadata.items():
        assert again.metadata[name].tolist() == values.tolist()
    assert all(a.equals(b) for a, b in zip(again, events, strict=True))
    assert [p.name for p in path.parent.iterdir()] == ["a.h5"]


def test_the_bundled_speech_is_read_in_full(shared: Path) -> None:
    for name, count, spikes in (("train", 2700, 3_070_575), ("test", 120, 132_915)):
        recordings = shd.read(shared / f"labelled/fsdd_spikes/fsdd_spikes_{name}.h5")
        assert (len(recordings), recordings.shape) == (count, (128,))
        assert sum(len(events) for events in recordings) == spikes
        assert recordings.classes == tuple("0123456789")
        assert sorted(recordings.metadata) == ["index", "speaker"]


def test_other_tools_read_what_is_written(path: Path, cochlea: Events) -> None:
    shd.write(Recordings.of([cochlea], [0], ("a",)), path)
    with h5py.File(path) as file:
        assert file["spikes/times"][0].dtype == np.float32
        np.testing.assert_allclose(file["spikes/times"][0], cochlea.t / 1e6, rtol=1e-7)
        np.testing.assert_array_equal(file["spikes/units"][0], cochlea.x)


def test_times_that_float32_cannot_hold_are_written_as_float64(path: Path) -> None:
    late = Events.from_columns([100_000_001], [0], shape=(1,))
    shd.write(Recordings.of([late], [0], ("a",)), path)
    assert shd.read(path)[0].equals(late)


def test_classes_without_names_are_numbers(path: Path) -> None:
    write_raw(path, [[0.5], [0.25]], [[3], [1]], [2, 0], speaker=np.array([4, 5]), meta_names=np.array([b"x", b"y"]))
    recordings = shd.read(path)
    assert recordings.classes == ("0", "1", "2")
    assert recordings.shape == (4,)
    assert list(recordings.metadata) == ["speaker"]
    assert recordings[0].t.tolist() == [500_000]


def test_a_number_of_channels_is_checked_against_the_spikes(path: Path) -> None:
    write_raw(path, [[0.5]], [[700]], [0])
    assert shd.read(path).shape == (701,)
    with pytest.raises(FormatError, match="found units 700 to 700 in recording 0; expected 0 to 699; pass channels"):
        shd.read(path, channels=700)[0]


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([[0.5, 0.25]], [[1, 1]], "times that run backwards in recording 0"),
        ([[0.5, np.nan]], [[1, 1]], "found times nan to nan s in recording 0; expected finite"),
        ([[0.5, np.inf]], [[1, 1]], "expected finite"),
        ([[-1e30]], [[1]], "expected finite"),
        ([[0.5, 0.75]], [[1]], "found 2 times and 1 units in recording 0"),
    ],
)
def test_a_damaged_recording_raises_when_it_is_asked_for(times: list, units: list, message: str, path: Path) -> None:
    write_raw(path, times, units, [0])
    with pytest.raises(FormatError, match=message):
        shd.read(path, channels=2)[0]


def test_labels_that_do_not_fit_are_refused(path: Path) -> None:
    write_raw(path, [[0.5]], [[1]], [0, 1])
    with pytest.raises(FormatError, match="found 2 labels of uint16 for 1 recordings"):
        shd.read(path)
    write_raw(path, [[0.5]], [[1]], [1], keys=np.array([b"only"]))
    with pytest.raises(FormatError, match="found labels 1 to 1; expected 0 to 0"):
        shd.read(path)
    write_raw(path, [], [], [])
    with pytest.raises(FormatError, match="found 0 labels"):
        shd.read(path)


def test_another_layout_is_named(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["events/t"] = np.arange(3)
    with pytest.raises(FormatError, match="found no array spikes/times among events/t"):
        shd.read(path)


def test_what_the_layout_cannot_hold_is_refused(path: Path, camera: Events) -> None:
    with pytest.raises(ShapeError, match=r"write N-MNIST \.bin"):
        shd.write(Recordings.of([camera], [0], ("a",)), path)
    off = Events.from_columns([0], [0], None, [0], shape=(4,))
    with pytest.raises(ShapeError, match="polarity 0"):
        shd.write(Recordings.of([off], [0], ("a",)), path)
    assert not path.exists()
