from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.errors import FormatError, ShapeError, UnitError
from spikelab.events import Events, Recordings
from spikelab.events.slicing import cuts, sliced

ROOT = Path(__file__).resolve().parents[2]


def events_at(times: list[int]) -> Events:
    return Events.from_columns(t=sorted(times), x=[0] * len(times), shape=(1,))


TIMES = st.lists(st.integers(-200, 3000), max_size=60)


@given(times=TIMES, window=st.integers(1, 900), start=st.none() | st.integers(-500, 500))
def test_windows_hold_every_event_once_and_only_their_own(times: list[int], window: int, start: int | None) -> None:
    events = events_at(times)
    found = cuts(events, window=f"{window} us", start_us=start)
    assert np.array_equal(np.concatenate([np.arange(a, b) for a, b in found] or [np.zeros(0)]), np.arange(len(events)))
    begin = (start if start is not None else events.t[0]) if len(events) else 0
    for a, b in found:
        assert len(set(((events.t[a:b] - begin) // window).tolist())) <= 1


@given(times=TIMES, count=st.integers(1, 70), share=st.floats(0, 0.99))
def test_counts_hold_every_event(times: list[int], count: int, share: float) -> None:
    overlap, events = int(count * share), events_at(times)
    found = cuts(events, count=count, overlap=overlap)
    assert set().union(*(range(a, b) for a, b in found)) == set(range(len(events)))
    assert all(b - a == count for a, b in found[:-1]) and (np.diff(found[:, 0]) == count - overlap).all()
    if not overlap:
        assert (found[:, 1] - found[:, 0]).sum() == len(events)
    if len(found) > 1:
        assert found[-2, 1] < len(events), "the last slice but one leaves events for the last"


@given(times=TIMES, window=st.integers(2, 900), share=st.floats(0, 0.99), start=st.none() | st.integers(-500, 500))
def test_overlapping_windows_hold_every_event(times: list[int], window: int, share: float, start: int | None) -> None:
    overlap, events = int(window * share), events_at(times)
    found = cuts(events, window=f"{window} us", overlap=f"{overlap} us", start_us=start)
    assert set().union(*(range(a, b) for a, b in found)) == set(range(len(events)))
    assert all(events.t[b - 1] - events.t[a] < window for a, b in found if b > a)


def test_odd_sizes_are_refused() -> None:
    events = events_at([0, 10**12])
    for options, said in [
        ({}, "expected one of them"),
        ({"window": "1 ms", "count": 3}, "expected one of them"),
        ({"count": 0}, "whole numbers"),
        ({"count": 3, "overlap": 3}, "the overlap less"),
        ({"window": "1 ms", "overlap": "1 ms"}, "the overlap less"),
        ({"window": "0.5 us"}, "whole microseconds"),
        ({"window": "1 us"}, "at most 10000000"),
    ]:
        with pytest.raises(ShapeError, match=said):
            cuts(events, **options)  # type: ignore[arg-type]
    with pytest.raises(UnitError):
        cuts(events, window="3 V")


def recordings() -> Recordings:
    rng = np.random.default_rng(3)
    parts = [events_at(rng.integers(0, 100_000, n).tolist()) for n in (500, 0, 1, 300)]
    return Recordings.of(parts, [0, 1, 0, 1], ("a", "b"), {"speaker": np.array([7, 8, 9, 10])})


def test_slices_know_where_they_come_from() -> None:
    whole = recordings()
    parts = sliced(whole, window="10 ms", start_us=0)
    for k, events in enumerate(whole):
        chosen = parts.select(parts.metadata["recording"] == k)
        assert chosen.metadata["slice"].tolist() == list(range(len(chosen)))
        joined = np.concatenate([part.array for part in chosen] or [events.array])
        assert np.array_equal(joined, events.array)
        assert set(chosen.labels) <= {whole.labels[k]} and set(chosen.metadata["speaker"]) <= {7 + k}
    assert [len(part) for part in parts] == parts.metadata["events"].tolist()
    assert sliced(parts, count=7)[3].equals(sliced(parts, count=7).select([3])[0])


def test_the_index_is_kept_and_belongs_to_its_recordings(tmp_path: Path) -> None:
    whole, path = recordings(), tmp_path / "cuts.h5"
    first = sliced(whole, count=50, index=path)
    stamp = path.stat().st_mtime_ns
    again = sliced(whole, count=50, index=path)
    assert path.stat().st_mtime_ns == stamp and all(a.equals(b) for a, b in zip(first, again, strict=True))
    other = sliced(whole.select([3, 0]), count=50, index=path)
    assert path.stat().st_mtime_ns != stamp and other.labels[0] == 1
    assert len(sliced(whole, count=60, index=path)) == len(sliced(whole, count=60))


def test_a_damaged_index_is_made_anew_and_a_foreign_one_refused(tmp_path: Path) -> None:
    whole, path = recordings(), tmp_path / "cuts.h5"
    sliced(whole, count=50, index=path)
    data = path.read_bytes()
    table = cuts(whole[0], count=50).tobytes()[16:40]
    place = data.index(table[:8], 500)
    for damaged in (data[: len(data) // 2], data[:place] + b"\x01" + data[place + 1 :]):
        path.write_bytes(damaged)
        again = sliced(whole, count=50, index=path)
        assert all(a.equals(b) for a, b in zip(again, sliced(whole, count=50), strict=True))
        assert path.read_bytes() == data
    for foreign in (b"", b"not mine to replace", data[:8] + bytes(5000)):
        path.write_bytes(foreign)
        with pytest.raises(FormatError):
            sliced(whole, count=50, index=path)
        assert path.read_bytes() == foreign
    with h5py.File(path, "w", libver="earliest") as file:
        file["mine"] = [1]
    with pytest.raises(FormatError, match="choose another name"):
        sliced(whole, count=50, index=path)


WRITER = """
import sys, numpy as np
from spikelab.events.slicing import _save
table = np.arange(3 * 400_000).reshape(-1, 3)
print("ready", flush=True)
while True:
    _save(sys.argv[1], "k" * 64, table, table[:, 0])
"""


def test_a_killed_writer_leaves_a_whole_index_or_none(tmp_path: Path) -> None:
    from spikelab.events.slicing import _load

    path, table = tmp_path / "cuts.h5", np.arange(3 * 400_000).reshape(-1, 3)
    for delay in (0.0, 0.01, 0.04, 0.09):
        done = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, cwd=ROOT)
        assert done.stdout is not None and done.stdout.readline() == b"ready\n"
        time.sleep(delay)
        os.kill(done.pid, signal.SIGKILL)
        done.wait()
        done.stdout.close()
        found = _load(path, "k" * 64) if path.exists() else None
        assert found is None or np.array_equal(found[0], table)


def _read(path: str) -> int:
    return sum(len(part) for part in sliced(recordings(), count=50, index=path))


def test_several_processes_make_and_read_one_index(tmp_path: Path) -> None:
    with get_context("spawn").Pool(2) as pool:
        assert pool.map(_read, [str(tmp_path / "cuts.h5")] * 6) == [801] * 6
    assert [p.name for p in tmp_path.iterdir()] == ["cuts.h5"]
