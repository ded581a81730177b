"""Writing the formats of Prophesee: what they cannot hold is refused, and no file is made."""

from __future__ import annotations

from os import PathLike
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError, UnsupportedError, Violation
from spikelab.events.array import Events
from spikelab.events.pieces import Pieces, pieces_of
from spikelab.files import whole_file

__all__ = ["PIECE", "Encoder", "must_be_camera", "refuse", "write_raw"]

PIECE: Final = 1 << 16
"""Events that are encoded at once."""
_FREE_WRAPS = 4096


class Encoder:
    """Turns events of one .raw format into words. It remembers the last TIME_HIGH.

    Args:
        low_bits: bits of the time beside TIME_HIGH.
        high_bits: bits of TIME_HIGH.
    """

    word: np.dtype[np.unsignedinteger]

    def __init__(self, low_bits: int, high_bits: int) -> None:
        self.low_bits, self.high_bits = low_bits, high_bits
        self.high = 0
        self.started = False

    def time_high(self, high: NDArray[np.int64]) -> NDArray[np.int64]:
        """Words that say `high`."""
        raise NotImplementedError

    def words(self, array: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """[N, K] words of events, -1 where a place is empty, and [N] number of the event that each row starts with.

        A row holds one event or several; all words of a row follow the row's TIME_HIGH.
        """
        raise NotImplementedError

    def encode(self, array: NDArray[np.void]) -> bytes:
        """Words of some events, which follow those of the last call."""
        rows, first = self.words(array)
        high = array["t"][first] >> self.low_bits
        before = np.concatenate([[self.high], high[:-1]])
        # A wrap is spelled as the largest TIME_HIGH and 0, so that a pause of any length is seen.
        wraps = (high >> self.high_bits) - (before >> self.high_bits)
        new = (high != before) | (wraps > 0)
        new[0] |= not self.started
        self.high, self.started = int(high[-1]), True
        mask = (1 << self.high_bits) - 1
        marked = np.full(len(first), -1, np.int64)
        marked[new] = self.time_high(high[new] & mask)
        rows = np.concatenate([marked[:, None], rows], axis=1)
        if wraps.any():
            parts, done = list[NDArray[np.int64]](), 0
            pair = self.time_high(np.array([mask, 0]))
            for k in np.flatnonzero(wraps):
                parts += [rows[done:k].ravel(), np.tile(pair, wraps[k])]
                done = int(k)
            flat = np.concatenate([*parts, rows[done:].ravel()])
        else:
            flat = rows.ravel()
        return bytes(flat[flat != -1].astype(self.word).data)


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
    before = 0
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(head.encode())
        for piece in pieces:
            _refuse_raw(piece, name, before, encoder.low_bits + encoder.high_bits)
            for start in range(0, len(piece), PIECE):
                file.write(encoder.encode(piece.array[start : start + PIECE]))
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
        raise ShapeError(f"{name}: found a sensor of shape {shape}; expected (width, height); write SHD instead")
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
