"""Read one file in every way, and say what came of it: `Finding` is raised for anything that must not be."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spikelab.errors import FormatError, UnsupportedError
from spikelab.events import Events, Recordings
from spikelab.events import files as event_files
from spikelab.events.array import EVENT
from spikelab.events.faults import ERRORS

__all__ = ["OUTCOMES", "Finding", "examine"]

OUTCOMES = ("read", "read in part", "FormatError", "UnsupportedError")
"""What may come of a file: read whole; refused by `"strict"` and read in part by the other two; refused by all."""
SMALL = {"_PIECE": 256, "_LONG": 1024, "BLOCK": 64}
"""Sizes of the readers' buffers in `stream`: small, so that a short file crosses their edges and a thread reads it."""
WHOLE = {"aedat3"}
"""Readers that look at a packet as a whole where the buffer holds it: their buffers stay."""
MOST_PIECES = 1000


class Finding(AssertionError):  # noqa: N818
    """A reader did what it must not do."""


def examine(path: Path, reader: str, told: bool, number: int) -> str:
    """Read a file: whole in each mode; piece by piece, and what lies beside the events, in one mode in turn.

    Args:
        path: the file.
        reader: what it was before it was damaged.
        told: whether to tell `read` so, or to let it find out.
        number: of the input; chooses mode and way.

    Returns:
        One of `OUTCOMES`.

    Raises:
        Finding: events out of order or outside the sensor; modes or ways that contradict each other; an error without
            the path. Any other exception of a reader escapes as it is.
    """
    format = reader if told else None
    strict, clean = _read(path, format, "strict")
    if isinstance(strict, Recordings):
        return "read"
    if reader in event_files._SETS:
        return strict if isinstance(strict, str) else "read"
    found = {"strict": strict}
    for mode in ERRORS[1:]:
        found[mode], silent = _read(path, format, mode)
        if isinstance(strict, Events):
            _expect(silent, f"{mode} warns of a file that strict takes")
            _same(found[mode], strict, f"{mode} and strict")
        elif isinstance(found[mode], Events):
            _expect(not silent, f"strict refuses the file ({strict}), {mode} reads it without a warning")
    _expect(clean, "strict warns")
    mode = ERRORS[number % 3]
    _stream(path, reader, format, mode, found[mode], number)
    _extras(path, format, ERRORS[number // 3 % 3])
    if isinstance(strict, Events):
        return "read"
    return "read in part" if isinstance(found["skip"], Events) else strict


def _expect(condition: bool, claim: str) -> None:
    if not condition:
        raise Finding(claim)


def _read(path: Path, format: str | None, mode: Any) -> tuple[Events | Recordings | str, bool]:
    """What `read` gives, or the name of its error; and whether it was silent about damage."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = event_files.read(path, format=format, errors=mode)
            for events in [found] if isinstance(found, Events) else found:
                _valid(events)
            return found, not _of_damage(heard)
        except (FormatError, UnsupportedError) as error:
            return _name(error, path), not _of_damage(heard)


def _of_damage(heard: list[warnings.WarningMessage]) -> bool:
    """Whether one of the warnings says what was left out; others say what was guessed, such as the sensor."""
    return any("(errors=" in str(warning.message) for warning in heard)


def _name(error: Exception, path: Path) -> str:
    _expect(str(path) in str(error), f"an error without the path: {error}")
    return type(error).__name__


def _valid(events: Events) -> None:
    array, shape = events.array, events.shape
    if array.dtype != EVENT or array.ndim != 1:
        raise Finding(f"an array of {array.dtype}")
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise Finding(f"a sensor of shape {shape}")
    if not len(array):
        return
    t, height = array["t"], shape[1] if len(shape) == 2 else 1
    if (t[1:] < t[:-1]).any():
        raise Finding("times run backwards")
    if array["x"].max() >= shape[0] or array["y"].max() >= height:
        raise Finding(f"x up to {array['x'].max()}, y up to {array['y'].max()} on a sensor of {shape}")
    if array["p"].view(np.uint8).max() > 1:
        raise Finding("a polarity that is no truth value")


def _same(one: Any, other: Any, who: str) -> None:
    if isinstance(one, Events) and isinstance(other, Events):
        _expect(one.shape == other.shape, f"{who} differ: sensors of {one.shape} and {other.shape}")
        _expect(len(one) == len(other), f"{who} differ: {len(one)} and {len(other)} events")
        for name in ("t", "x", "y", "p"):
            _expect(bool((one.array[name] == other.array[name]).all()), f"{who} differ in {name}")
    else:
        _expect(type(one) is type(other) and one == other, f"{who} differ: {_brief(one)} and {_brief(other)}")


def _brief(one: Any) -> str:
    return f"{len(one)} events" if isinstance(one, Events) else str(one)


def _stream(path: Path, reader: str, format: str | None, mode: Any, whole: Any, number: int) -> None:
    """Piece by piece must be the same as whole."""
    by: dict[str, Any] = {"count": number % 97 + 1}
    if number % 2:
        span = int(whole.t[-1]) - int(whole.t[0]) if isinstance(whole, Events) and len(whole) else 0
        window = min(span // 7 + 1, 2**53)
        by = {"window": f"{window} us"} if span else {"window": "1 s"}
    pieces, error = [], ""
    with (
        warnings.catch_warnings(),
        nullcontext() if reader in WHOLE or (mode == "skip" and number % 4) else _small_buffers(),
    ):
        warnings.simplefilter("ignore")
        try:
            for piece in islice(event_files.stream(path, format=format, errors=mode, **by), MOST_PIECES):
                _valid(piece)
                pieces.append(piece)
        except (FormatError, UnsupportedError) as refused:
            error = _name(refused, path)
    if len(pieces) == MOST_PIECES:
        return
    if mode == "skip" and not number % 4:
        return  # where to go on is sought in the bytes that are there; that all is valid has been seen
    who = f"stream({by}) and read, {mode},"
    if isinstance(whole, Events) and not error:
        if pieces:
            array = np.concatenate([piece.array for piece in pieces])
            _same(Events(array, pieces[0].shape), whole, who)
        else:
            _expect(not len(whole), f"{who} differ: no pieces and {len(whole)} events")
    else:
        _expect(error == whole, f"{who} differ: {error or len(pieces)} and {_brief(whole)}")


@contextmanager
def _small_buffers() -> Iterator[None]:
    places = _buffers(len(sys.modules))
    try:
        for module, key, _ in places:
            setattr(module, key, SMALL[key])
        yield
    finally:
        for module, key, size in places:
            setattr(module, key, size)


@lru_cache(maxsize=1)
def _buffers(modules: int) -> list[tuple[ModuleType, str, int]]:
    """The sizes of buffers in the readers, looked for again when modules have come."""
    readers = [module for name, module in sys.modules.items() if name.startswith("spikelab.events.")]
    return [(module, key, vars(module)[key]) for module in readers for key in SMALL if key in vars(module)]


def _extras(path: Path, format: str | None, mode: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            beside = event_files.extras(path, format=format, errors=mode)
        except (FormatError, UnsupportedError) as error:
            _name(error, path)
            return
    _expect(len(beside.frames) == len(beside.frame_times), "as many frames as times of frames")
    _expect(all(frame.ndim in (2, 3) for frame in beside.frames), "frames of two or three axes")
