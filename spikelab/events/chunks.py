"""From the blocks of a source to `Events`: all at once, or piece by piece for recordings larger than memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spikelab.events.array import EVENT, Events, trusted
from spikelab.events.source import BLOCK, Source

__all__ = ["by_count", "by_window", "collect", "shape_of"]


def collect(source: Source, sort: bool = False) -> Events:
    """Take all events. Peak memory is that of the result and one block.

    A source may have `most`, the largest number of events that it can hold: memory for so many is then set aside at
    once, which costs nothing until it is used, and is faster than memory that grows.
    """
    array, count = np.empty(getattr(source, "most", 0), EVENT), 0
    for block in source.blocks():
        if count + len(block) > len(array):
            # The allocator moves pages, not bytes; what is added comes as zeros.
            array.resize(max(count + len(block), count + min(max(count // 4, BLOCK), 1 << 22)), refcheck=False)
        _raw(array[count : count + len(block)])[:] = _raw(block)
        count += len(block)
    array.resize(count, refcheck=False)
    if sort:
        array = array[np.argsort(array["t"], kind="stable")]
    return trusted(array, source.shape or _seen(array))


def shape_of(source: Source) -> tuple[int, ...]:
    """Sensor's shape: what the source says, else what its events span, in a pass over all of them."""
    if source.shape:
        return source.shape
    width = height = 1
    for block in source.blocks():
        seen = _seen(block)
        width, height = max(width, seen[0]), max(height, seen[1])
    return width, height


def by_count(source: Source, count: int) -> Iterator[Events]:
    """Give `count` events at a time, the rest last."""
    shape, parts, held = shape_of(source), list[NDArray[np.void]](), 0
    for block in source.blocks():
        start = 0
        while held + len(block) - start >= count:
            stop = start + count - held
            yield _joined([*parts, block[start:stop]], shape)
            parts, held, start = [], 0, stop
        if start < len(block):
            parts.append(_copy(block[start:]))
            held += len(block) - start
    if held:
        yield _joined(parts, shape)


def by_window(source: Source, window_us: int, start_us: int | None) -> Iterator[Events]:
    """Give the events of one window at a time, also of windows without events, from the first event to the last.

    Windows start at `start_us` plus multiples of `window_us`; None means 0, so that windows of several
    recordings are aligned.
    """
    shape, parts = shape_of(source), list[NDArray[np.void]]()
    end: int | None = None
    for block in source.blocks():
        t, start = block["t"], 0
        if end is None:
            end = int(t[0]) + window_us - (int(t[0]) - (start_us or 0)) % window_us
        while t[-1] >= end:
            stop = start + int(np.searchsorted(t[start:], end))
            yield _joined([*parts, block[start:stop]], shape)
            parts, start, end = [], stop, end + window_us
        parts.append(_copy(block[start:]))
    if end is not None:
        yield _joined(parts, shape)


def _joined(parts: list[NDArray[np.void]], shape: tuple[int, ...]) -> Events:
    array = np.empty(sum(map(len, parts)), EVENT)
    np.concatenate([_raw(part) for part in parts], out=_raw(array))
    return trusted(array, shape)


def _copy(block: NDArray[np.void]) -> NDArray[np.void]:
    return _raw(block).copy().view(EVENT)


def _raw(array: NDArray[np.void]) -> NDArray[np.uint8]:
    """The bytes of events: NumPy copies these at once, but events field by field, which takes 16 times as long."""
    return array.view(np.uint8)


def _seen(array: NDArray[np.void]) -> tuple[int, int]:
    return (int(array["x"].max()) + 1, int(array["y"].max()) + 1) if len(array) else (1, 1)
