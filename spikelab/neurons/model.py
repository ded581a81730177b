"""`NeuronModel`: a frozen dataclass of parameters with units, plus one pure `step`.

`step(x, s, c, f)` uses only `+ - *` and the primitives of `primitives.py`. The same function runs on
tensors (training), arrays (clocked reference), tracing objects (fused kernels, event-driven
simulator, operation counts) and dimensions (unit check), so that no reader can drift from another.

`coefficients` turns parameters into what `step` needs per time step. It may divide and use the
functions of `m`, which work on floats, arrays and tensors alike, so that a learnable parameter keeps
its gradient.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from spikelab.arrays import short_repr, to_array
from spikelab.errors import ShapeError, UnitError, UnsupportedError, brief, unknown_name
from spikelab.units import Dimensioned, dimension, must_be_si, si

__all__ = [
    "MATHS",
    "Discretisation",
    "Maths",
    "NeuronModel",
    "Port",
    "Step",
    "Value",
    "choice",
    "decay",
    "parameter",
    "parameters",
    "share",
    "to_value",
    "with_values",
]

Value = Any
"""A parameter: a float in SI, a string with a unit, an array that broadcasts to the population, or a tensor."""
Step = Callable[[Any, Any, Any, Any], tuple[Any, Any]]
"""`(x, s, c, f) -> (z, s)`."""
Discretisation = Literal["exponential", "euler"]
"""How a time constant becomes a decay per step."""


class Port(NamedTuple):
    """Input of a neuron: its unit, and the sign that its contributions must have (0: any)."""

    unit: str
    sign: int = 0


class Maths:
    """Functions that `coefficients` may use on floats, arrays and tensors alike."""

    @staticmethod
    def _apply(name: str, x: Any) -> Any:
        method = None if isinstance(x, np.ndarray) else getattr(x, name, None)
        return method() if method is not None else getattr(np, name)(x)

    def exp(self, x: Any) -> Any:
        """e to the x."""
        return self._apply("exp", x)

    def expm1(self, x: Any) -> Any:
        """e to the x, less one, without cancellation."""
        return self._apply("expm1", x)

    def log(self, x: Any) -> Any:
        """Natural logarithm."""
        return self._apply("log", x)

    def sqrt(self, x: Any) -> Any:
        """Square root."""
        return self._apply("sqrt", x)

    def sin(self, x: Any) -> Any:
        """Sine."""
        return self._apply("sin", x)

    def cos(self, x: Any) -> Any:
        """Cosine."""
        return self._apply("cos", x)


MATHS = Maths()
"""The functions on floats, arrays and tensors."""


def parameter(default: Value, *, unit: str, doc: str, positive: bool = False, vector: bool = False) -> Any:
    """Declare a parameter of a neuron.

    Args:
        default: value in SI, or a string with a unit.
        unit: SI unit; `"1"` for a plain number.
        doc: what it is, in a few words.
        positive: refuse values that are not above zero.
        vector: each neuron has several, along the first axis (the weights of a filter, say); the axes behind it
            broadcast to the population.

    Raises:
        UnitError: an unknown unit, or one with a prefix.
    """
    must_be_si(unit, f"parameter(doc={doc!r})")
    return field(default=default, metadata={"unit": unit, "doc": doc, "positive": positive, "vector": vector})


def choice(default: str, *, options: tuple[str, ...], doc: str) -> Any:
    """Declare a flag that selects one of several pure `step` functions."""
    return field(default=default, metadata={"options": options, "doc": doc})


def parameters(model: NeuronModel | type[NeuronModel]) -> dict[str, Mapping[str, Any]]:
    """Names of a model's parameters (flags left out) with their unit and meaning."""
    return {f.name: f.metadata for f in dataclasses.fields(model) if "unit" in f.metadata}


def decay(tau: Any, dt: float, discretisation: Discretisation, m: Maths = MATHS, where: str = "time constant") -> Any:
    """Share of a state that is left after one step of `dt`.

    Args:
        tau: [s] time constant.
        dt: [s] time step.
        discretisation: `"exponential"` gives exp(-dt/tau), `"euler"` gives 1 - dt/tau.
        m: functions of the number type.
        where: name of the time constant, for the error.

    Raises:
        UnitError: a time constant shorter than dt, where Euler steps overshoot.
        UnsupportedError: unknown discretisation.

    Example:
        >>> round(float(decay(10e-3, 1e-3, "exponential")), 6), decay(10e-3, 1e-3, "euler")
        (0.904837, 0.9)
    """
    if discretisation == "exponential":
        return m.exp(-dt / tau)
    if discretisation == "euler":
        if (shortest := _least(tau, where)) < dt:
            raise UnitError(
                f"{where}: found {shortest} s, which is shorter than dt of {dt} s, where Euler steps overshoot; "
                "use discretisation='exponential' or a smaller dt"
            )
        return 1 - dt / tau
    raise unknown_name("discretisation", discretisation, ("exponential", "euler"))


def share(w: Any, m: Maths = MATHS) -> Any:
    """Sigmoid of a plain number: a parameter that is learnt as any real number, as a share between 0 and 1.

    Example:
        >>> float(share(0.0)), round(float(share(2.0)), 6)
        (0.5, 0.880797)
    """
    return 1 / (1 + m.exp(-w))


def _least(value: Any, where: str) -> float:
    return float(to_array(value, where).astype(np.float64).min(initial=np.inf))


def with_values(model: NeuronModel, values: Mapping[str, Any]) -> NeuronModel:
    """Copy of a model with other numbers in some parameters, for each step of training.

    Ranges and flags are not looked at again: they hold for the model, and a time constant is learnt as its logarithm.

    Args:
        model: the neuron.
        values: tensor per parameter, in SI.

    Raises:
        UnitError: NaN or infinity.

    Example:
        >>> from spikelab.neurons import LIF
        >>> with_values(LIF(tau_mem="20 ms"), {"v_threshold": np.array(2.0)}).v_threshold
        array(2.)
    """
    made = copy.copy(model)
    for name, value in values.items():
        where = f"{type(model).__name__}.{name}"
        if not np.isfinite(to_array(value, where)).all():
            raise UnitError(
                f"{where}: found NaN or infinity in {brief(value)}; expected finite numbers; the training has "
                "diverged: use a smaller learning rate, or clip the gradients"
            )
        object.__setattr__(made, name, value)
    return made


def to_value(value: Value, unit: str, where: str) -> Any:
    """Bring a parameter or start value into SI.

    Args:
        value: a float in SI, a string with a unit, an array, or a tensor.
        unit: SI unit that is expected.
        where: name of the argument, for the error.

    Returns:
        A float, a read-only float64 array, or the tensor itself, which keeps its gradient.

    Raises:
        UnitError: another unit, not real numbers, NaN or infinity.
    """
    tensor = hasattr(value, "detach")
    if not tensor and not (isinstance(value, np.ndarray) and value.ndim):
        return si(value, unit, where)
    try:
        numbers = to_array(value, where)
    except ShapeError as error:
        raise UnitError(str(error)) from None
    if numbers.dtype.kind == "b":
        raise UnitError(f"{where}: found dtype bool; expected real numbers in {unit}; give numbers")
    numbers = np.array(numbers, np.float64)
    numbers.setflags(write=False)
    if not np.isfinite(numbers).all():
        raise UnitError(
            f"{where}: found NaN or infinity in {brief(value)}; expected finite numbers in {unit}; mend them"
        )
    return value if tensor else numbers


@cache
def _bare(kind: type) -> list[str]:
    """Parameters that no dataclass has taken up."""
    return [n for cls in kind.__mro__ for n, v in vars(cls).items() if isinstance(v, dataclasses.Field)]


@dataclass(frozen=True, eq=False)
class NeuronModel:
    """Base of all neurons. Subclasses add parameters, flags, `coefficients` and `step`.

    Class attributes:
        State: NamedTuple of the state variables.
        Coefficients: NamedTuple of what `step` needs per time step.
        ports: inputs by name. A model with one port takes `x` as a number, with several as a NamedTuple.
        state_units: unit of each state variable.
        coefficient_units: unit of each coefficient.
        output_unit: `"1"` for spikes.
        spiking: False where the output is a potential.
    """

    State: ClassVar[type[Any]]
    Coefficients: ClassVar[type[Any]]
    ports: ClassVar[Mapping[str, Port]] = {"x": Port("V")}
    state_units: ClassVar[tuple[str, ...]] = ()
    coefficient_units: ClassVar[tuple[str, ...]] = ()
    output_unit: ClassVar[str] = "1"
    spiking: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__repr__" not in vars(cls):  # before the dataclass gives it one that prints all numbers
            cls.__repr__ = short_repr  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        if bare := _bare(type(self)):  # type: ignore[arg-type]  # a class is hashable
            raise UnsupportedError(
                f"{type(self).__name__}: found {', '.join(bare)} in a class that is no dataclass; expected one; "
                "add @dataclass(frozen=True, eq=False) above the class"
            )
        for f in dataclasses.fields(self):
            where, value = f"{type(self).__name__}.{f.name}", getattr(self, f.name)
            if "unit" in f.metadata:
                value = to_value(value, f.metadata["unit"], where)
                if f.metadata["positive"] and not (least := _least(value, where)) > 0:
                    raise UnitError(f"{where}: found {least} {f.metadata['unit']}; expected a value above zero")
                object.__setattr__(self, f.name, value)
            elif "options" in f.metadata and not (isinstance(value, str) and value in f.metadata["options"]):
                raise unknown_name(where, value, f.metadata["options"])

    @property
    def step(self) -> Step:
        """The pure function `(x, s, c, f) -> (z, s)` of this model's flags."""
        raise NotImplementedError

    def coefficients(self, dt: float, discretisation: Discretisation, m: Maths = MATHS) -> Any:
        """Coefficients of one step of `dt` seconds."""
        raise NotImplementedError

    def initial(self) -> Any:
        """State at the start, where a population does not say otherwise."""
        raise NotImplementedError

    @property
    def leap(self) -> Callable[[Any, Any, Any, int], Any] | None:
        """`(x, s, c, n) -> s`: n silent steps under constant input in closed form, or None."""
        return None

    @property
    def quiet(self) -> Callable[[Any, Any, Any], bool] | None:
        """`(x, s, c) -> bool`: True only if no spike can come while the input stays `x`, or None."""
        return None

    def flags(self) -> dict[str, str]:
        """The flags of this model by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if "options" in f.metadata}

    def check_units(self) -> None:
        """Run `step` on dimensions.

        Raises:
            UnitError: the units of a sum differ, or an output or state has another unit than declared.
            UnsupportedError: the step uses something that cannot be traced.
        """
        from spikelab.neurons.primitives import UNITS
        from spikelab.neurons.trace import trace

        trace(self)
        for what, names, units in (
            ("state_units", self.State._fields, self.state_units),
            ("coefficient_units", self.Coefficients._fields, self.coefficient_units),
        ):
            if len(names) != len(units):
                expected = f"{len(names)}, one each for {', '.join(names)}"
                raise UnitError(f"{type(self).__name__}.{what}: found {len(units)} units; expected {expected}")
        inputs = [Dimensioned(dimension(p.unit)) for p in self.ports.values()]
        x = inputs[0] if len(inputs) == 1 else self.Inputs(*inputs)  # type: ignore[attr-defined]
        s = self.State(*(Dimensioned(dimension(u)) for u in self.state_units))
        c = self.Coefficients(*(Dimensioned(dimension(u)) for u in self.coefficient_units))
        z, new = self.step(x, s, c, UNITS)
        found = {"output": (z, self.output_unit)}
        found |= {name: (getattr(new, name), u) for name, u in zip(self.State._fields, self.state_units, strict=True)}
        for name, (value, unit) in found.items():
            if value.unit != dimension(unit):
                raise UnitError(f"{type(self).__name__}.step: {name} is in {value.unit}; declared is {unit}")
