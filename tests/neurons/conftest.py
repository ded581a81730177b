"""What several tests of neurons need: a walk through `step` on arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikelab.neurons import NeuronModel
from spikelab.neurons.primitives import NUMPY

Walk = Callable[..., tuple[np.ndarray, Any, list[np.ndarray]]]


def _walk(model: NeuronModel, x: Any, dt: float = 1e-3, discretisation: str = "exponential", state: Any = None) -> Any:
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    c = model.coefficients(dt, discretisation)  # type: ignore[arg-type]
    c = type(c)(*(np.asarray(v, x.dtype)[()] for v in c))
    s = model.initial() if state is None else state
    s = type(s)(*(np.broadcast_to(np.asarray(v, x.dtype), x.shape[1:])[()] for v in s))
    z, v = [], []
    for u in x:
        out, s = model.step(u, s, c, NUMPY)
        z.append(out)
        v.append(s.v)
    return np.stack(z), s, v


@pytest.fixture(scope="session")
def walk() -> Walk:
    """Run `step` over x [T, ...]: outputs, last state, and v after each step; dt is 1 ms."""
    return _walk
