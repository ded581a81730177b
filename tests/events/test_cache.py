from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from spikelab.errors import ShapeError, UnsupportedError
from spikelab.events import Events, Recordings
from spikelab.events.cache import Cache, cached
from spikelab.events.identity import fingerprint, said

ROOT = Path(__file__).resolve().parents[2]
CALLS: list[int] = []


def early(events: Events, until: int = 50_000) -> Events:
    CALLS.append(len(events))
    return events.between(0, until)


def nothing(events: Events) -> int:
    return len(events)


@pytest.fixture
def two(camera: Events) -> Recordings:
    return Recordings.of([camera, camera.between(20_000, 80_000)], [0, 1], ("a", "b"))


def test_a_transform_is_done_once(two: Recordings, tmp_path: Path) -> None:
    CALLS.clear()
    kept = cached(two, early, tmp_path)
    first = list(kept)
    number = len(CALLS)
    assert all(a.equals(b.between(0, 50_000)) for a, b in zip(first, two, strict=True))
    assert all(a.equals(b) for a, b in zip(kept, first, strict=True)) and len(CALLS) == number
    other = list(cached(two, partial(early, until=30_000), tmp_path))
    assert all(a.equals(b.between(0, 30_000)) for a, b in zip(other, two, strict=True))
    swapped = cached(two.select([1, 0]), early, tmp_path)
    assert swapped[0].equals(first[1]) and swapped.labels.tolist() == [1, 0]


def test_work_without_a_name_is_refused(two: Recordings, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="define it in a module"):
        cached(two, lambda events: events, tmp_path)
    with pytest.raises(ShapeError, match="found int from the transform"):
        cached(two, nothing, tmp_path)  # type: ignore[arg-type]
    assert said(partial(early, until=3)) != said(partial(early, until=4))


def test_a_fingerprint_sees_events_labels_and_metadata(two: Recordings) -> None:
    marked = Recordings(two.open, two.labels, two.shape, two.classes, {"speaker": np.array([1, 2])})
    others = [two.select([1, 0]), two.select([0]), marked, Recordings.of(list(two), [0, 0], ("a", "b"))]
    assert len({fingerprint(one) for one in [two, *others]}) == 5
    assert fingerprint(two) == fingerprint(two.select([0, 1]))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), np.int16),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.array([True, False]),
        np.float64(3.5),
        np.array([-(2**62), 2**62]),
    ],
    ids=str,
)
def test_arrays_come_back_as_they_were(array: np.ndarray, tmp_path: Path) -> None:
    cache = Cache(tmp_path, "key")
    first, again = cache.get(4, lambda: array), cache.get(4, lambda: np.zeros(1))
    assert (again.dtype, again.shape) == (np.asarray(array).dtype, np.shape(array))
    assert np.array_equal(first, again) and np.array_equal(again, array)


def test_a_damaged_entry_is_made_anew(tmp_path: Path) -> None:
    cache, array = Cache(tmp_path, "key"), np.arange(5000)
    cache.get(0, lambda: array)
    path = cache.folder / "0.h5"
    data = path.read_bytes()
    for damaged in (data[:1000], b"", b"\0" * 5000, data[:-900] + bytes([data[-900] ^ 1]) + data[-899:]):
        path.write_bytes(damaged)
        assert np.array_equal(cache.get(0, lambda: array), array)
    assert np.array_equal(cache.get(0, lambda: np.zeros(1)), array)


WRITER = """
import sys, numpy as np
from spikelab.events.cache import Cache
array = np.random.default_rng(0).integers(0, 1 << 40, 200_000)
print("ready", flush=True)
for k in range(1000):
    Cache(sys.argv[1], "key").get(k, lambda: array)
"""


def test_a_killed_writer_leaves_whole_entries_only(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 1 << 40, 200_000)
    for delay in (0.02, 0.1, 0.2):
        done = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT)
        assert done.stdout is not None and done.stdout.readline() == b"ready\n"
        time.sleep(delay)
        os.kill(done.pid, signal.SIGKILL)
        done.wait()
        done.stdout.close()
        cache = Cache(tmp_path, "key")
        for path in cache.folder.glob("[0-9]*.h5"):
            assert np.array_equal(cache.get(int(path.stem), lambda: np.zeros(1)), array)


def _fill(folder: str) -> int:
    return sum(int(Cache(folder, "key").get(k, lambda k=k: np.full(1000, k)).sum()) for k in range(20))  # type: ignore[misc]


def test_several_processes_share_a_cache(tmp_path: Path) -> None:
    with get_context("spawn").Pool(2) as pool:
        assert pool.map(_fill, [str(tmp_path)] * 4) == [190_000] * 4
