"""Writing the formats of Prophesee: what they cannot hold is refused, and no file is made."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError, UnsupportedError, Violation
from spikelab.events.array import Events
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.events.transform.records import records
from spikelab.files import whole_file

__all__ = ["PIECE", "Encoder", "must_be_camera", "refuse", "write_raw"]

PIECE: Final = 1 << 16
"""Events that are encoded at once."""
_FREE_WRAPS = 4096


class Encoder(NamedTuple):
    """How the events of one .raw format become words."""

    word: np.dtype[np.unsignedinteger]
    most: int
    """Most words of an event, wraps left out."""
    low: int
    """Bits of the time beside TIME_HIGH."""
    high: int
    """Bits of TIME_HIGH."""
    kernel: Callable[[], Any]
    """Gives the compiled function that writes the words."""


def write_raw(events: Pieces, path: str | PathLike[str], name: str, version: str, encoder: Encoder) -> None:
    """Write a .raw file with a header that says format and sensor.

    Raises:
        UnsupportedError: a coordinate above 2047, a time that is negative or many wraps of the counter away.
        ShapeError: the sensor has one axis, or these are no events.
        FormatError: the place cannot be written to.
    """
    shape, pieces = pieces_of(events, name)
    width, height = must_be_camera(shape, name)
    head = f"% evt {version}\n% format {name};height={height};width={width}\n% geometry {width}x{height}\n% end\n"
    before, state, words = 0, np.full(3, -1, np.int64), encoder.kernel()
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(head.encode())
        for piece in pieces:
            _refuse_raw(piece, name, before, encoder.low + encoder.high)
            array = records(piece)
            for start in range(0, len(array), PIECE):
                part = array[start : start + PIECE]
                wraps = int(part["t"][-1] >> encoder.low + encoder.high) - int(max(state[0], 0) >> encoder.high)
                out = np.empty(encoder.most * len(part) + 2 * wraps, encoder.word)
                file.write(out[: words(part, state, out)].data)
            before += len(piece)


def _refuse_raw(events: Events, name: str, before: int, bits: int) -> None:
    """Refuse what the words of a format cannot say; `before` events came before these."""
    wraps = int(events.t[-1] >> bits) if len(events) else 0
    late = np.zeros(len(events), np.bool_)
    late[-1:] = wraps > before + len(events) + _FREE_WRAPS
    refuse(
        events,
        name,
        before,
        [
            (
                "coordinates_within_11_bits",
                (events.x > 2047) | (events.y > 2047),
                "0 to 2047",
                "crop or pool_events first",
            ),
            ("time_not_negative", events.t < 0, "0 us or later", "subtract events.t[0] first"),
            ("few_wraps", late, f"few wraps of {1 << bits} us", "subtract events.t[0] first"),
        ],
    )


def must_be_camera(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Width and height of a sensor.

    Raises:
        ShapeError: it has one axis.
    """
    if len(shape) != 2:
        raise ShapeError(f"{name}: found a sensor of shape {shape}; expected (width, height); write .npz or .h5")
    return shape[0], shape[1]


def refuse(events: Events, name: str, before: int, rules: list[tuple[str, NDArray[np.bool_], str, str]]) -> None:
    """Refuse events that break a rule: its name, [E] where it is broken, what is expected, and what to do.

    `before` is the number of events before these.

    Raises:
        UnsupportedError: the rules that are broken.
    """
    violations = [
        Violation(
            rule,
            f"{name}: event {before + int(np.argmax(bad))}",
            f"{events.array[int(np.argmax(bad))]}",
            expected,
            advice,
        )
        for rule, bad, expected, advice in rules
        if bad.any()
    ]
    if violations:
        raise UnsupportedError(violations=violations)
