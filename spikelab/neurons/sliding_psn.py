"""Sliding parallel spiking neuron: a weighted sum of the last k inputs against a threshold, without reset."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from spikelab.arrays import to_array
from spikelab.errors import ShapeError
from spikelab.neurons.model import MATHS, Discretisation, Maths, NeuronModel, Step, Value, parameter

__all__ = ["SlidingPSN"]

_STATE, _COEFFICIENTS = "SlidingPSNState", "SlidingPSNCoefficients"


@cache
def _state(order: int) -> type[Any]:
    """`x1` [V] is the input of one step ago, `x2` of two. Order 1 needs none and keeps one that nothing reads."""
    names = [f"x{k}" for k in range(1, max(order, 2))]
    return namedtuple(f"{_STATE}{order}", names, module=__name__)


@cache
def _coefficients(order: int) -> type[Any]:
    """`w0` weighs the input of this step, `w1` that of one step ago; then the threshold [V]."""
    names = [*(f"w{k}" for k in range(order)), "v_threshold"]
    return namedtuple(f"{_COEFFICIENTS}{order}", names, module=__name__)


def __getattr__(name: str) -> Any:
    """The tuples of each order by name, for generated kernels and for pickle."""
    for prefix, make in ((_STATE, _state), (_COEFFICIENTS, _coefficients)):
        order = name.removeprefix(prefix)
        if name.startswith(prefix) and order.isdigit() and int(order) > 0:
            return make(int(order))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _step(order: int) -> Step:
    state = _state(order)

    def step(x: Any, s: Any, c: Any, f: Any) -> tuple[Any, Any]:
        h = c[0] * x
        for weight, past in zip(c[1:order], s, strict=False):  # order 1 reads no state
            h = h + weight * past
        return f.spike(h - c.v_threshold), state(x, *s[:-1])

    return step


def _leap(x: Any, s: Any, c: Any, n: int) -> Any:
    past = s[:]
    for _ in range(min(n, len(past))):
        past = (x,) + past[:-1]  # noqa: RUF005  Numba cannot spread a tuple inside a loop
    return past


def _quiet(x: Any, s: Any, c: Any) -> bool:
    # The sums of the next k steps, in each of which one more of the stored inputs has become x; but for rounding.
    order = len(c) - 1
    for known in range(1, order + 1):
        h = size = 0.0
        for k in range(order):
            term = c[k] * (x if k < known else s[k - known])
            h += term
            size += abs(term)
        if not c[order] - h > 1e-6 * (size + abs(c[order])):
            return False
    return True


@dataclass(frozen=True, eq=False)
class SlidingPSN(NeuronModel):
    """Spikes where a weighted sum of the last k inputs exceeds the threshold; nothing is reset.

    `h[t] = w[0] x[t] + w[1] x[t-1] + ... + w[k-1] x[t-k+1]`, `z = [h > v_threshold]`. Inputs before the first
    step are 0. Without a reset no step waits for the spike of the one before: as a layer, all steps can be computed
    at once. The order k is the number of weights.

    Args:
        weights: [k] or [k, *shape] weight of the input k steps ago; halved from step to step by default, as published.
        v_threshold: [V] spikes when h exceeds it.

    Raises:
        ShapeError: no weight, or only a number.
        UnitError: a parameter has the wrong unit, NaN or infinity.

    Source:
        Fang et al., Parallel Spiking Neurons with High Efficiency and Ability to Learn Long-term Dependencies,
        NeurIPS 2023 (the sliding PSN; its weights run from old to new).

    Example:
        >>> SlidingPSN(weights=[0.5, 0.25, 0.25]).order
        3
    """

    weights: Value = parameter((1.0, 0.5, 0.25, 0.125), unit="1", doc="weight of the input k steps ago", vector=True)
    v_threshold: Value = parameter(1.0, unit="V", doc="spikes when h exceeds it")

    def __post_init__(self) -> None:
        where = f"{type(self).__name__}.weights"
        values = to_array(self.weights, where)
        if values.ndim == 0 or len(values) == 0:
            raise ShapeError(
                f"{where}: found shape {values.shape}; expected [k] or [k, *shape] with k of at least 1; "
                "give one weight per step, the newest first, as in 0.5 ** np.arange(8)"
            )
        if not hasattr(self.weights, "detach"):
            object.__setattr__(self, "weights", values)
        super().__post_init__()

    @property
    def order(self) -> int:
        """How many inputs the neuron weighs, k."""
        return len(self.weights)

    @property
    def State(self) -> type[Any]:  # type: ignore[override]
        """The last k - 1 inputs, newest first (one for k = 1, unread)."""
        return _state(self.order)

    @property
    def Coefficients(self) -> type[Any]:  # type: ignore[override]
        """The weights, newest first, and the threshold."""
        return _coefficients(self.order)

    @property
    def state_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each stored input."""
        return ("V",) * max(self.order - 1, 1)

    @property
    def coefficient_units(self) -> tuple[str, ...]:  # type: ignore[override]
        """Unit of each coefficient."""
        return ("1",) * self.order + ("V",)

    @property
    def step(self) -> Step:
        """Weigh, compare, store the input."""
        return _step(self.order)

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> Any:
        """The weights one by one: they hold per step, whatever its length."""
        return _coefficients(self.order)(*self.weights, self.v_threshold)

    def initial(self) -> Any:
        """No input so far."""
        return _state(self.order)(*[0.0] * max(self.order - 1, 1))

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any]:
        """The stored inputs after n steps, as a plain tuple."""
        return _leap

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool]:
        """True if none of the next k sums, of which the last one stays, exceeds the threshold."""
        return _quiet
