"""Sigma-delta neuron: sums changes, applies an activation, and sends the change of the result where it is large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from spikelab.neurons import conventions as how
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, choice, parameter

__all__ = ["ACTIVATIONS", "INPUTS", "SigmaDelta", "SigmaDeltaCoefficients", "SigmaDeltaState"]

ACTIVATIONS = ("relu", "none")
"""What is applied to the decoded input."""
INPUTS = ("changes", "values")
"""What the neuron receives: what other such neurons send, or plain values (the first layer)."""


class SigmaDeltaState(NamedTuple):
    """total: sum of the input, or its last value [V]; sent: sum of what was sent [V]."""

    total: Any
    sent: Any


class SigmaDeltaCoefficients(NamedTuple):
    """Potentials [V]."""

    bias: Any
    v_threshold: Any
    zero: Any


@cache
def _step(comparison: str, activation: str, inputs: str) -> Step:
    fires = how.fire(comparison, "one")

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        total = s.total + x if inputs == "changes" else x
        y = total + c.bias
        if activation == "relu":
            y = f.maximum(y, c.zero)
        change = y - s.sent
        z = f.select(fires(f.maximum(change, c.zero - change), c, f), change, c.zero)
        return z, SigmaDeltaState(total, s.sent + z)

    return step


def _leap_changes(x: Any, s: Any, c: Any, n: int) -> Any:
    return SigmaDeltaState(s.total + n * x, s.sent)


def _leap_values(x: Any, s: Any, c: Any, n: int) -> Any:
    return SigmaDeltaState(x if n > 0 else s.total, s.sent)


# Quiet: the decoded value stands still, and differs from what was sent by less than the threshold.
def _quiet_relu_changes(x: Any, s: Any, c: Any) -> bool:
    return bool(x == 0 and abs(max(s.total + c.bias, 0.0) - s.sent) < c.v_threshold * (1 - 1e-6))


def _quiet_none_changes(x: Any, s: Any, c: Any) -> bool:
    return bool(x == 0 and abs(s.total + c.bias - s.sent) < c.v_threshold * (1 - 1e-6))


def _quiet_relu_values(x: Any, s: Any, c: Any) -> bool:
    return bool(abs(max(x + c.bias, 0.0) - s.sent) < c.v_threshold * (1 - 1e-6))


def _quiet_none_values(x: Any, s: Any, c: Any) -> bool:
    return bool(abs(x + c.bias - s.sent) < c.v_threshold * (1 - 1e-6))


@dataclass(frozen=True, eq=False)
class SigmaDelta(NeuronModel):
    """An activation whose input and output travel as changes: silent where nothing happens.

    Order within a step: sum the input, add the bias, rectify, compare, send:
    `total = total + x`, `y = max(total + bias, 0)`, `d = y - sent`, `z = d where |d| > v_threshold, else 0`,
    `sent = sent + z`.
    The output z is a graded spike in volts. Its sum differs from y by no more than the threshold at any step, and a
    network of these on inputs that stand still is the network of the plain activations. With `inputs="values"` the
    neuron takes the values themselves: the first layer. There is no leak, and nothing depends on dt.

    Backward the surrogate acts at both thresholds, so that `v_threshold` can be learnt; what is sent passes its
    gradient, and the memory of what was sent is not detached (gradients of a sum of changes telescope).

    lava-dl's `sigma_delta.Neuron` without `cum_error`: `comparison=">="`; its input layer, a `Delta`, is
    `activation="none", inputs="values"`.

    Args:
        bias: [V] added to the decoded input.
        v_threshold: [V] smallest change that is sent.
        activation: `"relu"` or `"none"`.
        inputs: `"changes"` or `"values"`.
        comparison: `">"` or `">="`.

    Raises:
        UnitError: a parameter has the wrong unit or range.
        UnsupportedError: an unknown flag.

    Source:
        O'Connor and Welling, Sigma delta quantized networks, ICLR 2017; lava-dl, `slayer.neuron.sigma_delta`.

    Example:
        >>> SigmaDelta(v_threshold="50 mV").v_threshold
        0.05
    """

    bias: Value = parameter(0.0, unit="V", doc="added to the decoded input")
    v_threshold: Value = parameter(0.1, unit="V", doc="smallest change that is sent", positive=True)
    activation: str = choice("relu", options=ACTIVATIONS, doc="applied to the decoded input")
    inputs: str = choice("changes", options=INPUTS, doc="what the neuron receives")
    comparison: str = choice(">", options=how.COMPARISONS, doc="change against the threshold")

    State = SigmaDeltaState
    Coefficients = SigmaDeltaCoefficients
    state_units = ("V", "V")
    coefficient_units = ("V", "V", "V")
    output_unit = "V"

    @property
    def step(self) -> Step:
        """Sum the input, add the bias, rectify, compare, send."""
        return _step(self.comparison, self.activation, self.inputs)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> SigmaDeltaCoefficients:
        """Potentials; nothing depends on `dt`."""
        return SigmaDeltaCoefficients(self.bias, self.v_threshold, 0.0)

    def initial(self) -> SigmaDeltaState:
        """Nothing received, nothing sent."""
        return SigmaDeltaState(0.0, 0.0)

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """n silent steps at once."""
        return _leap_changes if self.inputs == "changes" else _leap_values

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if the decoded value stands still below the threshold."""
        if self.inputs == "changes":
            return _quiet_relu_changes if self.activation == "relu" else _quiet_none_changes
        return _quiet_relu_values if self.activation == "relu" else _quiet_none_values
