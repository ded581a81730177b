"""Events as a writer takes them: one recording, or its pieces one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spikelab.errors import ShapeError
from spikelab.events.array import Events, must_be_events

__all__ = ["Pieces", "pieces_of"]

Pieces = Events | Iterator[Events]
"""A recording, or an iterator of pieces of one that follow each other in time, such as `stream` gives."""


def pieces_of(events: Pieces, where: str) -> tuple[tuple[int, ...], Iterator[Events]]:
    """Sensor's shape, and the pieces; each is checked when it is asked for.

    Args:
        events: the recording; one without events is a piece without events.
        where: what to name in an error.

    Raises:
        ShapeError: something else, no piece at all, pieces of several sensors, or one that lies before the last one.

    Example:
        >>> shape, pieces = pieces_of(Events.from_columns(t=[5], x=[1], shape=(8,)), "write")
        >>> shape, len(next(pieces))
        ((8,), 1)
    """
    if isinstance(events, Events):
        return events.shape, iter([events])
    if not isinstance(events, Iterator):
        must_be_events(events, where)
    first: Any = next(events, None)
    if first is None:
        raise ShapeError(f"{where}: found no piece of a recording; expected one or more; pass an empty one, if need be")
    must_be_events(first, where)
    return first.shape, _following(first, events, where)


def _following(first: Events, rest: Iterator[Events], where: str) -> Iterator[Events]:
    yield first
    last = int(first.t[-1]) if len(first) else None
    for piece in rest:
        must_be_events(piece, where)
        if piece.shape != first.shape:
            raise ShapeError(
                f"{where}: found a piece of a sensor of shape {piece.shape} after one of {first.shape}; expected one "
                "sensor; pass its shape to stream"
            )
        if not len(piece):
            continue
        if last is not None and int(piece.t[0]) < last:
            raise ShapeError(
                f"{where}: found a piece from {int(piece.t[0])} us on after {last} us; expected pieces in order of "
                "time; sort them"
            )
        last = int(piece.t[-1])
        yield piece
