"""From what a user passes as numbers, tensors and nested lists included, to a NumPy array, or one clear error."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError, brief

__all__ = ["is_whole", "selected", "short_repr", "to_array"]


def to_array(value: Any, where: str) -> NDArray[Any]:
    """Array of real numbers.

    Args:
        value: array, tensor (on any device, with or without gradient), number, or nested lists of numbers.
        where: name of the argument, for the error.

    Returns:
        [...] floats, integers or booleans; may share memory with `value`.

    Raises:
        ShapeError: rows of unequal length, or not real numbers.

    Example:
        >>> to_array([[1, 2], [3, 4]], "weight").shape
        (2, 2)
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            if value.is_floating_point() and value.element_size() < 4:  # NumPy has no bfloat16
                value = value.float()
        array = np.asarray(value)
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        if isinstance(value, list | tuple):
            found, advice = "rows of unequal length", "pad or cut them to one length"
        else:
            found, advice = f"a {type(value).__name__} of no numbers", "convert it"
        raise ShapeError(f"{where}: found {found}; expected an array of real numbers; {advice}") from None
    if array.dtype.kind not in "fiub":
        what = f"{type(value).__name__}" if array.dtype.kind == "O" and not array.ndim else f"dtype {array.dtype}"
        advice = "pass numbers, not text" if array.dtype.kind in "US" else "convert it with .astype('float32')"
        raise ShapeError(f"{where}: found {what}; expected real numbers; {advice}")
    return array


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are none.

    Example:
        >>> is_whole(3), is_whole(np.int64(3)), is_whole(3.0), is_whole(True)
        (True, True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def selected(indices: Any, count: int, where: str) -> NDArray[np.int64]:
    """Numbers of the chosen ones among `count`.

    Args:
        indices: their numbers (negative ones count from the end), one of them, a slice, or a mask [count].
        count: how many there are.
        where: name of the argument, for the error.

    Returns:
        [B] numbers from 0.

    Raises:
        ShapeError: something else, or a mask of another length.
        IndexError: a number is outside.

    Example:
        >>> selected(slice(-2, None), 5, "indices"), selected([True, False, True], 3, "indices")
        (array([3, 4]), array([0, 2]))
    """
    numbers = np.arange(count)
    if isinstance(indices, slice):
        return numbers[indices]
    array = np.atleast_1d(to_array(list(indices) if isinstance(indices, range) else indices, where))
    if not array.size and array.dtype.kind == "f":  # an empty list
        array = array.astype(np.int64)
    mask = array.dtype.kind == "b"
    if array.ndim != 1 or array.dtype.kind not in "iub" or (mask and len(array) != count):
        raise ShapeError(
            f"{where}: found {array.dtype} of shape {array.shape}; expected numbers of samples, a slice, or a mask "
            f"of shape ({count},); pass [0, 1], say"
        )
    if not mask and array.size and not -count <= int(array.min()) <= int(array.max()) < count:
        raise IndexError(f"{where}: found numbers {array.min()} to {array.max()}; there are {count}, numbered from 0")
    chosen: NDArray[np.int64] = numbers[array]
    return chosen


def short_repr(self: Any) -> str:
    """`__repr__` of a dataclass that holds arrays: their types and shapes instead of their numbers."""
    parts = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__name__}({', '.join(f'{n}={brief(v)}' for n, v in parts)})"
