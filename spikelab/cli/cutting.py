"""A part of a recording, in time and on the sensor, as a source of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spikelab.cli.recordings import numbers
from spikelab.errors import ShapeError
from spikelab.events.chunks import shape_of
from spikelab.events.source import Extras, Source
from spikelab.units import si

__all__ = ["Cut", "cut"]


@dataclass(frozen=True, eq=False)
class Cut:
    """Events of `source` within a time and a part of the sensor."""

    source: Source
    start_us: int | None
    """First time inside [us]; None takes from the start."""
    stop_us: int | None
    """First time behind [us]; None takes all to the end."""
    absolute: bool
    """Whether these are times of the file; else they count from its first event."""
    corner: tuple[int, ...]
    """Column and row, or channel, that becomes 0."""
    shape: tuple[int, ...] | None
    """Sizes of the part."""
    most: int | None
    """Number of events after which it ends."""

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Give the events of the part; what lies behind it is not read."""
        left, origin = self.most, 0 if self.absolute else None
        for block in self.source.blocks():
            if not len(block):
                continue
            if origin is None:
                origin = int(block["t"][0])
            start, stop = (None if at is None else at + origin for at in (self.start_us, self.stop_us))
            first = 0 if start is None else int(np.searchsorted(block["t"], start))
            last = len(block) if stop is None else int(np.searchsorted(block["t"], stop))
            part = self._cropped(block[first:last])[:left]
            if len(part):
                yield part
            left = None if left is None else left - len(part)
            if last < len(block) or left == 0:
                return

    def _cropped(self, block: NDArray[np.void]) -> NDArray[np.void]:
        if not any(self.corner) and self.shape == self.source.shape:
            return block
        assert self.shape is not None
        x, y = self.corner[0], self.corner[1] if len(self.corner) == 2 else 0
        width, height = self.shape[0], self.shape[1] if len(self.shape) == 2 else 1
        inside = (block["x"] >= x) & (block["x"] < x + width) & (block["y"] >= y) & (block["y"] < y + height)
        part = block[inside]
        part["x"] -= x
        part["y"] -= y
        return part

    def extras(self) -> Extras:
        """What lies beside the events of the whole recording."""
        return self.source.extras()


def cut(
    source: Source,
    start: str | None = None,
    stop: str | None = None,
    absolute: bool = False,
    crop: str | None = None,
    most: int | None = None,
) -> Source:
    """Take a part of a recording.

    Args:
        source: the recording, sorted.
        start: first time inside, with a unit, from the first event on.
        stop: first time behind.
        absolute: whether these are times of the file.
        crop: `X,Y,WIDTH,HEIGHT`, or `FIRST,CHANNELS`; X, Y becomes 0, 0.
        most: number of events after which it ends.

    Raises:
        UnitError: a time without a unit of time.
        ShapeError: the stop lies before the start, or the part is not within the sensor.
        UnsupportedError: `crop` is something else.
    """
    start_us, stop_us = _us("--start", start), _us("--stop", stop)
    if start_us is not None and stop_us is not None and stop_us < start_us:
        raise ShapeError(f"--stop: found {stop} before --start {start}; expected start <= stop; swap them")
    if (start_us, stop_us, crop, most) == (None, None, None, None):
        return source
    shape, corner = source.shape, (0, 0)
    if crop is not None:
        found = shape_of(source)
        sides: tuple[str, ...] = ("X", "Y", "WIDTH", "HEIGHT") if len(found) == 2 else ("FIRST", "CHANNELS")
        asked = numbers("--crop", crop, [sides])
        corner, shape = asked[: len(found)], asked[len(found) :]  # type: ignore[assignment]
        if any(size < 1 or at + size > limit for at, size, limit in zip(corner, shape, found, strict=True)):
            sensor = " x ".join(map(str, found))
            raise ShapeError(f"--crop: found {crop}; expected a part of the sensor, {sensor}; take one inside it")
    return Cut(source, start_us, stop_us, absolute, corner, shape, most)


def _us(option: str, text: str | None) -> int | None:
    return None if text is None else round(Fraction(repr(si(text, "s", option))) * 10**6)
