"""From what a user passes as numbers, tensors and nested lists included, to a NumPy array, or one clear error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import ShapeError

__all__ = ["is_whole", "to_array"]


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
        raise ShapeError(f"{where}: found {what}; expected real numbers; convert it with .astype('float32')")
    return array


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy; True and False are none.

    Example:
        >>> is_whole(3), is_whole(np.int64(3)), is_whole(3.0), is_whole(True)
        (True, True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
