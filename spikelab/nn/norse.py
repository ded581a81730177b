"""norse modules in and out.

norse's LIF is a `CubaLIF` in Euler steps: `v += dt / tau_mem (v_leak - v + i)` with the input added
to the current before use. Its SuperSpike ignores `alpha`, so ours is given the slope that it really
uses, 1 / (|d| + 1)^2.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from spikelab.errors import UnitError, UnsupportedError
from spikelab.nn import neurons as layers
from spikelab.nn.layers import Sequential
from spikelab.nn.neuron import Neuron
from spikelab.nn.surrogate import SuperSpike

__all__ = ["from_norse", "to_norse"]


def _norse() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised by norse's own import
        import norse.torch

    return norse.torch


def _value(x: Any) -> Any:
    array = torch.as_tensor(x).detach().double().numpy()
    return float(array) if array.ndim == 0 else array


def _seconds(inverse: Any) -> Any:
    return 1.0 / _value(inverse)


def _layer(module: Any, path: str) -> torch.nn.Module:
    n = _norse()
    p: Any = getattr(module, "p", None)
    kind = type(module).__name__
    common: dict[str, Any] = {
        "dt": float(getattr(module, "dt", 1e-3)),
        "discretisation": "euler",
        "surrogate": SuperSpike(1.0),
    }
    if isinstance(module, n.LIFCell | n.LIF):
        if p.method != "super":
            raise UnsupportedError(f"layer {path}: norse surrogate {p.method!r}; only 'super' has an equal here")
        return layers.CubaLIF(
            tau_syn=_seconds(p.tau_syn_inv),
            tau_mem=_seconds(p.tau_mem_inv),
            v_leak=_value(p.v_leak),
            v_threshold=_value(p.v_th),
            v_reset=_value(p.v_reset),
            input_gain="dt/tau",
            detach_reset=False,
            **common,
        )
    if isinstance(module, n.LIFBoxCell):
        reset = {"reset_value": "hard", "reset_subtract": "soft"}.get(getattr(p.reset_method, "__name__", ""))
        if reset is None or p.method != "super":
            raise UnsupportedError(
                f"layer {path}: norse LIFBox with reset {p.reset_method!r}, surrogate {p.method!r}; "
                "expected reset_value or reset_subtract with 'super'"
            )
        return layers.LIF(
            tau_mem=_seconds(p.tau_mem_inv),
            v_leak=_value(p.v_leak),
            v_threshold=_value(p.v_th),
            v_reset=_value(p.v_reset),
            input_gain="dt/tau",
            reset=reset,
            detach_reset=False,
            **common,
        )
    if isinstance(module, n.LICell | n.LI):
        return layers.CubaLI(
            tau_syn=_seconds(p.tau_syn_inv),
            tau_mem=_seconds(p.tau_mem_inv),
            v_leak=_value(p.v_leak),
            input_gain="dt/tau",
            **common,
        )
    if isinstance(module, n.IAFCell | n.IAF):
        return layers.IF(v_threshold=_value(p.v_th), v_reset=_value(p.v_reset), detach_reset=False, **common)
    raise UnsupportedError(
        f"layer {path}: norse {kind} has no equal here; known are LIF, LIFCell, LIFBoxCell, LI, LICell, IAF, IAFCell"
    )


def from_norse(module: torch.nn.Module) -> torch.nn.Module:
    """Turn a norse module into layers of ours with the same spikes.

    Args:
        module: a norse neuron, or a `norse.torch.SequentialState` of these and torch layers.

    Returns:
        A layer or an `nn.Sequential`; torch layers are shared, not copied.

    Raises:
        UnsupportedError: a neuron or surrogate without an equal, by name.
    """
    n = _norse()
    if isinstance(module, n.SequentialState | torch.nn.Sequential):
        made = []
        for name, child in module.named_children():
            made.append(_layer(child, name) if type(child).__module__.startswith("norse") else child)
        return Sequential(*made)
    return _layer(module, type(module).__name__)


def _inverse(x: Any) -> Tensor:
    return (1.0 / torch.tensor(x, dtype=torch.float64)).float()


def to_norse(layer: torch.nn.Module) -> torch.nn.Module:
    """Turn a layer, or an `nn.Sequential` of them, into norse cells with the same spikes and norse's own surrogate.

    Args:
        layer: Euler layers with `input_gain="dt/tau"`: `CubaLIF` (hard), `LIF` (hard or soft), `CubaLI`; `IF` (hard).

    Raises:
        UnsupportedError: a convention that norse does not have, by name.
        UnitError: dt is not known.
    """
    n = _norse()
    if isinstance(layer, Sequential):
        return n.SequentialState(*(to_norse(c) if isinstance(c, Neuron) else c for c in layer))  # type: ignore[no-any-return]
    if not isinstance(layer, Neuron):
        raise UnsupportedError(f"to_norse: found {type(layer).__name__}; expected a neuron layer or an nn.Sequential")
    m: Any = layer.frozen_model()
    kind = type(m).__name__
    if layer.dt is None:
        raise UnitError(
            f"to_norse: dt of {kind} is not known; pass dt='1 ms' to the layer, or call nn.set_dt(model, '1 ms')"
        )
    dt = layer.dt
    flags = m.flags()
    euler = layer.discretisation == "euler" and flags.get("input_gain", "dt/tau") == "dt/tau"
    plain = flags.get("comparison", ">") == ">" and flags.get("spikes", "one") == "one" and not layer.recurrent
    plain = plain and flags.get("synapse", "decay_then_add") == "decay_then_add"
    t = lambda v: torch.tensor(v, dtype=torch.float32)  # noqa: E731
    if kind == "IF" and plain and flags["reset"] == "hard":
        return n.IAFCell(n.IAFParameters(v_th=t(m.v_threshold), v_reset=t(m.v_reset)), dt=dt)  # type: ignore[no-any-return]
    if kind == "CubaLIF" and euler and plain and flags["reset"] == "hard":
        p = n.LIFParameters(_inverse(m.tau_syn), _inverse(m.tau_mem), t(m.v_leak), t(m.v_threshold), t(m.v_reset))
        return n.LIFCell(p, dt=dt)  # type: ignore[no-any-return]
    if kind == "LIF" and euler and plain and flags["reset"] in ("hard", "soft"):
        from norse.torch.functional.reset import reset_subtract, reset_value

        how = reset_value if flags["reset"] == "hard" else reset_subtract
        p = n.LIFBoxParameters(_inverse(m.tau_mem), t(m.v_leak), t(m.v_threshold), t(m.v_reset), reset_method=how)
        return n.LIFBoxCell(p, dt=dt)  # type: ignore[no-any-return]
    if kind == "CubaLI" and euler and plain:
        return n.LICell(n.LIParameters(_inverse(m.tau_syn), _inverse(m.tau_mem), t(m.v_leak)), dt=dt)  # type: ignore[no-any-return]
    raise UnsupportedError(
        f"to_norse: {kind} with {flags}, discretisation={layer.discretisation!r}, recurrent={layer.recurrent} has no "
        "equal in norse; "
        "norse steps by Euler with input_gain='dt/tau', strict threshold and one spike a step"
    )
