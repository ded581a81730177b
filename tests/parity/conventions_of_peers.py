"""What each neuron of another library is here: the map from its arguments to ours.

`OURS[library][neuron]` takes the library's arguments by name and gives our neuron, the time step, the discretisation,
the delay of the projection that feeds it, and a factor on its input. Where nothing here does the same, it gives the
reason as text.

| library | threshold | time | its own ways |
|---|---|---|---|
| norse | above | dt = 1 ms, Euler, rates `tau_*_inv` | input times dt / tau; surrogate `super` ignores alpha |
| snntorch | above | decay per step `beta`, `alpha` | "subtract" undecayed; "zero" loses a step of input, but in Leaky |
| spikingjelly | at or above | `tau` in steps, Euler | leaks to v_reset; `decay_input` divides the input by tau |
| sinabs | at or above | `tau` in steps, exponential | current decays with its input; many spikes; norm_input is 1 - a |
| rockpool | at or above | dt in s, exponential | current decays with its input; many spikes a step |
| spyx | above | decay per step `beta` | output one step late; subtraction undecayed, but in CuBaLIF |
| bindsnet | at or above | `tc_decay` in steps, exponential | hard resets |
| lava-dl | above | decay in 4096ths of a step | whole numbers |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from spikelab.neurons import IF, LIF, CubaLIF, FixedCubaLIF, NeuronModel

__all__ = ["OURS", "Ours"]


@dataclass(frozen=True, eq=False)
class Ours:
    """A neuron of ours, how it is run and where it starts.

    Args:
        model: the neuron.
        dt: [s] time step; libraries that count in steps have a step of one second.
        discretisation: of the network.
        delay: steps of the projection that feeds it.
        gain: factor on the input.
        start: initial states, where they are not those of the model.
        before: a leaky integrator between input and neuron: a synaptic current of its own.
        ports: the input's positive and negative part go to the two ports of the neuron.
    """

    model: NeuronModel
    dt: float = 1.0
    discretisation: str = "exponential"
    delay: int = 0
    gain: float = 1.0
    start: dict[str, float] = field(default_factory=dict)
    before: NeuronModel | None = None
    ports: bool = False


def _tau(decay: float) -> float:
    """[steps] time constant of a decay per step."""
    return -1 / math.log(decay)


def _norse(model: NeuronModel) -> Ours:
    return Ours(model, dt=1e-3, discretisation="euler")


def _norse_box(p: Any) -> Ours:
    reset = {"value": "hard", "subtract": "soft"}[p.reset_method]
    return _norse(LIF(1 / p.tau_mem_inv, p.v_leak, p.v_th, p.v_reset, reset, input_gain="dt/tau"))


def _norse_lif(p: Any) -> Ours:
    return _norse(
        CubaLIF(1 / p.tau_syn_inv, 1 / p.tau_mem_inv, p.v_leak, p.v_th, p.v_reset, input_gain="dt/tau"),
    )


_AT_ONCE = "a spike is lost where the potential is above the threshold after its subtraction (snntorch#341)"
_LOST = "'zero' empties the potential after this step's input was added, which is lost"


def _snntorch_leaky(p: Any) -> Ours | str:
    if p.reset_mechanism == "none":
        return "a spike that resets nothing"
    if p.reset_mechanism == "subtract" and not getattr(p, "reset_delay", True):
        return _AT_ONCE
    reset = {"zero": "hard", "subtract": "undecayed"}[p.reset_mechanism]
    return Ours(LIF(_tau(p.beta), v_threshold=p.threshold, reset=reset))


def _snntorch_synaptic(p: Any) -> Ours | str:
    if p.reset_mechanism == "zero":
        return _LOST
    return Ours(CubaLIF(_tau(p.alpha), _tau(p.beta), v_threshold=p.threshold, reset="undecayed"))


def _snntorch_lapicque(p: Any) -> Ours | str:
    if p.reset_mechanism == "zero":
        return _LOST
    # Given beta, C = 1 / log(1 / beta): a Euler step of that time constant, not a decay by beta.
    model = LIF(_tau(p.beta), v_threshold=p.threshold, reset="undecayed", input_gain="dt/tau")
    return Ours(model, discretisation="euler")


def _spikingjelly_fire(p: Any) -> dict[str, Any]:
    if p.v_reset is None:
        return {"v_threshold": p.v_threshold, "reset": "soft", "comparison": ">="}
    return {"v_threshold": p.v_threshold, "reset": "hard", "v_reset": p.v_reset, "comparison": ">="}


def _spikingjelly_lif(p: Any) -> Ours:
    gain = "dt/tau" if p.decay_input else "one"
    model = LIF(p.tau, p.v_reset or 0.0, input_gain=gain, **_spikingjelly_fire(p))
    return Ours(model, discretisation="euler")


def _spikingjelly_plif(p: Any) -> Ours:
    return _spikingjelly_lif(SimpleNamespace(**vars(p), tau=p.init_tau))


def _sinabs_fire(p: Any) -> dict[str, Any] | str:
    if p.spike_fn == "three" or hasattr(p, "min_v_mem"):
        return "a limit to the spikes of a step, or a lower limit to the potential"
    reset = {"subtract": "soft", "zero": "hard"}[p.reset_fn]
    return {"reset": reset, "comparison": ">=", "spikes": p.spike_fn}


def _sinabs_lif(p: Any) -> Ours | str:
    flags = _sinabs_fire(p)
    if isinstance(flags, str):
        return flags
    flags["input_gain"] = "1-a" if getattr(p, "norm_input", True) else "one"
    if hasattr(p, "tau_syn"):
        return Ours(CubaLIF(p.tau_syn, p.tau_mem, synapse="add_then_decay", **flags))
    return Ours(LIF(p.tau_mem, **flags))


def _sinabs_iaf(p: Any) -> Ours | str:
    flags = _sinabs_fire(p)
    return flags if isinstance(flags, str) else Ours(IF(**flags))


def _rockpool(p: Any) -> Ours | str:
    if getattr(p, "max_spikes_per_dt", 1) == 3:
        return "a limit to the spikes of a step"
    if hasattr(p, "alpha"):
        taus = [p.dt * _tau(decay) for decay in (p.beta, p.alpha)]
    elif hasattr(p, "dash_mem"):
        taus = [p.dt * _tau(1 - 2.0**-dash) for dash in (p.dash_syn, p.dash_mem)]
    else:
        taus = [p.tau_syn, p.tau_mem]
    leak = getattr(p, "bias", 0.0) / (1 - math.exp(-p.dt / taus[1]))  # a constant input holds the potential there
    spikes = "one" if hasattr(p, "max_spikes_per_dt") else "many"
    model = CubaLIF(
        *taus,
        leak,
        getattr(p, "threshold", 1.0),
        reset="soft",
        comparison=">=",
        spikes=spikes,
        synapse="add_then_decay",
    )
    return Ours(model, dt=p.dt, start={"v": 0.0})


def _rockpool_bitshift(p: Any) -> Ours | str:
    dashes = {f"dash_{n}": float(np.rint(np.log2(getattr(p, f"tau_{n}") / p.dt))) for n in ("mem", "syn")}
    return _rockpool(SimpleNamespace(dt=p.dt, max_spikes_per_dt=1, **dashes))  # 31, which is never reached


def _spyx_lif(p: Any) -> Ours:
    return Ours(LIF(_tau(p.beta), v_threshold=p.threshold, reset="undecayed"), delay=1)


def _spyx_cuba(p: Any) -> Ours:
    return Ours(CubaLIF(_tau(p.alpha), _tau(p.beta), v_threshold=p.threshold, reset="soft"), delay=1)


def _bindsnet_lif(p: Any) -> Ours | str:
    if p.refrac:
        return "refractory steps"
    return Ours(LIF(p.tc_decay, p.rest, p.thresh, p.reset, comparison=">="))


def _bindsnet_current(p: Any) -> Ours:
    return Ours(CubaLIF(p.tc_i_decay, p.tc_decay, p.rest, p.thresh, p.reset, comparison=">="))


def _lava_cuba(p: Any) -> Ours:
    scale = p.scale_of_states
    decays = [float(np.rint(np.float32(4096 * share))) for share in (p.current_decay, p.voltage_decay)]
    threshold = int(p.threshold * scale) / 64  # weights and thresholds are whole numbers of 1 / scale
    return Ours(FixedCubaLIF(*decays, threshold), gain=scale / 64)


OURS: dict[str, dict[str, Callable[[Any], Ours | str]]] = {
    "norse": {
        "LIFBox": _norse_box,
        "IAF": lambda p: _norse(IF(p.v_th, p.v_reset)),
        "LIF": _norse_lif,
    },
    "snntorch": {
        "Leaky": _snntorch_leaky,
        "Synaptic": _snntorch_synaptic,
        "Lapicque": _snntorch_lapicque,
    },
    "spikingjelly": {
        "IF": lambda p: Ours(IF(**_spikingjelly_fire(p))),
        "LIF": _spikingjelly_lif,
        "ParametricLIF": _spikingjelly_plif,
        "CUBALIF": lambda p: Ours(CubaLIF(_tau(p.c_decay), _tau(p.v_decay), **_spikingjelly_fire(p))),
    },
    "sinabs": {"LIF": _sinabs_lif, "IAF": _sinabs_iaf},
    "rockpool": {"LIFTorch": _rockpool, "LIFBitshiftTorch": _rockpool_bitshift},
    "spyx": {
        "IF": lambda p: Ours(IF(p.threshold, reset="soft"), delay=1),
        "LIF": _spyx_lif,
        "CuBaLIF": _spyx_cuba,
        "PSU_LIF": lambda p: "a spike that resets nothing",
    },
    "bindsnet": {
        "LIFNodes": _bindsnet_lif,
        "IFNodes": lambda p: Ours(IF(p.thresh, p.reset, comparison=">=")),
        "CurrentLIFNodes": _bindsnet_current,
    },
    "lava-dl": {"CUBA": _lava_cuba},
}
"""By library and name of the neuron there."""
