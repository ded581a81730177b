"""Events of two recordings, or of a recording and chance, in one."""

from __future__ import annotations

import numpy as np

from spikelab.arrays import is_whole
from spikelab.errors import ShapeError
from spikelab.events.array import EVENT, Events, must_be_events, trusted, whole_us
from spikelab.events.transform.chance import Rng, generator, must_be_share
from spikelab.events.transform.records import joined, kept, must_be_moderate, must_be_pair

__all__ = ["add_noise", "merge", "mix"]

_MOST = 1 << 30


def merge(first: Events, second: Events) -> Events:
    """All events of two recordings of one sensor, in order of time; of equal times, those of the first come first.

    Args:
        first: E events.
        second: F events.

    Returns:
        E + F events.

    Raises:
        ShapeError: different sensors.

    Example:
        >>> a, b = (Events.from_columns(t=[k, 20], x=[k, k], shape=(8,)) for k in (3, 1))
        >>> merge(a, b).x
        array([1, 3, 3, 1], dtype=uint16)
    """
    must_be_events(first, "merge")
    must_be_events(second, "merge")
    must_be_pair(first, second, "merge")
    return joined(first, second)


def mix(first: Events, second: Events, share: float, rng: Rng) -> tuple[Events, float]:
    """Put a random box of space and time of one recording in place of the same box of another.

    The box takes about `share` of the volume: each side is share**(1 / axes) of that of the sensor, or of the time
    that both recordings span. The events of `first` in the box and those of `second` outside are dropped.

    Args:
        first: E events.
        second: F events of the same sensor, on the same time line.
        share: of the volume, from 0 to 1.
        rng: generator or seed.

    Returns:
        The events, and the share of them that comes from `first` (1 where there are none): weights of the two labels
        are this and 1 less this.

    Raises:
        ShapeError: different sensors, a share that is none, no generator or seed, or times beyond 2**61 us.

    Source:
        A box as in Yun et al., CutMix, ICCV 2019; labels by numbers of events as in Shen, Zhao, Zeng, EventMix,
        Information Sciences 2023.

    Example:
        >>> a, b = (Events.from_columns(t=range(6), x=[k] * 6, shape=(2,)) for k in (0, 1))
        >>> mixed, weight = mix(a, b, 0.5, rng=0)
        >>> len(mixed), weight
        (10, 0.6)
    """
    for events in (first, second):
        must_be_events(events, "mix")
        must_be_moderate(events, "mix")
    must_be_pair(first, second, "mix")
    share, random = must_be_share(share, "share", "mix"), generator(rng, "mix")
    times = [t for events in (first, second) if len(events) for t in (int(events.t[0]), int(events.t[-1]))]
    spans = {"t": (min(times, default=0), max(times, default=0) + 1)}
    spans |= {name: (0, size) for name, size in zip(("x", "y"), first.shape, strict=False)}
    box = {}
    for name, (low, high) in spans.items():
        side = round((high - low) * share ** (1 / len(spans)))
        start = low + int(random.integers(0, high - low - side, endpoint=True))
        box[name] = start, start + side
    a, b = (_inside(events, box) for events in (first, second))
    mixed = joined(kept(first, ~a), kept(second, b))
    return mixed, float((~a).sum() / len(mixed)) if len(mixed) else 1.0


def add_noise(
    events: Events, count: int, rng: Rng, *, start_us: int | None = None, stop_us: int | None = None
) -> Events:
    """Add events at random places, polarities and times, each as likely.

    Args:
        events: E events.
        count: number of events that are added.
        rng: generator or seed.
        start_us: [us] first time of the noise; None takes that of the events.
        stop_us: [us] first time after it; None takes that after the last event.

    Returns:
        E + count events; no events, where nothing says when: then give both times. A sensor with one axis has no
        polarities: its noise is ON.

    Raises:
        ShapeError: count is no integer from 0 to 2**30, no time to put them in, or no generator or seed.

    Example:
        >>> add_noise(Events.from_columns(t=[10, 20], x=[0, 0], shape=(9,)), 3, rng=0).t
        array([10, 15, 17, 19, 20])
    """
    must_be_events(events, "add_noise")
    random = generator(rng, "add_noise")
    if not is_whole(count) or not 0 <= count <= _MOST:
        raise ShapeError(f"add_noise: found count={count!r}; expected an integer from 0 to {_MOST}; pass 100, say")
    if not len(events) and (start_us is None or stop_us is None):
        return events
    start = int(events.t[0]) if start_us is None else whole_us(start_us, "add_noise: start_us")
    stop = int(events.t[-1]) + 1 if stop_us is None else whole_us(stop_us, "add_noise: stop_us")
    if not -(2**63) <= start < stop < 2**63:
        raise ShapeError(f"add_noise: found {start} to {stop} us; expected start < stop; swap them")
    noise = np.zeros(int(count), EVENT)
    noise["t"] = np.sort(random.integers(start, stop, int(count)))
    for name, size in zip(("x", "y"), events.shape, strict=False):
        noise[name] = random.integers(0, size, int(count))
    noise["p"] = random.integers(0, 2, int(count)) if len(events.shape) == 2 else 1
    return joined(events, trusted(noise, events.shape))


def _inside(events: Events, box: dict[str, tuple[int, int]]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.ones(len(events), np.bool_)
    for name, (low, high) in box.items():
        mask &= (events.array[name] >= low) & (events.array[name] < high)
    return mask
