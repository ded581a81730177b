"""Load generated source as a module, from a file in the user's cache directory.

The file is named by a hash of its text, written under a temporary name and renamed, with its time
set to 0, so that Numba's cache beside it stays valid. A file that cannot be read, source or compiled
code, is made again; where nothing can be written, the module lives in memory and is compiled each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import linecache
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["cache_directory", "load"]


def cache_directory() -> Path:
    """Where generated kernels lie: `$SPIKELAB_CACHE`, or `spikelab` in the user's cache directory."""
    if named := os.environ.get("SPIKELAB_CACHE"):
        return Path(named)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spikelab"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "spikelab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikelab"


def _store(source: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(source)
        os.utime(temporary, (0, 0))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class _Careful:
    """Numba's cache of one function: files that cannot be read or written cost a compilation, not the run."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Compiled code, or None."""
        try:
            return self._kept.load_overload(signature, context)
        except Exception:  # noqa: BLE001  a damaged pickle raises anything
            with contextlib.suppress(OSError):
                self._kept.flush()
            return None

    def save_overload(self, signature: Any, code: Any) -> None:
        """Keep compiled code."""
        with contextlib.suppress(OSError):  # the disk is full, say
            self._kept.save_overload(signature, code)


def _in_memory(source: str, name: str) -> ModuleType:
    # Numba's file cache needs a file; without one its `cache=True` would raise.
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    text = source.replace("cache=True", "cache=False")
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # text made by us in this process
    return module


@cache
def load(source: str, name: str) -> ModuleType:
    """Module made from generated source.

    Args:
        source: self-contained Python text made in this process.
        name: start of the file's name.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:20]
    full = f"spikelab_{name}_{digest}"
    path = cache_directory() / f"{full}.py"
    try:
        try:
            fresh = path.read_text(encoding="utf-8") == source and path.stat().st_mtime == 0
        except (OSError, UnicodeDecodeError):
            fresh = False
        if not fresh:
            _store(source, path)
    except OSError:
        return _in_memory(source, full)
    spec = importlib.util.spec_from_file_location(full, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        with _no_bytecode():
            spec.loader.exec_module(module)
    except RuntimeError:  # Numba found no directory that it can write
        return _in_memory(source, full)
    for function in vars(module).values():
        if getattr(function, "_cache", None) is not None:
            function._cache = _Careful(function._cache)
    return module


@contextlib.contextmanager
def _no_bytecode():  # type: ignore[no-untyped-def]
    """Keep Python from writing a .pyc: its validity hangs on the time that is set to 0."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
