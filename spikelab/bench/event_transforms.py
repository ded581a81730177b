"""Transforms of events against tonic and against the time that it takes to write what they make.

Transforms of tonic that go through events one by one in Python get a part of the recording, ours the same part. That
both give the same is checked before anything is timed: `same` among the counts. Frames are int16, as tonic's are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.bench.lines import Line
from spikelab.bench.timing import Reference, Settings, compare
from spikelab.events import Events
from spikelab.events import transform as tf

__all__ = ["SLOW", "VERY_SLOW", "cases"]

SLOW = 200_000
"""Events where tonic takes microseconds an event."""
VERY_SLOW = 20_000
"""Events where tonic takes a tenth of a millisecond an event."""

Frames = NDArray[Any]


@dataclass(frozen=True)
class _Case:
    """One transform.

    Args:
        name: what is timed.
        ours: the transform of ours.
        theirs: that of tonic, made for a sensor (W, H, 2); it takes tonic's events.
        most: events at most; None takes all.
        same: whether both results are the same.
        polarity: dtype of tonic's polarities.
        written: whether to time the writing of an array like ours, too.
    """

    name: str
    ours: Callable[[Events], Any]
    theirs: Callable[[Any, tuple[int, int, int], Events], Callable[[Any], Any]]
    same: Callable[[Any, Any], bool]
    most: int | None = None
    polarity: str = "?"
    written: bool = False


def cases(settings: Settings, recording: Events) -> Iterator[Line]:
    """Measure the transforms.

    Args:
        settings: rounds, choice.
        recording: events of a camera; a million are enough.
    """
    # From 1 us on: the refractory filter of tonic drops events at 0.
    recording = tf.shift_time(recording, 1 - _first(recording)) if len(recording) else recording
    for case in _CASES:
        count = min(len(recording), case.most or len(recording))
        yield from _measured(case, tf.cut(recording, [(0, count)])[0], settings)


def _measured(case: _Case, events: Events, settings: Settings) -> Iterator[Line]:
    name = f"transforms: {case.name}"
    counts: dict[str, Any] = {"events": len(events), "sensor": list(events.shape)}

    def tonic() -> Callable[[], Any]:
        theirs = case.theirs(import_module("tonic.transforms"), (*_camera(events), 2), events)
        given = _as_tonic(events, case.polarity)
        counts["same"] = case.same(case.ours(events), theirs(given))
        return lambda: theirs(given)

    references = [Reference("tonic", tonic, ("tonic",))]
    if case.written:
        made = case.ours(events)
        shape, dtype = made.shape, made.dtype
        counts["bytes"] = made.nbytes
        references.append(Reference("writing the output", lambda: lambda: np.full(shape, 1, dtype)))
        del made
    yield from compare(name, lambda: lambda: case.ours(events), references, counts, settings)


def _camera(events: Events) -> tuple[int, int]:
    width, height = events.shape
    return width, height


def _as_tonic(events: Events, polarity: str) -> NDArray[np.void]:
    array = np.zeros(len(events), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", polarity)])
    for field in ("x", "y", "t", "p"):
        array[field] = events.array[field]
    return array


def _same_events(ours: Events, theirs: NDArray[np.void]) -> bool:
    return all(np.array_equal(ours.array[field], theirs[field]) for field in ("t", "x", "y", "p"))


def _same_whole(ours: Frames, theirs: Frames) -> bool:
    """All but a last frame that is not whole: tonic drops it."""
    return len(ours) - len(theirs) in (0, 1) and np.array_equal(ours[: len(theirs)], theirs)


def _first(events: Events) -> int:
    return int(events.t[0])


def _ten_frames(events: Events) -> Frames:
    """Ten frames with the edges of tonic, which leaves out what is behind the last one."""
    edges = _first(events) + np.arange(11) * (events.duration_us // 10)
    return tf.bin_slices(events, tf.slices_at(events, edges, outside="drop"), dtype=np.int16)


def _frames_of(length: str) -> Callable[[Events], Frames]:
    """Frames from the first event on."""

    def frames(events: Events) -> Frames:
        return tf.bin_slices(events, tf.slices_by_time(events, length, start_us=_first(events)), dtype=np.int16)

    return frames


def _surfaces(events: Events) -> Frames:
    steps = max(1, (events.duration_us - 10_000) // 10_000 + 1)
    return tf.time_surfaces(events, "10 ms", "30 ms", steps, start_us=_first(events), late="drop")


def _close(ours: Frames, theirs: Frames) -> bool:
    return bool(np.allclose(ours, theirs, rtol=1e-6, atol=1e-6))


_CASES = (
    _Case("10 frames", _ten_frames, lambda t, size, e: t.ToFrame(size, n_time_bins=10), np.array_equal, written=True),
    _Case(
        "frames of 50 ms",
        _frames_of("50 ms"),
        lambda t, size, e: t.ToFrame(size, time_window=50_000),
        _same_whole,
        written=True,
    ),
    _Case(
        "frames of 50,000 events",
        lambda e: tf.bin_slices(e, tf.slices_by_count(e, 50_000), dtype=np.int16),
        lambda t, size, e: t.ToFrame(size, event_count=50_000),
        _same_whole,
        written=True,
    ),
    _Case(
        "voxel grid of 10 bins",
        lambda e: tf.voxel_grid(e, 10),
        lambda t, size, e: t.ToVoxelGrid(size, 10),
        np.array_equal,
        polarity="i1",  # with bools tonic counts OFF as ON
        written=True,
    ),
    _Case(
        "time surfaces of 10 ms",
        _surfaces,
        lambda t, size, e: t.ToTimesurface(size, dt=10_000, tau=30_000),
        _close,
        most=SLOW,
        written=True,
    ),
    _Case(
        "averaged time surfaces",
        lambda e: tf.averaged_surfaces(e, 10, 2, "1 ms", "0.1 ms"),
        lambda t, size, e: t.ToAveragedTimesurface(size, 5, 10, 1000, 100),
        _close,
        most=VERY_SLOW,
    ),
    _Case(
        "denoise 10 ms",
        lambda e: tf.denoise(e, "10 ms"),
        lambda t, size, e: t.Denoise(10_000),
        _same_events,
        most=SLOW,
    ),
    _Case(
        "refractory 1 ms",
        lambda e: tf.refractory(e, "1 ms"),
        lambda t, size, e: t.RefractoryPeriod(1000),
        _same_events,
        most=SLOW,
    ),
)
