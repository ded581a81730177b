"""Compiled kernels kept on the disk, and compiled anew when a constant or a kernel that they import has changed.

Numba looks only at the file of the kernel itself. Kernels hold numbers from other files (`words.OWN`, say), and an old
kernel with old numbers would decode without an error, wrongly. So the name of the kept file carries a hash of the text
of the kernel's file and of all constants and compiled kernels in its namespace.
"""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

__all__ = ["compiled", "inlined"]

_HASHES: dict[Any, str] = {}


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function with Numba at its first call.

    Constants from other files must be imported by name (`from ... import`) and lie above the function: numbers, texts,
    tuples of these, NumPy's arrays and types.

    Args:
        function: the kernel.
        options: of `numba.njit`.
    """
    _HASHES[function] = _hash(function)
    name = function.__qualname__
    function.__qualname__ = f"{name}-{_HASHES[function]}"  # Numba names the kept file after it
    try:
        return njit(cache=True, nogil=True, **options)(function)
    finally:
        function.__qualname__ = name


def inlined(function: Callable[..., Any]) -> Any:
    """As `compiled`, as part of each kernel that calls it."""
    return compiled(function, inline="always")


def _hash(function: Callable[..., Any]) -> str:
    names = function.__globals__
    seen = hashlib.sha256("".join(linecache.getlines(function.__code__.co_filename, names)).encode())
    for name, value in sorted(names.items()):
        if isinstance(value, np.ndarray):
            value = value.dtype, value.shape, value.tobytes()
        elif hasattr(value, "py_func"):
            value = _HASHES.get(value.py_func)
        elif name.startswith("__") or not isinstance(value, (int, float, str, bytes, tuple, np.generic, np.dtype)):
            continue
        seen.update(f"{name}={value!r};".encode())
    return seen.hexdigest()[:16]
