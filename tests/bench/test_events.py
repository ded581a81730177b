"""The benchmark of event readers: the same events in every format, and its lines; no test asserts seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from spikelab.bench import event_readers
from spikelab.bench.event_readers import OURS, Rate, Reader, race
from spikelab.bench.event_recordings import FILES, RECORDING, EventFile, repeated, write_long_evt3
from spikelab.bench.event_stream import streamed
from spikelab.bench.events import cases
from spikelab.bench.lines import Missing, Size
from spikelab.bench.peers.reading import READERS
from spikelab.bench.timing import Settings
from spikelab.errors import UnsupportedError
from spikelab.events import Events, files, nmnist, read, stream

pytestmark = pytest.mark.skipif(not RECORDING.is_file(), reason="the recording is in a checkout only")
SHORT = Settings(rounds=3, warm=0)


@pytest.fixture(scope="module")
def events() -> Events:
    """More than the recording has: 300,000 events."""
    return repeated(RECORDING, 300_000)


def test_a_recording_is_repeated_without_a_gap_and_from_0(events: Events) -> None:
    once = read(RECORDING)
    assert isinstance(once, Events) and len(events) == 300_000 and events.t[0] == 0
    n, span = len(once), int(once.t[-1] - once.t[0]) + 1
    assert (events.t[:n] == once.t - once.t[0]).all() and (events.t[n:] == events.t[: 300_000 - n] + span).all()
    assert (events.array["x"][n:] == once.x[: 300_000 - n]).all() and (np.diff(events.t) >= 0).all()


def test_times_are_stretched_to_whole_periods() -> None:
    last = int(repeated(RECORDING, 1000, period_us=1 << 24).t[-1])
    assert (1 << 24) - 20_000 < last < 1 << 24


@pytest.fixture(scope="module")
def long() -> Events:
    """As many as fill several of the pieces in which files are read: 1,300,000 events."""
    return repeated(RECORDING, 1_300_000)


@pytest.mark.parametrize("one", FILES, ids=lambda one: one.title)
def test_every_file_of_the_benchmark_holds_the_same_events(one: EventFile, long: Events, tmp_path: Path) -> None:
    path = one.make(long, tmp_path, "long")
    fitted = one.fitted(Events(long.array[: int(len(long) * one.share)], long.shape))
    found = read(path)
    assert isinstance(found, Events) and path.stat().st_size > 1 << 21
    start = 0
    for part in stream(path, count=300_001):
        assert np.array_equal(part.array, found.array[start : start + len(part)])
        start += len(part)
    assert start == len(found)
    for name in ("t", "x", "y", "p"):
        assert (found.array[name] == fitted.array[name]).all(), name


def test_every_peer_is_a_reader_and_every_writer_is_measured() -> None:
    assert {peer for one in FILES for peer in one.peers} <= set(READERS)
    able = {name for name, one in files.FORMATS.items() if one.write is not None}
    known = {one.format for one in FILES if one.encode is None}
    assert able - {"evt21"} <= known, "a format that can be written is not measured"
    assert {one.title for one in FILES if one.encode is not None} == {"EVT2.1", "AEDAT 2", "AEDAT 3.1"}


def test_a_line_has_rates_and_memory_and_what_is_missing_is_named(events: Events, tmp_path: Path) -> None:
    small = Events(np.array(events.array[:5000]), events.shape)
    one = next(one for one in FILES if one.format == "nmnist")
    path = one.make(small, tmp_path, "small")
    with Reader(OURS, path, path) as ours, Reader("numpy", path, path) as fails, Reader("evt3", path, path) as lacks:
        lacks.missing = "not installed"
        found = list(race("read", ours, [fails, lacks], SHORT))
    assert [type(line) for line in found] == [Missing, Missing] and "does not read" in found[0].text()
    assert "make bench-events-peers" in found[1].text()
    with Reader(OURS, path, path) as ours, Reader(OURS, path, path, label="another") as other:
        (line,) = race("read", ours, [other], SHORT)
    assert isinstance(line, Rate) and line.rounds == 3 and line.counts["events"] == 5000
    assert (
        line.counts["ours_mev_per_s"] == pytest.approx(5000e-6 / line.ours_s) and "reference_events" not in line.counts
    )
    assert "Mev/s" in line.text() and json.loads(line.line())["reference"] == "another"


def test_a_reader_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import os, sys\nprint('{}', flush=True)\nsys.stdin.readline()\nos.abort()\n")
    monkeypatch.setattr(event_readers.reading, "__file__", str(script))
    with Reader("evt3", tmp_path, tmp_path) as reader:
        assert "ended" in reader.first()["error"] and "ended" in reader.read()["error"]


def test_slow_peers_sit_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def read(self) -> dict[str, float]:
            return {"seconds": self.seconds}

    monkeypatch.setattr(event_readers, "rest", lambda: None)
    found = event_readers._in_turn([Fake(9.0), Fake(1.0), Fake(2.0), Fake(5.0)], 8)  # type: ignore[list-item]
    assert [len(taken) for taken in found] == [8, 8, 8, 3]


def test_a_long_evt3_file_is_streamed_and_every_event_reaches_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "long.raw"
    count = write_long_evt3(RECORDING, path, 400_000, 20_000)
    assert path.stat().st_size >= 400_000 and count % 20_000 == 0
    found = read(path)
    assert isinstance(found, Events) and len(found) == count
    line = streamed(path, count, (path, count))
    assert isinstance(line, Size) and line.counts["events"] == count and line.reference_bytes == 300_000_000
    assert line.ours_bytes < 300_000_000, "a process that streams loads too much: torch, say"


def test_a_choice_makes_only_what_it_needs(tmp_path: Path) -> None:
    only = Settings(rounds=3, only=("read N-MNIST: tonic",))
    (line,) = cases(only, python=sys.executable, count=3000, folder=tmp_path)
    assert line.case == "read N-MNIST" and line.reference == "tonic" and not list(tmp_path.iterdir())


def test_a_recording_of_one_axis_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    nmnist.write(Events.from_columns(t=[], x=[], y=[], p=[], shape=(34, 34)), path)
    with pytest.raises(UnsupportedError, match="recording of a camera"):
        repeated(path, 10)
