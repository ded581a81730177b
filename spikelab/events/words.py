"""Formats that are a run of small records: a compiled kernel turns bytes into events, this file feeds it.

A kernel is one Numba function `kernel(data, begin, end, state, out) -> (place, count, code)`. It decodes whole
records of `data[begin:end]` into `out` (see `event_kernel`) and stops at the first byte that it cannot use: because no
whole record is left or `out` is full (code 0), or at a fault (a code above 0). `state` is an int64 array that carries
over: the first numbers mean the same for every kernel (`LAST`, `WIDTH`, `HEIGHT`, `ORDERED`, `OFFSET`, `SIZE`), those
from `OWN` on are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from io import BytesIO, RawIOBase
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.events.array import EVENT
from spikelab.events.event_kernel import as_rows
from spikelab.events.faults import Faults
from spikelab.events.read_ahead import ReadAhead
from spikelab.events.source import BLOCK

__all__ = [
    "BACK",
    "HEIGHT",
    "LAST",
    "OFFSET",
    "ORDERED",
    "OUTSIDE",
    "OWN",
    "SIZE",
    "WIDTH",
    "Kernel",
    "decode",
    "fresh_state",
]

Kernel = Callable[..., tuple[int, int, int]]
"""`kernel(data, begin, end, state, out) -> (place, count, code)`."""
LAST: Final = 0
"""Place in `state`: time of the last event [us]."""
WIDTH: Final = 1
"""Place in `state`: x must lie below this."""
HEIGHT: Final = 2
"""Place in `state`: y must lie below this."""
ORDERED: Final = 3
"""Place in `state`: 1 where times must not run backwards."""
OFFSET: Final = 4
"""Place in `state`: byte of the file at data[0], kept by `decode`."""
SIZE: Final = 5
"""Place in `state`: bytes of the whole file, so that a kernel can tell a cut record from one that is still to come."""
OWN: Final = 6
"""First place in `state` that belongs to the kernel."""
OUTSIDE: Final = 1
"""Code: a coordinate outside the sensor."""
BACK: Final = 2
"""Code: a time before that of the event before it. Codes from 3 are the kernel's own."""
_AHEAD = 32
"""Records that `resume` is given to look at, at least, unless the file ends before."""
_ANY = 1 << 16


def fresh_state(shape: tuple[int, ...] | None, ordered: bool, own: int) -> NDArray[np.int64]:
    """State before the first byte, with `own` zeros behind the numbers that all kernels share."""
    state = np.zeros(OWN + own, np.int64)
    state[LAST] = np.iinfo(np.int64).min
    state[WIDTH], state[HEIGHT] = (shape if len(shape) == 2 else (shape[0], 1)) if shape else (_ANY, _ANY)
    state[ORDERED] = ordered
    return state


def decode(
    path: str | PathLike[str],
    start: int,
    kernel: Kernel,
    state: NDArray[np.int64],
    faults: Faults,
    record: int,
    stride: int,
    resume: Callable[[NDArray[np.uint8], int, int, NDArray[np.int64], int], int],
    problems: Mapping[int, str],
    contents: bytes | Callable[[], RawIOBase] | None = None,
    spread: int = 1,
) -> Generator[NDArray[np.void], NDArray[np.void] | None]:
    """Read a file in pieces of 1 MiB and give its events in blocks.

    Memory for the next block may be sent; without it, a block is overwritten when the next one is asked for.

    Args:
        path: the file.
        start: byte after the header.
        kernel: see above.
        state: see `fresh_state`; changed in place.
        faults: what to do with damage.
        record: most bytes of a record; a rest shorter than one record at the end of the file is a fault when the
            kernel leaves it.
        stride: bytes that are passed over at a fault, at least (fewer where the file ends there).
        resume: `resume(data, begin, end, state, code)`, the first place from `begin` (`stride` bytes behind the fault)
            where decoding can go on, or `end` when there is none yet; it puts `state` right. `code` is that of the
            fault: after `OUTSIDE` and `BACK` most formats go on at once, and the event alone is lost.
        problems: text of each code of the kernel's own.
        contents: bytes of the file where it lies in memory or in an archive, or what opens it as a stream that can be
            sought; None reads `path`.
        spread: most events of a record; the kernel may stop as full when `out` has room for fewer.

    Raises:
        FormatError: the file cannot be read, or damage in `"strict"`.
    """
    texts = {
        OUTSIDE: f"found an event outside the sensor of {state[WIDTH]} x {state[HEIGHT]} pixels; expected it inside; "
        "the file is damaged or foreign, or pass the sensor's shape",
        BACK: "found a time before that of the event before it; expected sorted times; the file is damaged, or pass "
        "sort=True",
        **problems,
    }
    own = np.empty(BLOCK, EVENT)
    out = own
    rest = np.empty(0, np.uint8)
    kept = 0
    try:
        with _opened(path, contents) as file, ReadAhead(file, start, (_AHEAD + 1) * record, contents is None) as pieces:
            state[SIZE] = pieces.size
            offset, lost = start, 0  # offset: byte of the file at buffer[0]; lost: code of the fault
            while True:
                state[OFFSET] = offset
                buffer, size = pieces.next(rest)
                end, place = len(buffer), 0
                while True:
                    if lost:
                        if size and end - place < _AHEAD * record:
                            break  # more bytes first, so that a place is not found for want of what speaks against it
                        sound = resume(buffer, place, end, state, lost)
                        faults.leave(sound - place)
                        place, lost = sound, lost if sound >= end else 0
                        if lost:
                            break
                    full = False
                    place, count, code = kernel(buffer, place, end, state, as_rows(out))
                    if count:
                        kept += count
                        full = count > len(out) - spread
                        room = yield out[:count]
                        out = own if room is None else room
                    if code:
                        if not faults.meet(texts[code], offset + place):
                            faults.leave(int(state[SIZE]) - offset - place)
                            return
                        passed = min(stride, end - place)
                        faults.leave(passed)
                        place, lost = place + passed, code
                    elif not full:
                        break
                if not size:
                    if end > place and not lost:
                        faults.meet(
                            f"found {end - place} byte{'s' * (end - place != 1)} after the last whole record; "
                            "expected none; the file is cut: "
                            'copy it again, or take what is there with errors="truncate"',
                            offset + place,
                        )
                        faults.leave(end - place)
                    return
                rest = buffer[place:end]
                offset += place
    except OSError as error:
        raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error
    finally:
        faults.report(kept)


def _opened(path: str | PathLike[str], contents: bytes | Callable[[], RawIOBase] | None) -> Any:
    if contents is None:
        return open(path, "rb", buffering=0)
    return contents() if callable(contents) else BytesIO(contents)
