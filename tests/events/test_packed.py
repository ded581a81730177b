from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError
from spikelab.events import Events, Recordings, packed


def make(seed: int, shape: tuple[int, ...], tick_us: int, count: int = 4) -> Recordings:
    """Recordings whose ties are ordered by cell, the first one silent."""
    rng = np.random.default_rng(seed)
    samples = []
    for k in range(count):
        n = 50 * k
        t = rng.integers(0, 300, n) * tick_us
        x, p = rng.integers(0, shape[0], n), rng.integers(0, 2, n) if len(shape) == 2 else np.ones(n, np.int64)
        y = rng.integers(0, shape[1] if len(shape) == 2 else 1, n)
        order = np.lexsort((x, y, p, t))
        samples.append(Events.from_columns(t[order], x[order], y[order], p[order], shape=shape))
    return Recordings.of(samples, np.arange(count) % 2, ("a", "b"), {"index": np.arange(count)})


@given(
    seed=st.integers(0, 999),
    shape=st.sampled_from([(6, 5), (9,), (1, 1)]),
    tick_us=st.sampled_from([1, 100, 125]),
)
def test_what_is_written_is_read(
    seed: int, shape: tuple[int, ...], tick_us: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recordings = make(seed, shape, tick_us)
    path = tmp_path_factory.mktemp("packed") / "a.h5"
    packed.write(recordings, path, tick_us)
    again = packed.read(path)
    assert (again.shape, again.classes) == (recordings.shape, recordings.classes)
    assert again.metadata["index"].tolist() == [0, 1, 2, 3]
    assert all(a.equals(b) for a, b in zip(again, recordings, strict=True))
    assert again[3].equals(recordings[3])
    assert [p.name for p in path.parent.iterdir()] == ["a.h5"]


def test_packing_is_repeatable(tmp_path: Path) -> None:
    for name in ("a", "b"):
        packed.write(make(1, (6, 5), 100), tmp_path / name, 100)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("t", "tick_us", "message"),
    [
        ([50], 100, "expected multiples of 100 us"),
        ([-100], 100, "found times -100 to -100 us"),
        ([65536], 1, "expected multiples of 1 us up to 65535"),
        ([0] * 256, 1, "found 256 events in one cell"),
    ],
)
def test_nothing_is_rounded(t: list[int], tick_us: int, message: str, tmp_path: Path) -> None:
    events = Events.from_columns(t, np.zeros(len(t), np.int64), shape=(4,))
    with pytest.raises(ShapeError, match=message):
        packed.write(Recordings.of([events], [0], ("a",)), tmp_path / "a.h5", tick_us)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["counts", "ticks", "sensor", "tick_us", "labels"])
def test_arrays_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for change in ("gone", "shorter", "float"):
        packed.write(make(2, (6, 5), 1), path)
        with h5py.File(path, "r+") as file:
            old = file[name][:]
            del file[name]
            if change == "shorter":
                file[name] = old[:-1]
            elif change == "float":
                file[name] = old.astype(np.float64)
        with pytest.raises(FormatError):
            packed.read(path)
