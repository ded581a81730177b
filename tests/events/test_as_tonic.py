from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelab.errors import ShapeError
from spikelab.events import Events, Recordings, bin_events, read
from spikelab.events import shd as shd_layout
from spikelab.events.as_tonic import (
    CAMERA,
    COCHLEA,
    InCompose,
    TonicSamples,
    from_tonic,
    recordings_from_tonic,
    to_tonic,
)

tonic = pytest.importorskip("tonic")
ROOT = Path(__file__).resolve().parents[2]
SIZE = (34, 34, 2)


def halves(events: Events) -> Events:
    return events.between(0, 50_000)


def test_arrays_have_the_dtype_of_tonic(camera: Events, cochlea: Events) -> None:
    import tonic.datasets.hsd
    import tonic.io

    assert tonic.io.events_struct == CAMERA == to_tonic(camera).dtype
    assert tonic.datasets.hsd.HSD.dtype == COCHLEA == to_tonic(cochlea).dtype


def test_there_and_back_is_the_same(camera: Events, cochlea: Events) -> None:
    assert from_tonic(to_tonic(camera), SIZE).equals(camera)
    assert from_tonic(to_tonic(cochlea), (16, 1, 1)).equals(cochlea)
    assert len(from_tonic(to_tonic(camera.between(0, 0)), SIZE)) == 0


def test_tonic_may_change_its_array(camera: Events) -> None:
    before = camera.array.copy()
    array = to_tonic(camera)
    array["t"] += 5
    array["p"] = False
    assert np.array_equal(camera.array, before)


def test_a_transform_of_tonic_on_events(camera: Events) -> None:
    done = from_tonic(tonic.transforms.CenterCrop(SIZE, (20, 20))(to_tonic(camera)), (20, 20, 2))
    inside = (camera.x >= 7) & (camera.x < 27) & (camera.y >= 7) & (camera.y < 27)
    assert np.array_equal(done.t, camera.t[inside]) and np.array_equal(done.x, camera.x[inside] - 7)


def test_ours_sits_in_a_compose(camera: Events) -> None:
    steps = tonic.transforms.Compose(
        [
            tonic.transforms.CropTime(min=10_000),
            InCompose(halves, SIZE),
            InCompose(partial(bin_events, dt="10 ms", steps=5), SIZE),
        ]
    )
    assert np.array_equal(steps(to_tonic(camera)), bin_events(camera.between(10_000, 50_000), dt="10 ms", steps=5))
    # Its frames on the same edges are tonic's own.
    theirs = tonic.transforms.ToFrame(SIZE, time_window=10_000, start_time=0, end_time=100_000)(to_tonic(camera))
    assert np.array_equal(bin_events(camera, dt="10 ms", steps=10), theirs)
    again = pickle.loads(pickle.dumps(steps))  # worker processes get it so
    assert np.array_equal(again(to_tonic(camera)), steps(to_tonic(camera)))


def test_an_empty_recording_within_ours_keeps_its_type(camera: Events) -> None:
    empty = to_tonic(camera.between(0, 0))
    assert InCompose(partial(bin_events, dt="10 ms", steps=5), SIZE)(empty).shape == (5, 2, 34, 34)
    # tonic's Compose itself stops at it (its issue 292).
    assert tonic.transforms.Compose([InCompose(partial(bin_events, dt="10 ms", steps=5), SIZE)])(empty).shape == (0,)


def test_times_that_tonic_leaves_unsorted_are_refused(camera: Events) -> None:
    np.random.seed(0)  # noqa: NPY002  tonic draws from the global generator
    jittered = tonic.transforms.TimeJitter(std=5000)(to_tonic(camera))
    with pytest.raises(ShapeError, match=r"expected sorted times; sort with"):
        from_tonic(jittered, SIZE)


def test_what_is_no_array_of_tonic_is_refused(camera: Events) -> None:
    with pytest.raises(ShapeError, match=r"pass dataset.sensor_size"):
        from_tonic(to_tonic(camera), (34, 34))
    with pytest.raises(ShapeError, match="expected a structured array"):
        from_tonic(np.zeros((3, 4)), SIZE)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="at most 32768 pixels"):
        to_tonic(Events.from_columns([1], [40_000], [0], shape=(40_001, 2)))


def test_recordings_are_a_data_set_of_tonic(camera: Events, tmp_path: Path) -> None:
    samples = TonicSamples(Recordings.of([camera, camera.between(0, 50_000)], [1, 0], ("a", "b")))
    assert (samples.sensor_size, samples.classes, samples.targets) == (SIZE, ["a", "b"], [1, 0])
    array, label = samples[0]
    assert label == 1 and np.array_equal(array, to_tonic(camera))
    cut = tonic.SlicedDataset(samples, tonic.slicers.SliceByEventCount(100, include_incomplete=True))
    assert sum(len(cut[k][0]) for k in range(len(cut))) == len(camera) + len(camera.between(0, 50_000))
    cached = tonic.DiskCachedDataset(samples, cache_path=str(tmp_path))
    assert np.array_equal(cached[1][0]["t"], camera.between(0, 50_000).t)


def test_a_data_set_of_tonic_becomes_recordings(camera: Events) -> None:
    samples = TonicSamples(Recordings.of([camera, camera.between(0, 50_000)], [1, 0], ("a", "b")))
    found = recordings_from_tonic(samples, ("a", "b"))
    assert found.labels.tolist() == [1, 0] and all(a.equals(b) for a, b in zip(found, samples.recordings, strict=True))

    class Untargeted:
        sensor_size = SIZE

        def __len__(self) -> int:
            return 2

        def __getitem__(self, k: int) -> tuple[Any, str]:
            return to_tonic(camera), "ba"[k]

    assert recordings_from_tonic(Untargeted(), ("a", "b")).labels.tolist() == [1, 0]
    with pytest.raises(ShapeError, match="found labels"):
        recordings_from_tonic(Untargeted(), ("a", "c"))


def test_a_real_recording_is_that_of_tonic() -> None:
    path = ROOT / "datasets" / "recordings" / "nmnist.bin"
    if not path.is_file():
        pytest.skip("datasets/ is not here: this is no checkout")
    ours = read(path)
    assert isinstance(ours, Events)
    assert from_tonic(tonic.io.read_mnist_file(str(path), dtype=CAMERA), SIZE).equals(ours)


def test_times_of_shd_are_rounded_where_tonic_cuts_them(tmp_path: Path) -> None:
    """A known difference: tonic 1.7 cuts seconds * 1e6 to whole us, so that a float32 time can be 1 us early."""
    events = Events.from_columns(t=[0, 100_003, 200_001], x=[1, 2, 3], shape=(700,))
    folder = tmp_path / "SHD"
    folder.mkdir()
    shd_layout.write(Recordings.of([events], [0], ("zero",)), folder / "shd_test.h5")

    class Theirs(tonic.datasets.hsd.HSD):  # type: ignore[misc, name-defined]
        data_filename = "shd_test.h5"

    theirs = Theirs(str(tmp_path))
    theirs.location_on_system = str(folder)
    difference = shd_layout.read(folder / "shd_test.h5", 700)[0].t - theirs[0][0]["t"]
    assert set(difference.tolist()) <= {0, 1} and shd_layout.read(folder / "shd_test.h5", 700)[0].equals(events)
