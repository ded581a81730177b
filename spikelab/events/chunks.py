"""From the blocks of a source to `Events`: all at once, or piece by piece for recordings larger than memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from spikelab.events.array import EVENT, Events, trusted
from spikelab.events.source import BLOCK, Source
from spikelab.memory import take

__all__ = ["by_count", "by_window", "collect", "shape_of"]

_BLOCK = BLOCK * EVENT.itemsize


def collect(source: Source, sort: bool = False) -> Events:
    """Take all events. Peak memory is that of the result and one block.

    A source may have `most`, the largest number of events that it can hold: memory for so many is then set aside at
    once, which costs nothing until it is used.
    """
    memory, size = take(getattr(source, "most", 0) * EVENT.itemsize), 0
    blocks = source.blocks()
    block = next(blocks, None)
    while block is not None:
        if size + block.nbytes > len(memory.content):
            memory.grow(max(size + block.nbytes, size + min(max(size // 4, _BLOCK), 1 << 26)))
        there = memory.content[size : size + block.nbytes]
        if block.ctypes.data != there.ctypes.data:
            there[:] = _raw(block)
        size += block.nbytes
        room = memory.content[size:]
        room = room[: len(room) - len(room) % EVENT.itemsize].view(EVENT)
        try:
            block = blocks.send(room if len(room) >= BLOCK else None) if isinstance(blocks, Generator) else next(blocks)
        except StopIteration:
            break
    array = memory.lend(size).view(EVENT)
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
            stop = bisect_left(t, end, start)
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
