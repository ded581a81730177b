"""What was done, and to which recordings, as text that is the same in each process: keys of what is kept on disk."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from types import BuiltinFunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError
from spikelab.events.array import Events
from spikelab.events.recordings import Recordings
from spikelab.events.source import BLOCK

__all__ = ["fingerprint", "said"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def said(function: Any) -> str:
    """What a function does, by name and options, as text that is the same in each process.

    Arrays count by type, shape and a hash of all their bytes, objects by the fields of their dataclass, methods by
    their object.

    Raises:
        UnsupportedError: what cannot be told exactly: a lambda or a function within another, whose name says nothing;
            an object that is no dataclass; a random generator.

    Example:
        >>> said(partial(Events.between, start_us=3, stop_us=9))
        'spikelab.events.array.Events.between(start_us=3, stop_us=9)'
    """
    return _named(function, None)


def fingerprint(recordings: Recordings) -> str:
    """Hash of a set: sensor, classes, labels, metadata, and every recording.

    Recordings in files count by name, size, time of change and inode of the files, in memory by all their events.
    Where neither can be told (a set of another library), all of them are read.
    """
    found = hashlib.sha256(repr((recordings.shape, recordings.classes, len(recordings))).encode())
    found.update(recordings.labels.tobytes())
    for name in sorted(recordings.metadata):
        values = np.asarray(recordings.metadata[name])
        found.update(f"{name}{values.tolist() if values.dtype.hasobject else _array(values)}".encode())
    try:
        found.update(_named(recordings.open, _Files()).encode())
    except UnsupportedError:
        for events in recordings:
            found.update(_array(events.array).encode())
    return found.hexdigest()


class _Files:
    """State of files, each looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def state(self, path: str) -> str:
        """Of a file, or of all files below a folder; "" where there is neither."""
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: str) -> str:
        if os.path.isdir(path):
            below = [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]
            return str([f"{name}{self._look(name)}" for name in sorted(below)])
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            return ""
        return f"{os.path.abspath(path)} {found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _named(value: Any, files: _Files | None) -> str:
    """A value as text; with `files`, paths count with the state of what they name, and events are not told."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic | np.dtype):
        return repr(value)
    if isinstance(value, PurePath):
        return f"Path({str(value)!r}{'' if files is None else files.state(str(value))})"
    if kind is np.ndarray and not value.dtype.hasobject:
        return _array(value)
    if kind is Events:
        if files is not None:
            raise UnsupportedError("cache: found events in memory; expected files")  # never seen: they are hashed
        return f"Events{value.shape}{_array(value.array)}"
    if kind in (tuple, list):
        return f"{kind.__name__}({', '.join(_named(one, files) for one in value)})"
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(_named(one, files) for one in value))})"
    if kind is dict:
        return f"dict({', '.join(f'{_named(k, files)}: {_named(v, files)}' for k, v in value.items())})"
    if kind in (slice, range):
        return f"{kind.__name__}({value.start!r}, {value.stop!r}, {value.step!r})"
    if isinstance(value, partial):
        return _partial(value, files)
    if isinstance(value, Enum):
        return f"{_function(kind, value)}.{value.name}"
    if isinstance(getattr(value, "identity", None), str):
        return f"{_function(kind, value)}({value.identity})"
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in fields(value)} | getattr(value, "__dict__", {})
        options = ", ".join(f"{name}={_named(one, files)}" for name, one in held.items())
        return f"{_function(kind, value)}({options})"
    owner = getattr(value, "__self__", None)
    if isinstance(value, MethodType | BuiltinFunctionType) and not isinstance(owner, ModuleType | None):
        return f"{_named(owner, files)}.{value.__name__}"
    return _function(value, value)


def _partial(value: partial[Any], files: _Files | None) -> str:
    args, options = value.args, value.keywords
    if files is not None:
        # Names of files in a folder that is itself an argument; else text may be the name of a file.
        folders = [one for one in args if isinstance(one, Path) and one.is_dir()]
        lists = [one for one in args if isinstance(one, list | tuple) and all(isinstance(name, str) for name in one)]
        for folder in folders[:1]:
            below = [files.state(os.path.join(folder, name)) for names in lists for name in names]
            if below and all(below):  # whatever else lies in the folder, such as an index, does not count
                rest = [_named(one, files) for one in args if one is not folder]
                return f"{_named(value.func, files)}({folder}, {below}, {rest}, {_named(options, files)})"
        args = tuple(Path(one) if isinstance(one, str) and os.path.isfile(one) else one for one in args)
    told = [_named(one, files) for one in args]
    told += [f"{name}={_named(one, files)}" for name, one in sorted(options.items())]
    return f"{_named(value.func, files)}({', '.join(told)})"


def _function(function: Any, whole: Any) -> str:
    """Name of a function or class by which it can be found again."""
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    found = sys.modules.get(module) if isinstance(module, str) else None
    for part in name.split(".") if isinstance(name, str) else ():
        found = getattr(found, part, None)
    if not isinstance(name, str) or found is not function:
        if isinstance(whole, np.random.Generator | np.random.RandomState | np.random.BitGenerator):
            raise UnsupportedError(
                f"cache: found {type(whole).__name__}, a random generator; expected work that is the same each time; "
                "make the generator from a seed inside a function of your own, or pass Samples(augment=...) instead of "
                "a cache"
            )
        raise UnsupportedError(
            f"cache: found {whole!r}; expected a function with a name of its own, so that the cache knows what was "
            "done; define it in a module, with functools.partial or a dataclass for its options, which are numbers, "
            "text, arrays, or lists of them"
        )
    return f"{module}.{name}"


def _array(array: NDArray[Any]) -> str:
    """Type, shape and a hash of all the values; of records, what lies between their fields does not count."""
    found, flat = hashlib.sha256(), array.reshape(-1)
    for start in range(0, len(flat), BLOCK):  # what is copied stays in a core's cache
        block = flat[start : start + BLOCK]
        for column in [block] if array.dtype.names is None else [block[name] for name in array.dtype.names]:
            if column.dtype.names is None:
                found.update(np.ascontiguousarray(column).reshape(-1).view(np.uint8).data)
            else:
                found.update(_array(column).encode())
    return f"array({array.dtype}, {array.shape}, {found.hexdigest()})"
