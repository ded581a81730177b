"""Our neurons as NIR nodes that a forward-Euler reader runs alike, and NIR neurons as ours.

NIR in one Euler step of dt, with `g = dt / tau` (Pedersen et al., 2024, Methods):

| node | step |
|---|---|
| LI, LIF | `v += g (v_leak - v + r x)` |
| IF | `v += dt r x` |
| CubaLIF | `i += g_syn (w_in x - i)`, then `v += g_mem (v_leak - v + r i)` |
| CubaLI | as CubaLIF, without threshold |
| I | `v += dt r x`, without threshold |
| Threshold | `z = [x > threshold]` |

then `z = [v > v_threshold]` and `v = v_reset where z`. All start at v = v_leak (IF: 0) and i = 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsupportedError, Violation
from spikelab.hardware.nir.node import Node
from spikelab.neurons import IF, LI, LIF, CubaLI, CubaLIF
from spikelab.neurons.model import NeuronModel, parameters

__all__ = ["MODELS", "Convention", "Foreign", "Written", "from_node", "numbers", "start", "to_node"]

Array = NDArray[Any]
Convention = Literal["nir", "step"]
"""What r = 1 of an IF node means: `"nir"` v' = I, one step adds dt x; `"step"` one step adds x."""

MODELS: dict[str, type[NeuronModel]] = {cls.__name__: cls for cls in (IF, LI, LIF, CubaLI, CubaLIF)}  # by node type
_ROUNDING = 2.0**-22  # of a product of float32 fields


class Written(NamedTuple):
    """Type and fields of a node; factor [*shape] that the incoming weights need, or None for 1."""

    type: str
    fields: dict[str, Any]
    factor: Array | None


class Foreign(NamedTuple):
    """A node as ours.

    Args:
        model: of its population; None for an integrator that never forgets (a junction that feeds itself).
        scale: factor on its input, None for 1.
        initial: start values where the model has others.
    """

    model: NeuronModel | None
    scale: Array | None
    initial: dict[str, Any]


def numbers(model: NeuronModel) -> dict[str, Any]:
    """Parameters of a model in SI: floats, or float64 arrays."""
    result = {}
    for name in parameters(model):
        value = getattr(model, name)
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
        result[name] = array if array.ndim else float(array)
    return result


def start(model: NeuronModel) -> dict[str, Any]:
    """State in which a NIR reader starts the node of a model."""
    state: dict[str, Any] = dict.fromkeys(model.State._fields, 0.0)
    if "v" in state and not isinstance(model, IF):
        state["v"] = numbers(model)["v_leak"]
    return state


def to_node(
    model: NeuronModel, shape: tuple[int, ...], dt: float, discretisation: str, if_convention: Convention
) -> Written:
    """The node of a population in the profile that most readers share.

    Args:
        model: one of `MODELS`.
        shape: of the population.
        dt: [s] time step.
        discretisation: with `"exponential"` the time constant in the file is dt / (1 - a).
        if_convention: r of an IF node is 1 / dt (`"nir"`) or 1 (`"step"`).
    """
    p = numbers(model)
    fields: dict[str, Any] = {}
    factor: Any = 1.0
    left = {name: _left(p[name], dt, discretisation) for name in ("tau_mem", "tau_syn") if name in p}
    if isinstance(model, IF):
        fields["r"] = 1.0 / dt if if_convention == "nir" else 1.0
    else:
        gain = _gain(model.flags()["input_gain"], p["tau_mem"], left["tau_mem"], dt, discretisation)
        if isinstance(model, CubaLI | CubaLIF):
            decay = 1.0 if model.synapse == "decay_then_add" else 1.0 - left["tau_syn"]
            fields |= {
                "tau_syn": dt / left["tau_syn"],
                "tau_mem": dt / left["tau_mem"],
                "r": gain,
                "w_in": decay / left["tau_syn"],
            }
        else:
            fields |= {"tau": dt / left["tau_mem"], "r": 1.0}
            factor = gain
        fields["v_leak"] = p["v_leak"]
    if "v_threshold" in p:
        fields["v_threshold"] = p["v_threshold"]
    if model.flags().get("reset") == "hard" and np.any(p["v_reset"]):
        fields["v_reset"] = p["v_reset"]
    full = {}
    with np.errstate(over="ignore", under="ignore"):
        for name, value in fields.items():
            full[name] = np.broadcast_to(np.asarray(value).astype(np.float32), shape)
            if not np.isfinite(full[name]).all() or (np.broadcast_to(value, shape)[full[name] == 0] != 0).any():
                found = f"{np.max(np.abs(value)):.3g}"
                advice = "choose time constants and potentials within 1e-38 to 1e38"
                violation = Violation(
                    "field_fits_float32", f"{type(model).__name__}.{name}", found, "a float32", advice
                )
                raise UnsupportedError(violations=[violation])
    scale = None if np.all(np.asarray(factor) == 1.0) else np.broadcast_to(np.asarray(factor, np.float64), shape)
    return Written(type(model).__name__, full, scale)


def _left(tau: Any, dt: float, discretisation: str) -> Any:
    """1 - a: what one step takes off, for Euler dt / tau."""
    return dt / tau if discretisation == "euler" else -np.expm1(-dt / tau)


def _gain(kind: str, tau: Any, left: Any, dt: float, discretisation: str) -> Any:
    """Input gain over (1 - a): what the reader's Euler step of dt / tau must be multiplied by."""
    if kind == "one":
        return 1.0 / left
    return 1.0 if kind == "1-a" or discretisation == "euler" else dt / tau / left


def from_node(node: Node, dt: float, if_convention: Convention) -> Foreign:
    """A neuron of any program, read as forward Euler of its equation.

    A factor on the input that our neuron has no parameter for comes back as `scale`; it is None where
    it is 1 to within the rounding of the file's float32 fields.

    Raises:
        FormatError: fields that are no finite numbers, time constants not above zero, or a reset value
            above the threshold.
    """
    values = {name: _collapsed(node.numbers(name)) for name in node.fields}
    for name in ("tau", "tau_mem", "tau_syn"):
        if name in values and np.min(values[name]) <= 0:
            raise node.bad(name, f"{np.min(values[name])} s", "time constants above zero")
    fire = {name: values[name] for name in ("v_threshold", "v_reset") if name in values}
    if "v_threshold" in fire and (above := np.subtract(fire.get("v_reset", 0.0), fire["v_threshold"])).max() > 0:
        raise node.bad(
            "v_reset", f"a value {above.max():.3g} V above v_threshold", "none above it: each spike brings the next"
        )
    if node.type in ("I", "IF"):
        scale = values["r"] * (dt if if_convention == "nir" else 1.0)
        if node.type == "I":
            return Foreign(None, _factor(scale), {})
        initial = {"v": 0.0} if np.any(fire.get("v_reset", 0.0)) else {}
        return Foreign(IF(**fire), _factor(scale), initial)
    if node.type == "Threshold":  # a membrane that forgets everything in one Euler step of dt
        threshold = values["threshold"]
        return Foreign(LIF(tau_mem=dt, v_threshold=threshold, v_reset=np.minimum(threshold, 0.0)), None, {})
    if node.type in ("LI", "LIF"):
        model = LI if node.type == "LI" else LIF
        gain, scale = _gain_of(values["r"], values["tau"], dt)
        return Foreign(
            model(tau_mem=values["tau"], v_leak=values["v_leak"], input_gain=gain, **fire), _factor(scale), {}
        )
    step = dt / values["tau_syn"]
    gain, scale = _gain_of(values["r"], values["tau_mem"], dt)
    enter = values["w_in"] * step
    synapse = "decay_then_add"
    if _factor(enter / np.where(step < 1, 1 - step, 1.0)) is None and _factor(enter) is not None:
        enter, synapse = 1.0, "add_then_decay"
    cuba = CubaLI if node.type == "CubaLI" else CubaLIF
    return Foreign(
        cuba(
            tau_syn=values["tau_syn"],
            tau_mem=values["tau_mem"],
            v_leak=values["v_leak"],
            input_gain=gain,
            synapse=synapse,
            **fire,
        ),
        _factor(enter * scale),
        {},
    )


def _gain_of(r: Any, tau: Any, dt: float) -> tuple[str, Any]:
    """Our input gain for a resistance, and the factor that is left."""
    if np.all(r == 1.0):
        return "dt/tau", 1.0
    whole = r * (dt / tau)
    return ("one", 1.0) if _factor(whole) is None else ("dt/tau", r)


def _factor(value: Any) -> Array | None:
    array = np.asarray(value, np.float64)
    return None if np.all(np.abs(array - 1.0) <= _ROUNDING) else array


def _collapsed(value: Array) -> Any:
    """An array of equal numbers as one number."""
    return float(value.flat[0]) if (value == value.flat[0]).all() else value
