"""Errors of spikelab: one sentence that says where, what was found, what was expected, what to do.

SpikelabError
├── ShapeError        an array, batch or graph does not fit
├── UnitError         a quantity has no unit, the wrong unit, or a value outside its range
├── FormatError       a file is not what it claims to be (path and byte offset)
└── UnsupportedError  something is known but cannot be carried (list of violations), or a name is unknown
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

__all__ = [
    "FormatError",
    "ShapeError",
    "SpikelabError",
    "UnitError",
    "UnsupportedError",
    "Violation",
    "brief",
    "unknown_name",
]


@dataclass(frozen=True)
class Violation:
    """One rule that something breaks.

    Args:
        rule: the rule as a sentence, e.g. `"no_recurrence"`.
        place: where: a population, projection, layer, field or node.
        found: what was there.
        expected: what the rule allows.
        advice: what to do about it.
    """

    rule: str
    place: str
    found: str
    expected: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: found {self.found}; expected {self.expected} ({self.rule}); {self.advice}"


class SpikelabError(Exception):
    """Any error that spikelab raises on purpose."""


class ShapeError(SpikelabError, ValueError):
    """An array, a batch or a graph does not fit."""


class UnitError(SpikelabError, ValueError):
    """A quantity lacks a unit, has the wrong one, or lies outside its range."""


class FormatError(SpikelabError, ValueError):
    """A file is damaged, foreign, or not what it claims to be.

    Args:
        path: [str] the file.
        message: what was found, what was expected, what to do.
        offset: byte at which it went wrong, where that is known.
    """

    def __init__(self, path: str | PathLike[str], message: str, offset: int | None = None) -> None:
        self.path = fspath(path)
        self.offset = offset
        where = self.path if offset is None else f"{self.path}, byte {offset}"
        self._message = message
        super().__init__(f"{where}: {message}")

    def __reduce__(self) -> tuple[type, tuple[str, str, int | None]]:
        return type(self), (self.path, self._message, self.offset)


class UnsupportedError(SpikelabError, NotImplementedError):
    """Something cannot be carried over; every reason is listed.

    Args:
        message: one sentence, or empty when the violations say it all.
        violations: the rules that were broken.
    """

    def __init__(self, message: str = "", violations: Iterable[Violation] = ()) -> None:
        self.violations = tuple(violations)
        lines = [message] if message else []
        lines += [str(v) for v in self.violations]
        super().__init__("\n".join(lines))


def unknown_name(what: str, name: object, known: Iterable[str]) -> UnsupportedError:
    """Make the error for a name that nobody knows, with the known ones and the nearest.

    Args:
        what: kind of thing, e.g. `"cost table"`.
        name: what was asked for.
        known: names that would have worked.

    Example:
        >>> print(unknown_name("surrogate", "atann", ["atan", "sigmoid"]))
        surrogate 'atann': unknown; known are atan, sigmoid; did you mean 'atan'?
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UnsupportedError(f"{what} {name!r}: unknown; known are {', '.join(names) or 'none'}{hint}")


_MOST_CHARACTERS = 400


def brief(value: Any) -> str:
    """A value as a message shows it: arrays and tensors by type and shape, all else as `repr`, cut where it is long.

    Example:
        >>> import numpy as np
        >>> brief({"v": np.zeros((2, 3)), "dt": 1e-3})
        "{'v': float64 array (2, 3), 'dt': 0.001}"
    """
    if getattr(value, "ndim", 0) and hasattr(value, "dtype"):
        text = f"{str(value.dtype).removeprefix('torch.')} array {tuple(value.shape)}"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{k!r}: {brief(v)}" for k, v in value.items()) + "}"
    elif fields := getattr(value, "_fields", ()):
        parts = zip(fields, value, strict=True)
        text = f"{type(value).__name__}({', '.join(f'{n}={brief(v)}' for n, v in parts)})"
    elif type(value) is tuple:
        text = f"({', '.join(map(brief, value))}{',' if len(value) == 1 else ''})"
    elif type(value) is list:
        text = f"[{', '.join(map(brief, value[:_MOST_CHARACTERS]))}]"
    else:
        text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."
