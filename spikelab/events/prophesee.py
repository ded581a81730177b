"""What the formats of Prophesee share: the header of `% ` lines, and the source of EVT2, EVT2.1 and EVT3 (.raw).

A header has lines of text that start with `%`; `% end` closes it in newer files, else the first byte that starts no
such line. It may say format and size of the sensor: `% evt 3.0`, `% format EVT3;height=720;width=1280`,
`% geometry 1280x720`, `% Width 640`. Where `format` and `evt` differ, `format` holds, as in the maker's reader.

Source:
    OpenEB (github.com/prophesee-ai/openeb), hal/cpp/include/metavision/hal/decoders.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, ShapeError
from spikelab.events.faults import Faults
from spikelab.events.source import TRIGGER, Extras
from spikelab.events.words import OWN, decode, fresh_state
from spikelab.files import file_size

__all__ = [
    "BEFORE",
    "DROPPED",
    "HIGH",
    "RAW_LIMIT",
    "TRIGGERS",
    "UNKNOWN",
    "Header",
    "Raw",
    "evt_name",
    "header_end",
    "open_raw",
]

HIGH: Final = OWN
"""Place in `state`: the last TIME_HIGH, its wraps undone; `BEFORE` until there is one."""
TRIGGERS: Final = OWN + 1
"""Place in `state`: 1 to give the external triggers (x: channel, p: level) instead of the events."""
DROPPED: Final = OWN + 2
"""Place in `state`: number of events whose time or row the file does not say."""
BEFORE: Final = -1
"""Value of `HIGH` before the first TIME_HIGH."""
UNKNOWN: Final = 3
"""Code: a word of a type that the format does not have."""
RAW_LIMIT: Final = (2048, 2048)
"""(width, height) that 11 bits can address."""
_OWN_NUMBERS = 6
_LINE = 4096
_LONGEST = 1 << 20
_TEXT = bytes([9, 13, *range(32, 127), *range(128, 256)])
_NAMES = {"2.0": "EVT2", "2.1": "EVT21", "3.0": "EVT3"}


class Header(NamedTuple):
    """Lines at the start of a file."""

    fields: dict[str, str]
    """Value of each key (lower case)."""
    start: int
    """Byte behind the header."""
    size: int
    """Bytes of the file."""

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Header:
        """Read the header of a file.

        Raises:
            FormatError: missing, empty, or without such lines.
        """
        size = file_size(path)
        if not size:
            raise FormatError(path, "found an empty file; expected a header of % lines; copy it again", 0)
        try:
            with open(path, "rb") as file:
                fields, start = _lines(file.read(_LONGEST))
        except OSError as error:
            raise FormatError(path, f"cannot be read ({error.strerror}); check the path and the medium") from error
        if not start:
            raise FormatError(
                path, "found no whole line that starts with %; expected a header; the file is cut or foreign", 0
            )
        return cls(fields, start, size)

    @property
    def format(self) -> dict[str, str]:
        """Parts of the line `format`, as `height` and `width`; the format's name has the key ''."""
        parts = [part.partition("=") for part in self.fields.get("format", "").split(";")]
        return {
            key.strip().lower() if mark else "": value.strip() if mark else key.strip() for key, mark, value in parts
        }

    def shape(self, path: str | PathLike[str]) -> tuple[int, int] | None:
        """(width, height) of the sensor, where the header says it.

        Raises:
            FormatError: it says what cannot be.
        """
        line, fields = self.format, self.fields
        geometry = fields.get("geometry", "").lower().partition("x")
        for width, height in (
            (line.get("width"), line.get("height")),
            (geometry[0], geometry[2]),
            (fields.get("width"), fields.get("height")),
        ):
            if width and height:
                sizes = [int(size) if size.strip().isdecimal() else 0 for size in (width, height)]
                if all(1 <= size <= 65536 for size in sizes):
                    return sizes[0], sizes[1]
                raise FormatError(
                    path,
                    f"found a sensor of {width[:20]} x {height[:20]} pixels in the header; expected 1 to 65536 each; "
                    "the file is damaged, or pass the sensor's shape",
                    0,
                )
        return None


def _lines(head: bytes) -> tuple[dict[str, str], int]:
    """Fields of a header, and the byte behind it. Data may start with the byte `%` too: a line holds only text."""
    fields: dict[str, str] = {}
    start = 0
    while head.startswith(b"%", start):
        stop = head.find(b"\n", start, start + _LINE)
        line = head[start + 1 : stop]
        if stop < 0 or line.translate(None, _TEXT):
            break
        start = stop + 1
        key, _, value = line.decode("utf-8", "replace").strip().partition(" ")
        if key.lower() == "end" and not value:
            break
        fields.setdefault(key.lower(), value.strip())
    return fields, start


def evt_name(head: bytes) -> str | None:
    """Name of the format, from the first bytes of a file: "EVT2", "EVT21", "EVT3", or what `format` says, or None."""
    if not head.startswith(b"%"):
        return None
    header = Header(*_lines(head), 0)
    return header.format.get("", "").upper() or _NAMES.get(header.fields.get("evt", ""))


def header_end(head: bytes) -> int:
    """Byte behind the header, from the first bytes of a file; 0 where there is none."""
    return _lines(head)[1]


@dataclass(frozen=True)
class Raw:
    """A .raw file, opened; a source of events."""

    path: str | PathLike[str]
    faults: Faults
    header: Header
    shape: tuple[int, ...] | None
    sorted: bool
    word: int
    """Bytes of a word."""
    spread: int
    """Most events of a word."""
    kernel: Callable[[], tuple[Any, Any]]
    """Imports the kernel: the decoder, and what resynchronises it."""

    @property
    def most(self) -> int:
        """Number of events to set memory aside for; only vectors with many events hold more."""
        return self.header.size // min(self.word, 4)

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Give the events; see `Source`."""
        state = self._fresh(triggers=False)
        yield from self._decode(state)
        if state[DROPPED]:
            warnings.warn(
                f"{fspath(self.path)}: left out {state[DROPPED]} events before the first TIME_HIGH word, or whose row "
                "or column no word says; the recording was cut at its start or is damaged",
                stacklevel=4,
            )

    def extras(self) -> Extras:
        """Read the external triggers."""
        found = [block[["t", "x", "p"]].copy() for block in self._decode(self._fresh(triggers=True))]
        triggers = np.zeros(sum(map(len, found)), TRIGGER)
        if found:
            together = np.concatenate(found)
            triggers["t"], triggers["id"], triggers["value"] = together["t"], together["x"], together["p"]
        return Extras.none()._replace(triggers=triggers)

    def _fresh(self, triggers: bool) -> NDArray[np.int64]:
        state = fresh_state(self.shape or RAW_LIMIT, self.sorted and not triggers, _OWN_NUMBERS)
        state[HIGH], state[TRIGGERS] = BEFORE, triggers
        return state

    def _decode(self, state: NDArray[np.int64]) -> Iterator[NDArray[np.void]]:
        words, resume = self.kernel()
        problems = {
            UNKNOWN: "found a word of a type that the format does not have; expected events, times and triggers; the "
            "file is damaged"
        }
        return decode(
            self.path,
            self.header.start,
            words,
            state,
            self.faults,
            self.word,
            self.word,
            resume,
            problems,
            spread=self.spread,
        )


def open_raw(
    path: str | PathLike[str],
    faults: Faults,
    shape: tuple[int, ...] | None,
    sorted: bool,
    name: str,
    word: int,
    spread: int,
    kernel: Callable[[Header], Callable[[], tuple[Any, Any]]],
) -> Raw:
    """Open a .raw file of the format `name`; see `Opener`.

    Raises:
        FormatError: missing, empty, foreign, or a header that says what cannot be.
        ShapeError: `shape` has one axis.
    """
    if shape is not None and len(shape) != 2:
        raise ShapeError(f"{name}: found shape={shape!r}; expected (width, height); pass shape=(640, 480), say")
    header = Header.read(path)
    found = header.format.get("", "").upper() or _NAMES.get(header.fields.get("evt", ""))
    if found != name:
        said = f"the format {found}" if found else "no line '% evt' or '% format'"
        raise FormatError(path, f"found {said} in the header; expected {name}; the file is foreign or damaged", 0)
    return Raw(path, faults, header, shape or header.shape(path), sorted, word, spread, kernel(header))
