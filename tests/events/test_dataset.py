from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import spikelab.events.dataset as module
from spikelab.errors import FormatError, ShapeError, UnsupportedError
from spikelab.events import Frames
from spikelab.events.dataset import dataset

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ROOT / "spikelab" / "data"


@pytest.fixture(scope="module")
def bundled() -> Path:
    """Folder of the sets in the repository."""
    if not (ROOT / "datasets" / "fsdd-spikes" / "fsdd-spikes.h5").is_file():
        pytest.skip("datasets/ is not here: this is no checkout")
    return ROOT / "datasets"


@pytest.fixture(scope="module")
def script(bundled: Path) -> ModuleType:
    """`datasets/make_bundled.py`."""
    spec = importlib.util.spec_from_file_location("make_bundled", bundled / "make_bundled.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_packaged_part_says_that_it_is_small() -> None:
    found = dataset("fsdd-spikes-mini")
    assert found.name == "fsdd-spikes-mini"
    assert "the small part in the package" in repr(found)
    assert found.kind == "real speech, simulated cochlea"


def test_the_packaged_part_is_balanced() -> None:
    found = dataset("fsdd-spikes-mini")
    for part, each in ((found.train, 8), (found.test, 2)):
        cells = np.zeros((10, 6), int)
        np.add.at(cells, (part.labels, part.metadata["speaker"].astype(int)), 1)
        assert (cells == each).all()


def test_frames_of_speech(bundled: Path) -> None:
    train, test = dataset("fsdd-spikes", root=bundled).frames(dt="10 ms", steps=80, late="drop")
    assert (len(train), len(test), train.shape, train.steps, train.dt) == (2700, 120, (128,), 80, 0.01)
    assert train.classes == tuple("0123456789")
    assert (np.unique(train.metadata["speaker"]) == np.arange(6)).all()
    x, labels = train.batch(range(64))
    assert (x.shape, labels.shape) == ((80, 64, 128), (64,))
    total = sum(frames.count.sum(dtype=int) + frames.dropped for frames in (train, test))
    assert total == 3_070_575 + 132_915


def test_late_spikes_are_an_error_unless_dropped(bundled: Path) -> None:
    with pytest.raises(ShapeError, match=r"found 38515 events .* in 564 of 2820 recordings.*use steps=459"):
        dataset("fsdd-spikes", root=bundled).frames(dt="5 ms", steps=100)


def test_five_folds_over_all_recordings(bundled: Path) -> None:
    frames = dataset("fsdd-spikes", root=bundled).all_frames(dt="50 ms", steps=10, late="drop")
    sizes = [(len(train), len(test)) for train, test in frames.folds(5)]
    assert [sum(size) for size in sizes] == [2820] * 5
    assert sum(test for _, test in sizes) == 2820
    left_out = frames.subset(frames.metadata["speaker"] == 3)
    assert len(left_out) == 470


def same(one: Frames, two: Frames) -> bool:
    return all(np.array_equal(getattr(one, k), getattr(two, k)) for k in ("first", "step", "cell", "count", "labels"))


def test_bundled_speech_equals_the_full_set(bundled: Path, shared: Path) -> None:
    ours, full = dataset("fsdd-spikes", root=bundled), dataset("fsdd-spikes", root=shared)
    assert full.folder == shared / "labelled" / "fsdd_spikes"
    assert all(a.equals(b) for a, b in zip(ours.recordings, full.recordings, strict=True))
    for name in ("index", "speaker", "split"):
        assert ours.recordings.metadata[name].tolist() == full.recordings.metadata[name].tolist()


@pytest.mark.parametrize("dt", ["100 us", "5 ms", "10 ms"])
def test_bundled_digits_give_the_frames_of_the_full_set(dt: str, bundled: Path, shared: Path) -> None:
    ours, full = dataset("nmnist-sim", root=bundled), dataset("nmnist-sim", root=shared)
    chosen = slice(0, 3000, 10)
    assert same(Frames.of(ours.recordings[chosen], dt, 3100), Frames.of(full.recordings[chosen], dt, 3100))
    assert (len(ours.train), len(ours.test), ours.recordings.shape) == (2500, 500, (34, 34))


@pytest.mark.parametrize("name", ["fsdd-spikes", "nmnist-sim", "fsdd-spikes-mini"])
def test_bundled_files_can_be_made_again(name: str, script: ModuleType, shared: Path, bundled: Path) -> None:
    make, path, _, _ = script.BUNDLED[name]
    again, committed = make(shared), dataset(name, root=path.parent).recordings
    assert again.labels.tolist() == committed.labels.tolist()
    for one, two in zip(again, committed, strict=True):
        cell = two.x + 34 * (two.y + 34 * two.p.astype(np.int64))
        assert np.array_equal(two.t, np.sort(two.t))
        # The order within a tick is by cell.
        order = np.lexsort((one.x + 34 * (one.y + 34 * one.p.astype(np.int64)), one.t))
        assert np.array_equal(one.array[order][["t", "x", "y", "p"]], two.array[["t", "x", "y", "p"]])
        assert (np.diff(cell)[np.diff(two.t) == 0] >= 0).all()


def test_recordings_are_copies_of_the_originals(bundled: Path, shared: Path) -> None:
    import tomllib

    card = tomllib.loads((bundled / "recordings" / "card.toml").read_text())
    for file in card["files"]:
        assert (bundled / "recordings" / file["path"]).read_bytes() == (shared / file["original"]).read_bytes()


def test_places_are_searched_in_order(bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKELAB_DATA", raising=False)
    assert dataset("fsdd-spikes").folder == bundled / "fsdd-spikes"
    shutil.copy(bundled / "fsdd-spikes" / "fsdd-spikes.h5", tmp_path)
    monkeypatch.setenv("SPIKELAB_DATA", str(tmp_path))
    assert dataset("fsdd-spikes").folder == tmp_path
    assert dataset("nmnist-sim").folder == bundled / "nmnist-sim"
    assert dataset("fsdd-spikes", root=bundled / "fsdd-spikes").folder == bundled / "fsdd-spikes"


def test_missing_files_are_an_error_that_lists_all_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIKELAB_DATA", str(tmp_path / "mine"))
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "site-packages" / "spikelab")
    with pytest.raises(FormatError) as caught:
        dataset("fsdd-spikes")
    text = str(caught.value)
    for part in (
        str(tmp_path / "mine"),
        str(tmp_path / "site-packages" / "datasets"),
        str(PACKAGED),
        "fsdd-spikes.h5",
        "pass root= or set SPIKELAB_DATA",
        "dataset('fsdd-spikes-mini') is a small part",
    ):
        assert part in text
    assert len(dataset("fsdd-spikes-mini").recordings) == 600
    with pytest.raises(FormatError, match=f"looked in {tmp_path};"):
        dataset("fsdd-spikes-mini", root=tmp_path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UnsupportedError,
        match=r"known are .*fsdd-spikes-mini, .*; did you mean 'fsdd-spikes'",
    ):
        dataset("fsdd-spike")


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    data = bytearray((PACKAGED / "fsdd-spikes-mini.h5").read_bytes())
    data[400_000] ^= 1
    (tmp_path / "fsdd-spikes-mini.h5").write_bytes(data)
    with pytest.raises(FormatError, match=r"found checksum .*; expected .*copy the file again"):
        dataset("fsdd-spikes-mini", root=tmp_path)
