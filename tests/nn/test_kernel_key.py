"""A model or surrogate of one's own gets a kernel of its own for each of its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch

from spikelab import nn
from spikelab.neurons.model import NeuronModel, Step, Value, parameter


class State(NamedTuple):
    v: Any


class Coefficients(NamedTuple):
    v_threshold: Any


@dataclass(frozen=True, eq=False)
class Repeated(NeuronModel):
    """Adds its input `times` times: a setting that is neither a parameter nor a declared flag."""

    v_threshold: Value = parameter(1.0, unit="V", doc="threshold")
    times: int = 1

    State, Coefficients = State, Coefficients
    state_units, coefficient_units = ("V",), ("V",)

    def coefficients(self, dt: float, discretisation: str, m: Any = None) -> Coefficients:
        return Coefficients(self.v_threshold)

    def initial(self) -> State:
        return State(0.0)

    @property
    def step(self) -> Step:
        times = self.times

        def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, State]:
            v = s.v
            for _ in range(times):
                v = v + x
            z = f.spike(v - c.v_threshold)
            return z, State(v - f.detach(z) * c.v_threshold)

        return step


class Scaled(nn.Surrogate):
    """A surrogate that is no dataclass of its own."""

    def __init__(self, w: float) -> None:
        super().__init__()
        object.__setattr__(self, "w", w)

    def slope(self, d: Any, f: Any) -> Any:
        return f.constant(self.w) * f.maximum(f.constant(0.0), f.constant(1.0) - f.maximum(d, f.constant(0.0) - d))


@pytest.mark.parametrize("times", [1, 3])
def test_settings_of_a_model(times: int) -> None:
    x = torch.full((20, 1, 1), 0.3)
    ours, theirs = (nn.Neuron(Repeated(times=times), dt="1 ms", fused=fused)(x)[0] for fused in (True, False))
    assert torch.equal(ours, theirs) and ours.sum() > 0


def test_settings_of_a_surrogate() -> None:
    found = []
    for w in (1.0, 5.0):
        x = torch.full((20, 1, 1), 0.3, requires_grad=True)
        nn.LIF(dt="1 ms", surrogate=Scaled(w))(x)[0].sum().backward()
        assert x.grad is not None
        found.append(x.grad)
    assert found[0].abs().sum() > 0
    torch.testing.assert_close(found[1], 5 * found[0])
