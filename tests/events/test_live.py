"""Live windows: nothing is lost when there is time, and everything that is lost is counted when there is not."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from spikelab.errors import ShapeError, UnitError, UnsupportedError
from spikelab.events import EVENT, Events, Live, replay


def some(count: int = 2000, span: int = 100_000, start: int = 10**15) -> Events:
    rng = np.random.default_rng(0)
    t = start + np.sort(rng.integers(0, span, count))
    return Events.from_columns(t, *rng.integers(0, 20, (2, count)), rng.integers(0, 2, count), shape=(20, 20))


def packets(events: Events, size: int) -> list[Events]:
    return [Events(events.array[k : k + size], events.shape) for k in range(0, len(events), size)]


def joined(windows: list[Any]) -> np.ndarray:
    return np.concatenate([np.empty(0, EVENT), *(w.events.array for w in windows)])


class Fed:
    """Packets that the test gives one by one; None ends them."""

    def __init__(self) -> None:
        self.given: queue.Queue[Events | None] = queue.Queue()
        self.asked = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Events]:
        self.asked.release()
        while (packet := self.given.get(timeout=60)) is not None:
            yield packet
            self.asked.release()

    def give(self, packet: Events | None) -> None:
        """Give a packet and wait until it has been taken in."""
        assert self.asked.acquire(timeout=60)
        self.given.put(packet)
        if packet is not None:
            assert self.asked.acquire(timeout=60)
            self.asked.release()


@pytest.mark.parametrize("size", [1, 7, 300, 5000])
@pytest.mark.parametrize("most", [1, 50, 1 << 20])
def test_a_recording_that_waits_is_given_whole(size: int, most: int) -> None:
    events = some(500 if size == 1 else 2000)
    with Live(packets(events, size), (20, 20), "3 ms", full="wait", most=most) as live:
        windows = list(live)
    assert np.array_equal(joined(windows), events.array)
    starts = np.array([w.start_us for w in windows])
    assert (np.diff(starts) == 3000).all() and starts[0] == events.t[0] // 3000 * 3000
    assert all(((w.events.t >= w.start_us) & (w.events.t < w.start_us + 3000)).all() for w in windows)
    assert live.counts == (len(events), len(events), 0, 0, 0, 0)


def test_packets_that_overlap_are_put_in_order() -> None:
    a, b = (Events.from_columns(t, [0] * 3, shape=(4,)) for t in ([100, 300, 900], [200, 400, 1500]))
    with Live([a, b], (4,), "1 ms", full="wait") as live:
        assert [w.events.t.tolist() for w in live] == [[100, 200, 300, 400, 900], [1500]]


def test_a_silent_sensor_does_not_hold_a_window_back() -> None:
    fed = Fed()
    with Live(fed, (4,), "1 ms", latency="20 ms") as live:
        fed.give(Events.from_columns([500], [1], shape=(4,)))
        window = next(live)
        assert len(window.events) == 1 or window.skipped or window.dropped  # this machine may have slept
        later = [next(live) for _ in range(3)]
        assert all(len(w.events) == 0 for w in later)
        fed.give(Events.from_columns([600], [1], shape=(4,)))
        counts = live.counts
        assert (counts.received, counts.late) == (2, 1)  # its window was given, or skipped, before it came
        fed.give(None)
        with pytest.warns(UserWarning, match="1 that came too late"):
            live.close()


def test_a_consumer_that_is_too_slow_gets_the_newest_windows_and_the_numbers() -> None:
    events = some(2000, span=1_000_000, start=0)
    fed = Fed()
    live = Live(fed, (20, 20), "10 ms", latency="50 ms")
    for packet in packets(events, 100):
        fed.give(packet)
    fed.give(None)
    live._thread.join(60)  # all has come before the first window is asked for
    windows = list(live)
    newest = int(events.t[-1])
    assert windows[0].start_us + 10_000 >= newest - 50_000 and windows[0].skipped > 80
    assert windows[0].dropped == int((events.t < windows[0].start_us).sum()) > 1500
    assert sum(w.dropped for w in windows) == live.counts.dropped
    assert np.array_equal(joined(windows), events.between(windows[0].start_us, newest + 1).array)
    counts = live.counts
    assert counts.received == 2000 == counts.given + counts.dropped and counts.waiting == 0
    with pytest.warns(UserWarning, match=f"left out {counts.dropped} events.* of 2000; and {counts.skipped} windows"):
        live.close()


def test_a_clock_that_leaps_ahead_is_not_blamed_on_the_consumer() -> None:
    fed, hour = Fed(), 3_600_000_000
    with Live(fed, (4,), "10 s", latency="20 s") as live:
        fed.give(Events.from_columns([500, 600], [1, 1], shape=(4,)))
        fed.give(Events.from_columns([hour], [1], shape=(4,)))
        fed.give(None)
        live._thread.join(60)
        windows = list(live)
        assert [len(w.events) for w in windows if len(w.events)] == [1] and live.counts.dropped == 2
        with pytest.warns(
            UserWarning, match=r"the sensor's clock leapt ahead .* by up to (3600\.0|35\d\d\.\d) s"
        ) as told:
            live.close()
    assert told[0].filename == __file__


def test_warnings_point_to_who_closed_it() -> None:
    slow = some(2000, span=1_000_000, start=0)
    with (
        pytest.warns(UserWarning, match="because the consumer was too slow") as told,
        Live([slow], (20, 20), "10 ms", latency="50 ms", most=64) as live,
    ):
        list(live)
    assert [one.filename for one in told] == [__file__]


def test_a_queue_that_is_full_drops_the_oldest_and_counts_them() -> None:
    events = some(1000, span=9_000, start=0)
    fed = Fed()
    live = Live(fed, (20, 20), "10 ms", latency="10 s", most=64)
    for packet in packets(events, 100):
        fed.give(packet)
        assert live.counts.waiting <= 64
    fed.give(None)
    live._thread.join(60)
    (window,) = live
    assert np.array_equal(window.events.array, events.array[-64:])
    assert window.dropped == 936 and live.counts == (1000, 64, 936, 0, 0, 0)
    with pytest.warns(UserWarning, match="936"):
        live.close()


@pytest.mark.parametrize(
    "bad",
    [
        "text",
        np.zeros(3),
        Events.from_columns([1], [25], [0], shape=(40, 40)),
        np.array([(5, 0, 0, 1), (4, 0, 0, 1)], EVENT),
    ],
)
def test_a_bad_packet_is_an_error_where_windows_are_asked_for(bad: Any) -> None:
    with Live([bad], (20, 20), "1 ms") as live, pytest.raises(ShapeError):
        list(live)


def test_an_error_of_the_source_comes_through() -> None:
    def broken() -> Iterator[Events]:
        yield some(10)
        raise OSError("unplugged")

    with Live(broken(), (20, 20), "1 ms", full="wait") as live, pytest.raises(OSError, match="unplugged"):
        list(live)


def test_no_events_and_closing_end_the_iteration() -> None:
    with Live([], (4,), "1 ms") as live:
        assert list(live) == []
    fed = Fed()
    live = Live(fed, (4,), "1 ms")
    live.close()
    assert list(live) == []
    fed.given.put(None)


def test_arguments_that_make_no_sense_are_refused() -> None:
    for options in ({"window": "1.5 us"}, {"most": 0}, {"shape": (0, 3)}, {"latency": 2.5e-7}):
        with pytest.raises(ShapeError):
            Live([], **{"shape": (4,), "window": "1 ms", **options})  # type: ignore[arg-type]
    with pytest.raises(UnitError):
        Live([], (4,), "0 s")
    with pytest.raises(UnsupportedError, match="did you mean 'wait'"):
        Live([], (4,), "1 ms", full="waite")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="speed"):
        list(replay(some(), speed=0))


def test_a_replay_is_the_recording() -> None:
    events = some(500)
    parts = list(replay(events, "2 ms", speed=1000))
    assert np.array_equal(np.concatenate([p.array for p in parts]), events.array) and len(parts) > 40
    assert all(len(p) for p in parts) and list(replay(Events.from_columns([], [], shape=(3,)))) == []


def test_what_gives_no_packets_is_refused() -> None:
    with pytest.raises(ShapeError, match="Live: found packets=5; expected something that gives packets"):
        Live(5, (8,), "1 ms")  # type: ignore[arg-type]
