"""Events as they come: packets from a sensor, a socket or a recording, given window by window, never late in silence.

A thread takes the packets into a bounded queue. Windows lie on the sensor's time line, at multiples of their length, so
that a network runs on them step by step. A window is given when events behind it have come; or, where the sensor is
silent, when its clock, which goes on with the computer's, has passed its end by half the latency. A consumer that is
too slow gets newer windows, and the number of events and windows that were left out; so does one whose sensor's clock
leaps ahead of the computer's.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError, brief, unknown_name
from spikelab.events.array import EVENT, Events, sensor_shape, trusted
from spikelab.events.steps import step_us
from spikelab.units import Quantity

__all__ = ["Counts", "Live", "Window", "replay"]


class Window(NamedTuple):
    """Events of one window."""

    events: Events
    """Sorted, with the sensor's times."""
    start_us: int
    """Where it starts [us]."""
    skipped: int
    """Windows left out just before it: the consumer was too slow, or the sensor's clock leapt ahead."""
    dropped: int
    """Events left out since the window before it was given: too many in the queue, in windows left out, or late."""


class Counts(NamedTuple):
    """Where the events went: `received` = `given` + `dropped` + `late` + `waiting`."""

    received: int
    """Events that came."""
    given: int
    """Events in windows that were given."""
    dropped: int
    """Events left out: the queue was full, the consumer too slow, or the sensor's clock leapt ahead."""
    late: int
    """Events left out because their window had been given already."""
    waiting: int
    """Events in the queue."""
    skipped: int
    """Windows left out: the consumer was too slow, or the sensor's clock leapt ahead."""


class Live:
    """Windows of events from packets, as they come. Iterate over it; it ends with the packets, or when it is closed.

    Args:
        packets: gives `Events`, or arrays [n] of dtype `EVENT`, sorted each; another thread iterates over it.
        shape: (width, height) or (channels,) of the sensor.
        window: [s] length of a window, whole microseconds, or a string with a unit.
        latency: [s] most time between the end of a window and when it is given, as far as the consumer asks in time;
            half of it is waited for events under way. Windows that are older are left out.
        most: events in the queue; of more, the oldest are left out.
        full: `"drop"` for sensors, as said; `"wait"` for recordings: nothing is left out, packets are asked for when
            there is room, `latency` means nothing, and a window with more than `most` events is taken whole.

    Raises:
        ShapeError: no packets, no shape, a window or latency that is not whole microseconds, or `most` below 1.
        UnitError: `window` or `latency` is not a duration above zero.
        UnsupportedError: `full` is something else.

    Example:
        >>> events = Events.from_columns(t=[0, 1500, 5200], x=[3, 4, 5], shape=(8,))
        >>> with Live([events], (8,), "1 ms", full="wait") as live:
        ...     [(w.start_us, len(w.events)) for w in live]
        [(0, 1), (1000, 1), (2000, 0), (3000, 0), (4000, 0), (5000, 1)]
        >>> live.counts
        Counts(received=3, given=3, dropped=0, late=0, waiting=0, skipped=0)
    """

    def __init__(
        self,
        packets: Iterable[Events | NDArray[np.void]],
        shape: tuple[int, ...],
        window: Quantity,
        *,
        latency: Quantity = "100 ms",
        most: int = 1 << 20,
        full: Literal["drop", "wait"] = "drop",
    ) -> None:
        if full not in ("drop", "wait"):
            raise unknown_name("Live: full", full, ["drop", "wait"])
        if not is_whole(most) or most < 1:
            raise ShapeError(f"Live: found most={most!r}; expected a whole number above 0; pass 1_000_000, say")
        if not isinstance(packets, Iterable):
            raise ShapeError(
                f"Live: found packets={brief(packets)}; expected something that gives packets of events; pass a list "
                "of Events, or what spikelab.events.stream returns"
            )
        self.shape = sensor_shape(shape)
        self.window_us, self._latency = _whole(window, "window"), _whole(latency, "latency")
        self._most, self._drops = int(most), full == "drop"
        self._packets = packets
        self._parts: deque[NDArray[np.void]] = deque()
        self._received = self._given = self._dropped = self._late = self._waiting = self._skipped = 0
        self._told = self._passed = 0  # events left out and windows skipped that windows have told of
        self._next: int | None = None  # start of the next window
        self._newest = -(1 << 63)  # latest time of an event
        self._arrival = 0.0  # when it came
        self._leap = 0  # most by which events lay ahead of the computer's clock, where that is above the latency [us]
        self._finished = self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._feed, name="spikelab live", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """Where the events went until now."""
        with self._changed:
            return Counts(self._received, self._given, self._dropped, self._late, self._waiting, self._skipped)

    def __iter__(self) -> Iterator[Window]:
        return self

    def __next__(self) -> Window:
        """The next window; waits for it.

        Raises:
            ShapeError: a packet was unsorted, outside the sensor, or something else.
        """
        with self._changed:
            while not self._closed:
                if self._error is not None:
                    raise self._error
                if self._finished and not self._waiting:
                    break
                timeout = None
                if self._next is not None:
                    now = self._now()
                    if self._drops:
                        self._skip(now)
                    end = self._next + self.window_us
                    due = end + self._latency // 2
                    if self._newest >= end or self._finished or (self._drops and now >= due):
                        return self._give(end)
                    timeout = (due - now) / 1e6 if self._drops else None
                self._changed.wait(timeout)
        raise StopIteration

    def close(self) -> None:
        """End the iteration; warn once of what was left out, if anything was."""
        self._end()

    def _end(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        c = self.counts
        if c.dropped or c.late or c.skipped:
            why, advice = "the consumer was too slow", "give it more time (latency=), or a faster target"
            if self._leap:
                why = f"the sensor's clock leapt ahead of the computer's, by up to {self._leap / 1e6:.1f} s, or {why}"
                advice = f"make a new Live where the clock is set; else {advice}"
            warnings.warn(
                f"live: left out {c.dropped} events because {why}, and {c.late} that came too late, of {c.received}; "
                f"and {c.skipped} windows; {advice}",
                stacklevel=3,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _now(self) -> int:
        """Time of the sensor now [us]; that of its last event where there is no clock."""
        if self._finished or not self._drops:
            return self._newest
        return self._newest + int((time.monotonic() - self._arrival) * 1e6)

    def _feed(self) -> None:
        """Take packets until they end; runs in the thread."""
        try:
            for packet in self._packets:
                array = self._checked(packet)
                with self._changed:
                    if self._closed:
                        return
                    self._put(array)
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 it is raised where the windows are asked for
            self._error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _checked(self, packet: Any) -> NDArray[np.void]:
        array = packet.array if isinstance(packet, Events) else packet
        if not isinstance(array, np.ndarray) or array.dtype != EVENT:
            raise ShapeError(
                f"Live: found a packet of {type(packet).__name__}; expected Events or an array of dtype EVENT; make it "
                "with Events.from_columns"
            )
        return Events(array, self.shape).array

    def _put(self, array: NDArray[np.void]) -> None:
        self._received += len(array)
        if not len(array):
            return
        if self._next is None:
            self._next = int(array["t"][0]) // self.window_us * self.window_us
        if not self._drops:
            # Wait only while there is a window to take: else this packet is what it waits for.
            while (
                self._waiting + len(array) > self._most
                and self._newest >= self._next + self.window_us
                and not self._closed
                and self._waiting
            ):
                self._changed.wait()
        past = int(np.searchsorted(array["t"], self._next))
        self._late += past
        array = array[past:]
        if not len(array):
            return
        if self._drops and self._arrival:
            ahead = int(array["t"][0]) - self._now()
            self._leap = max(self._leap, ahead if ahead > self._latency else 0)
        self._parts.append(array)
        self._waiting += len(array)
        if self._drops:
            self._shorten()
        last = int(array["t"][-1])
        if last >= self._newest:
            self._newest, self._arrival = last, time.monotonic()

    def _shorten(self) -> None:
        """Leave out the oldest events of a queue that is too long."""
        while (excess := self._waiting - self._most) > 0:
            part = self._parts.popleft()
            if len(part) > excess:
                self._parts.appendleft(part[excess:])
            self._waiting -= min(len(part), excess)
            self._dropped += min(len(part), excess)

    def _skip(self, now: int) -> None:
        """Leave out windows that ended more than the latency ago."""
        assert self._next is not None
        behind = now - self._latency - (self._next + self.window_us)
        if behind > 0:
            number = -(-behind // self.window_us)
            self._skipped += number
            self._next += number * self.window_us
            self._dropped += sum(map(len, self._before(self._next)))

    def _before(self, end: int) -> list[NDArray[np.void]]:
        """Take the events before a time out of the queue."""
        taken, rest = [], deque[NDArray[np.void]]()
        for part in self._parts:
            k = int(np.searchsorted(part["t"], end))
            if k:
                taken.append(part[:k])
            if k < len(part):
                rest.append(part[k:])
        self._parts = rest
        self._waiting -= sum(map(len, taken))
        return taken

    def _give(self, end: int) -> Window:
        start = end - self.window_us
        parts = self._before(end)
        array = np.concatenate(parts) if parts else np.empty(0, EVENT)
        if len(parts) > 1 and (array["t"][1:] < array["t"][:-1]).any():
            array = array[np.argsort(array["t"], kind="stable")]
        self._given += len(array)
        self._next = end
        dropped, skipped = self._dropped + self._late - self._told, self._skipped - self._passed
        self._told, self._passed = self._dropped + self._late, self._skipped
        self._changed.notify_all()
        return Window(trusted(array, self.shape), start, skipped, dropped)


def replay(events: Events, packet: Quantity = "1 ms", speed: float = 1.0) -> Iterator[Events]:
    """Give a recording as its sensor would, packet by packet, each when its time has come.

    Args:
        events: the recording.
        packet: [s] time of a packet, whole microseconds, or a string with a unit.
        speed: 2 is twice as fast.

    Raises:
        ShapeError: a packet that is not whole microseconds, or a speed that is not above 0.

    Example:
        >>> events = Events.from_columns(t=[0, 1500, 5200], x=[3, 4, 5], shape=(8,))
        >>> [len(packet) for packet in replay(events, "1 ms", speed=1000)]
        [1, 1, 1]
    """
    length = _whole(packet, "packet")
    if not speed > 0:
        raise ShapeError(f"replay: found speed={speed!r}; expected a number above 0; pass 1.0 for the sensor's own")
    begin = time.monotonic()
    edges = np.flatnonzero(np.diff(events.t // length)) + 1 if len(events) else np.empty(0, np.int64)
    first = int(events.t[0]) if len(events) else 0
    for part in np.split(events.array, edges) if len(events) else ():
        wait = begin + (int(part["t"][-1]) - first) / 1e6 / speed - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield trusted(part, events.shape)


def _whole(value: Quantity, name: str) -> int:
    length = step_us(value)
    if length != int(length):
        raise ShapeError(f"live: found {name}={value!r}; expected whole microseconds; pass '10 ms', say")
    return int(length)
