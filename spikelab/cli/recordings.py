"""How commands open a recording: options of the command line in, a source of events out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, unknown_name
from spikelab.events.array import Events, sensor_shape
from spikelab.events.faults import ERRORS
from spikelab.events.files import FORMATS, detect, open_recording, read
from spikelab.events.recordings import Recordings
from spikelab.events.source import BLOCK, Extras, Source
from spikelab.files import check_place

__all__ = ["Asked", "InMemory", "check_output", "numbers", "opened", "settings", "shape_from", "warned"]


@dataclass(frozen=True)
class Asked:
    """How a recording is to be read."""

    errors: str = "strict"
    shape: tuple[int, ...] | None = None
    sort: bool = False
    format: str | None = None
    recording: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        errors: str,
        shape: str | None,
        sort: bool,
        format: str | None,
        recording: int | None,
        settings_: Sequence[str],
    ) -> Asked:
        """From the words of the command line.

        Raises:
            UnsupportedError: an unknown mode, or something that is no shape or no setting.
        """
        if errors not in ERRORS:
            raise unknown_name("--errors", errors, ERRORS)
        return cls(
            errors, None if shape is None else shape_from(shape), sort, format, recording, settings("--read", settings_)
        )

    @property
    def reading(self) -> dict[str, Any]:
        """As arguments of `open_recording`."""
        return {
            "errors": self.errors,
            "shape": self.shape,
            "sort": self.sort,
            "format": self.format,
            **self.options,
        }


@dataclass(frozen=True, eq=False)
class InMemory:
    """Events in memory as a source."""

    events: Events
    beside: Extras = field(default_factory=Extras.none)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sensor's shape."""
        return self.events.shape

    def blocks(self) -> Iterator[NDArray[np.void]]:
        """Give the events."""
        array = self.events.array
        return (array[k : k + BLOCK] for k in range(0, len(array), BLOCK))

    def extras(self) -> Extras:
        """What lies beside them."""
        return self.beside


def opened(path: Path, asked: Asked) -> tuple[str, Source]:
    """Open one recording, also one of a set; give the name of the format too.

    Raises:
        FormatError: as `read`.
        UnsupportedError: as `read`; a set without a number, or a number that the set does not have.
    """
    kind = asked.format or detect(path)
    if kind in FORMATS:
        if asked.recording is not None:
            raise UnsupportedError(
                f"{path}: found --recording {asked.recording} for a single recording; expected none; leave it out"
            )
        return kind, open_recording(path, **{**asked.reading, "format": kind})
    found = read(path, **{**asked.reading, "format": kind})
    assert isinstance(found, Recordings)
    if asked.recording is None or not 0 <= asked.recording < len(found):
        raise UnsupportedError(
            f"{path}: found a set of {len(found)} recordings and --recording {asked.recording}; expected 0 to "
            f"{len(found) - 1}; choose one, as in --recording 0"
        )
    return kind, InMemory(found[asked.recording])


def check_output(path: Path, output: Path, suffixes: Sequence[str] = ()) -> None:
    """Refuse a file to write that is the recording itself, by whatever name, or whose name ends in none of `suffixes`.

    Raises:
        UnsupportedError: it is.
        FormatError: the place cannot be written to.
    """
    if output.exists() and path.exists() and path.samefile(output):
        raise UnsupportedError(
            f"{output}: found the recording itself; expected another file to write, as the recording is not replaced; "
            "choose another name"
        )
    if suffixes and output.suffix.lower() not in suffixes:
        raise UnsupportedError(
            f"{output}: found a name that ends in {output.suffix!r}; expected {' or '.join(suffixes)}; rename it"
        )
    check_place(output)


def shape_from(text: str) -> tuple[int, ...]:
    """Sensor's shape from text.

    Raises:
        UnsupportedError: something else.

    Example:
        >>> shape_from("640x480"), shape_from("128")
        ((640, 480), (128,))
    """
    if not re.fullmatch(r"\d{1,5}(x\d{1,5})?", text):
        raise UnsupportedError(f"--shape: found {text!r}; expected WIDTHxHEIGHT or CHANNELS; pass 640x480, say")
    return sensor_shape(tuple(int(part) for part in text.split("x")))


def numbers(option: str, text: str, names: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Whole numbers between commas, as many as one of `names` has.

    Raises:
        UnsupportedError: something else.

    Example:
        >>> numbers("--crop", "3,4,10,20", [("X", "Y", "WIDTH", "HEIGHT")])
        (3, 4, 10, 20)
    """
    parts = text.split(",")
    if len(parts) not in map(len, names) or not all(re.fullmatch(r" *\d{1,18} *", part) for part in parts):
        wanted = " or ".join(",".join(one) for one in names)
        raise UnsupportedError(f"{option}: found {text!r}; expected {wanted}, whole numbers; pass such ones")
    return tuple(map(int, parts))


def settings(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Options of a format, `name=value` each; digits are a number.

    Raises:
        UnsupportedError: no `=`.

    Example:
        >>> settings("--read", ["stream=2", "codec=zstd"])
        {'stream': 2, 'codec': 'zstd'}
    """
    result: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UnsupportedError(f"{option}: found {text!r}; expected NAME=VALUE; pass {option} stream=0, say")
        result[name.strip().replace("-", "_")] = int(value) if re.fullmatch(r"-?\d{1,18}", value) else value
    return result


@contextmanager
def warned(facts: dict[str, Any], quiet: bool) -> Iterator[None]:
    """Put the warnings of what runs inside into `facts["warnings"]`, each once; print them unless `quiet`."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            words = list(dict.fromkeys(str(one.message) for one in found))
            if words:
                facts["warnings"] = words
            for text in words if not quiet else ():
                typer.echo(f"warning: {text}", err=True)
