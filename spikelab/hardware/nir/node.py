"""One node of a NIR graph: a type, and fields that are checked as they are taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError

__all__ = ["FIELDS", "NEURONS", "WIRE", "Node"]

Array = NDArray[Any]

WIRE = "wire"
"""Type of what used to be an Input or Output of a nested graph: it passes on the sum of what arrives."""

# Names of the fields by type: required, optional.
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv2d": (("weight", "bias", "stride", "padding", "dilation", "groups"), ("input_shape",)),
    "SumPool2d": (("kernel_size", "stride", "padding"), ()),
    "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
    "Threshold": (("threshold",), ()),
    "I": (("r",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LI": (("tau", "r", "v_leak"), ()),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "CubaLI": (("tau_syn", "tau_mem", "r", "v_leak", "w_in"), ()),
    "CubaLIF": (("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "w_in"), ("v_reset",)),
}
NEURONS = ("Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
"""Node types that become a population of neurons."""
_WEIGHTS = ("weight", "bias", "scale")


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Args:
        name: name in the flat graph.
        type: NIR type.
        fields: arrays, numbers and strings by name.
        metadata: what programs noted, as a tree.
        path: the file, for errors.
    """

    name: str
    type: str
    fields: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    path: str = ""

    def bad(self, name: str, found: object, expected: str) -> FormatError:
        """The error for a field that is not what it must be."""
        return FormatError(self.path, f"node {self.name} ({self.type}).{name}: found {found}; expected {expected}")

    def numbers(self, name: str, ndim: int | None = None) -> Array:
        """A field as finite float64 array with at least one value."""
        value = self.fields[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            raise self.bad(name, "text" if isinstance(value, str) else type(value).__name__, "numbers")
        if value.size == 0 or (ndim is not None and value.ndim != ndim):
            raise self.bad(name, f"shape {value.shape}", f"{ndim if ndim is not None else 'some'} axes, none empty")
        result = value.astype(np.float64)
        if not np.isfinite(result).all():
            raise self.bad(name, "NaN or infinity", "finite numbers")
        return result

    def integers(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """A field as whole numbers; a single one stands for `count` equal ones."""
        values = self.numbers(name).reshape(-1)
        if (values != np.rint(values)).any() or np.abs(values).max() > 2**31:
            raise self.bad(name, values[:4].tolist(), "whole numbers below 2^31")
        result = tuple(int(v) for v in values)
        if count is not None and len(result) == 1:
            result *= count
        if count is not None and len(result) != count:
            raise self.bad(name, f"{len(result)} numbers", f"{count}")
        return result

    def shape(self, name: str) -> tuple[int, ...]:
        """A field as shape."""
        result = self.integers(name)
        if min(result) < 1 or len(result) > 32:
            raise self.bad(name, result, "lengths above zero")
        return result

    def digest(self) -> str:
        """Hash of type and fields; of weights only the shape, and a `v_reset` of 0 counts as left out."""
        h = hashlib.sha256(self.type.encode())
        for name in sorted(self.fields):
            value = self.fields[name]
            if name == "v_reset" and not np.any(value):
                continue
            array = np.asarray(value)
            h.update(f"|{name}{array.shape}".encode())
            if name in _WEIGHTS:
                continue
            h.update(str(value).encode() if array.dtype.kind in "OUS" else array.astype(np.float64).tobytes())
        return h.hexdigest()[:16]
