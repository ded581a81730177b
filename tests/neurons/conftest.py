"""What several tests of neurons need: a walk through `step` on arrays, a neuron that uses every primitive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from spikelab.neurons import NeuronModel, Port
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


class ZooInputs(NamedTuple):
    """Two ports."""

    x: Any
    y: Any


class ZooState(NamedTuple):
    """Potential, a clipped variable, a whole number."""

    v: Any
    w: Any
    k: Any


class ZooCoefficients(NamedTuple):
    """What the step needs."""

    a_mem: Any
    v_threshold: Any
    most: Any
    low: Any
    high: Any
    one: Any
    jump: Any


@dataclass(frozen=True, eq=False)
class Zoo(NeuronModel):
    """A neuron of no use, with two inputs and every primitive; gradients reach all that is continuous."""

    State, Coefficients, Inputs = ZooState, ZooCoefficients, ZooInputs
    ports = {"x": Port("V"), "y": Port("1")}  # noqa: RUF012

    @staticmethod
    def step(x: Any, s: Any, c: Any, f: Any) -> Any:
        """Every primitive once or more; w meets `low` and `high` exactly, where `reach` and `gate` differ."""
        drive = x.x * f.sigmoid(x.y)
        w = f.minimum(f.maximum(f.tanh(s.w) + c.jump * f.exprel(x.y), c.low), c.high)
        u = f.divide(c.a_mem * s.v + drive, c.one + w * w)
        z = f.count(u, c.v_threshold, c.most)
        over = f.spike(s.w - w)
        v = f.select(z, u - f.detach(z) * c.v_threshold, u)
        k = f.truncate(c.a_mem * s.k + x.x) + f.reach(c.low - w)
        w = f.select(f.gate(w), w, w + over * f.exp(w))
        return z + over, ZooState(v, w, k)

    def coefficients(self, dt: float, discretisation: Any, m: Any = None) -> ZooCoefficients:
        """Numbers that let everything happen."""
        return ZooCoefficients(0.9, 0.5, 3.0, -0.25, 0.75, 1.0, 0.2)

    def initial(self) -> ZooState:
        """All zero."""
        return ZooState(0.0, 0.0, 0.0)


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    """A neuron with two ports that uses every primitive."""
    return Zoo()
