"""What the other neurons of other libraries are here, beside the LIF of `conventions_of_peers`.

| library | neuron | here |
|---|---|---|
| norse | LIFRefrac | a leaky integrator as current, then RefractoryLIF that holds |
| norse | LIFEx, LIFAdEx | a leaky integrator as current, then EIF, AdEx; delta, v_rheobase = v_th |
| norse | LSNN | a leaky integrator as current one step late, then ALIF, hard, decays before it compares |
| norse | Izhikevich | one substep of 1 / tau_inv; SI units |
| norse | CobaLIF | CobaLIF, Euler membrane, conductances decay with their input |
| snntorch, spyx | Leaky "none", PSU_LIF | LIF, reset "none" |
| snntorch | Alpha, "zero" | AlphaLIF, late reset; alpha is the membrane |
| snntorch | Synaptic, Lapicque, "zero" | RefractoryLIF: the step after a spike is lost |
| spikingjelly | QIF, EIF, Izhikevich, PLIF, KLIF, CLIF, GLIF, TernaryLIF | the neuron of that name, `">="`, Euler |
| spikingjelly | ILIF, RAF | GradedLIF, which rounds halves up; ResonateAndFire, `">="` |
| spikingjelly | SlidingPSN | SlidingPSN, weights newest first |
| sinabs | ALIF | ALIF, soft; its normalised current is normalised again in each step |
| spyx | ALIF | ALIF, undecayed, one step late |
| bindsnet | LIFNodes with refrac | RefractoryLIF that decays |
| bindsnet | AdaptiveLIFNodes, IzhikevichNodes | ALIF, hard, decays before it compares; Izhikevich |
| lava-dl | SDNN | SigmaDelta |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from spikelab.neurons import (
    ALIF,
    CLIF,
    EIF,
    GLIF,
    KLIF,
    LI,
    LIF,
    PLIF,
    QIF,
    AdEx,
    AlphaLIF,
    CobaLIF,
    GradedLIF,
    Izhikevich,
    RefractoryLIF,
    ResonateAndFire,
    SigmaDelta,
    SlidingPSN,
    TernaryLIF,
)
from tests.parity.conventions_of_peers import OURS, Ours

__all__ = ["NEURONS", "ours"]


def _tau(decay: float) -> float:
    return -1 / math.log(decay)


def _share(gate: float) -> float:
    return 1 / (1 + math.exp(-gate))


def _norse(model: Any, p: Any, **more: Any) -> Ours:
    """Behind a synaptic current, which norse's neurons hold in themselves."""
    return Ours(model, dt=1e-3, discretisation="euler", before=LI(1 / p.tau_syn_inv), **more)


def _norse_refrac(p: Any) -> Ours:
    potentials = (p.v_leak, p.v_th, p.v_reset)
    return _norse(RefractoryLIF(1 / p.tau_mem_inv, p.rho_reset * 1e-3, *potentials, input_gain="dt/tau"), p)


def _norse_ex(p: Any) -> Ours:
    return _norse(EIF(1 / p.tau_mem_inv, p.delta_T, p.v_leak, p.v_th, p.v_th, p.v_reset), p, start={"v": 0.0})


def _norse_adex(p: Any) -> Ours:
    model = AdEx(
        c_mem=1 / p.tau_mem_inv,
        g_leak=1.0,
        tau_adapt=1 / p.tau_ada_inv,
        delta=p.delta_T,
        g_adapt=p.adaptation_current,
        i_jump=p.adaptation_spike,
        v_leak=p.v_leak,
        v_rheobase=p.v_th,
        v_threshold=p.v_th,
        v_reset=p.v_reset,
    )
    return _norse(model, p, start={"v": 0.0})


def _norse_lsnn(p: Any) -> Ours:
    model = ALIF(
        1 / p.tau_mem_inv,
        1 / p.tau_adapt_inv,
        p.v_leak,
        p.v_th,
        p.v_reset,
        p.beta,
        reset="hard",
        input_gain="dt/tau",
        adaptation="decay_then_compare",
        jump_gain="one",
    )
    return _norse(model, p, delay=1, start={"v": 0.0})


def _norse_izhikevich(p: Any) -> Ours:
    model = Izhikevich(
        1e3 * p.a,
        1e3 * p.b,
        1e-3 * p.c,
        p.d,
        1e-3 * p.v_th,
        1e6 * p.sq,
        1e3 * p.mn,
        p.bias,
        comparison=">",
        substeps="one",
        recovery="before",
    )
    start = {"v": 1e-3 * p.v_start, "u": p.u_start}
    return Ours(model, dt=1e-6 * p.tau_inv, discretisation="euler", start=start)


def _norse_coba(p: Any) -> Ours:
    times = (1 / p.c_m_inv, p.g_l, 1 / p.tau_syn_exc_inv, 1 / p.tau_syn_inh_inv)
    potentials = (p.v_rest, p.e_rev_E, p.e_rev_I, p.v_thresh, p.v_reset)
    model = CobaLIF(*times, *potentials, synapse="add_then_decay", membrane="euler")
    return Ours(model, dt=1e-3, discretisation="euler", start={"v": p.v_start}, ports=True)


def _snntorch_leaky(p: Any) -> Ours | str:
    if p.reset_mechanism != "none":
        return OURS["snntorch"]["Leaky"](p)
    return Ours(LIF(_tau(p.beta), v_threshold=p.threshold, reset="none"))


def _snntorch_alpha(p: Any) -> Ours | str:
    if p.reset_mechanism == "subtract":
        return "'subtract' leaves the membrane and its two filters at odds"
    return Ours(AlphaLIF(_tau(p.beta), _tau(p.alpha), v_threshold=p.threshold, reset="late"))


def _snntorch_synaptic(p: Any) -> Ours | str:
    if p.reset_mechanism == "subtract":
        return OURS["snntorch"]["Synaptic"](p)
    return Ours(RefractoryLIF(_tau(p.beta), 1.0, v_threshold=p.threshold), before=LI(_tau(p.alpha)))


def _snntorch_lapicque(p: Any) -> Ours | str:
    if p.reset_mechanism == "subtract":
        return OURS["snntorch"]["Lapicque"](p)
    model = RefractoryLIF(_tau(p.beta), 1.0, v_threshold=p.threshold, input_gain="dt/tau")
    return Ours(model, discretisation="euler")


def _leak(p: Any) -> dict[str, Any]:
    """Reset and leak of spikingjelly."""
    reset = {"reset": "soft"} if p.v_reset is None else {"reset": "hard", "v_leak": p.v_reset, "v_reset": p.v_reset}
    return {"v_threshold": p.v_threshold, "comparison": ">=", **reset}


def _euler(model: Any, **start: float) -> Ours:
    return Ours(model, discretisation="euler", start=start)


def _spikingjelly_plif(p: Any) -> Ours:
    return _euler(PLIF(-math.log(p.init_tau - 1), input_gain="1-a" if p.decay_input else "one", **_leak(p)))


def _spikingjelly_qif(p: Any) -> Ours:
    model = QIF(p.tau, p.a0, p.v_rest, p.v_c, p.v_threshold, p.v_reset, comparison=">=")
    return _euler(model, v=p.v_reset)


def _spikingjelly_eif(p: Any) -> Ours:
    model = EIF(p.tau, p.delta_T, p.v_rest, p.theta_rh, p.v_threshold, p.v_reset, comparison=">=")
    return _euler(model, v=p.v_reset)


def _spikingjelly_izhikevich(p: Any) -> Ours | str:
    if p.v_rest != 0:
        return "a recovery that follows v - v_rest"
    model = Izhikevich(
        p.tau / p.tau_w,
        p.a,
        p.v_reset,
        p.b,
        p.v_threshold,
        p.a0,
        -p.a0 * (p.v_rest + p.v_c),
        p.a0 * p.v_rest * p.v_c,
        substeps="one",
    )
    return Ours(model, dt=1 / p.tau, discretisation="euler", start={"v": p.v_reset, "u": p.w_rest})


def _spikingjelly_klif(p: Any) -> Ours:
    gain, kept = "1-a" if p.decay_input else "one", "unscaled" if p.scale_reset else "scaled"
    return _euler(KLIF(p.tau, p.k, input_gain=gain, kept=kept, **_leak(p)))


def _spikingjelly_glif(p: Any) -> Ours:
    model = GLIF(
        p.alpha,
        p.beta,
        p.gamma,
        _tau(_share(p.tau)),
        _share(p.linear_decay),
        _share(p.conduct),
        _share(p.v_threshold),
        _share(p.v_subreset),
        comparison=">=",
    )
    return Ours(model)


def _spikingjelly_ternary(p: Any) -> Ours:
    if not hasattr(p, "tau"):
        p = SimpleNamespace(**vars(p), tau=1e30, decay_input=False)  # no leak: the decay is 1
    return _euler(TernaryLIF(p.tau, input_gain="1-a" if p.decay_input else "one", **_leak(p)))


def _spikingjelly_raf(p: Any) -> Ours:
    reset = {"reset": "soft"} if p.v_reset is None else {"reset": "hard", "v_reset": p.v_reset}
    model = ResonateAndFire(p.omega / (2 * math.pi), -1 / p.b, p.v_threshold, comparison=">=", **reset)
    return Ours(model, dt=p.dt)


def _spikingjelly_sliding_psn(p: Any) -> Ours:
    # Ours is strictly above its threshold. On the grid of this input that is at or above, from half a mesh lower.
    return Ours(SlidingPSN(p.weight[::-1], -p.bias - 2.0**-10))


def _sinabs_alif(p: Any) -> Ours:
    normalised = getattr(p, "norm_input", True)
    flags = {"reset": "soft", "comparison": ">=", "input_gain": "1-a" if normalised else "one"}
    if not hasattr(p, "tau_syn"):
        return Ours(ALIF(p.tau_mem, p.tau_adapt, jump=p.adapt_scale, **flags))
    # The current is kept as (1 - a) b (i + x): a current that decays by (1 - a) b.
    kept = math.exp(-1 / p.tau_syn) * (1 - math.exp(-1 / p.tau_mem) if normalised else 1)
    model = ALIF(p.tau_mem, p.tau_adapt, jump=p.adapt_scale, **{**flags, "input_gain": "one"})
    return Ours(model, gain=kept, before=LI(_tau(kept)))


def _spyx_alif(p: Any) -> Ours:
    times = (_tau(p.beta), _tau(p.gamma))
    return Ours(ALIF(*times, v_threshold=p.threshold, jump=1.0, reset="undecayed"), delay=1)


def _bindsnet_lif(p: Any) -> Ours | str:
    if not p.refrac:
        return OURS["bindsnet"]["LIFNodes"](p)
    potentials = (p.rest, p.thresh, p.reset)
    return Ours(RefractoryLIF(p.tc_decay, float(p.refrac), *potentials, comparison=">=", refractory="decay"))


def _bindsnet_adaptive(p: Any) -> Ours | str:
    if p.refrac:
        return "refractory steps beside adaptation"
    times, potentials = (p.tc_decay, p.tc_theta_decay), (p.rest, p.thresh, p.reset, p.theta_plus)
    flags = {"reset": "hard", "comparison": ">=", "adaptation": "decay_then_compare", "jump_gain": "one"}
    return Ours(ALIF(*times, *potentials, **flags))


def _bindsnet_izhikevich(p: Any) -> Ours:
    model = Izhikevich(1e3 * p.a, 1e3 * p.b, 1e-3 * p.c, p.d, 1e-3 * p.thresh)
    return Ours(model, dt=1e-3 * p.dt, discretisation="euler")


NEURONS: dict[str, dict[str, Callable[[Any], Ours | str]]] = {
    "norse": {
        "LIFRefrac": _norse_refrac,
        "LIFEx": _norse_ex,
        "LIFAdEx": _norse_adex,
        "LSNN": _norse_lsnn,
        "Izhikevich": _norse_izhikevich,
        "CobaLIF": _norse_coba,
    },
    "snntorch": {
        "Leaky": _snntorch_leaky,
        "Alpha": _snntorch_alpha,
        "Synaptic": _snntorch_synaptic,
        "Lapicque": _snntorch_lapicque,
    },
    "spikingjelly": {
        "ParametricLIF": _spikingjelly_plif,
        "QIF": _spikingjelly_qif,
        "EIF": _spikingjelly_eif,
        "Izhikevich": _spikingjelly_izhikevich,
        "KLIF": _spikingjelly_klif,
        "ComplementaryLIF": lambda p: _euler(CLIF(p.tau, p.v_threshold, comparison=">=")),
        "GatedLIF": _spikingjelly_glif,
        "TernaryIF": _spikingjelly_ternary,
        "TernaryLIF": _spikingjelly_ternary,
        "ILIF": lambda p: _euler(GradedLIF(p.tau, v_threshold=p.v_threshold, most=4.0)),
        "RAF": _spikingjelly_raf,
        "PSN": lambda p: "weights between any two steps: a layer, no neuron",
        "MaskedPSN": lambda p: "weights between any two steps: a layer, no neuron",
        "SlidingPSN": _spikingjelly_sliding_psn,
    },
    "sinabs": {"ALIF": _sinabs_alif},
    "rockpool": {"aLIFTorch": lambda p: "a current fed by the neuron's own spikes: a recurrent projection"},
    "spyx": {
        "ALIF": _spyx_alif,
        "PSU_LIF": lambda p: Ours(LIF(_tau(p.beta), v_threshold=p.threshold, reset="none")),
    },
    "bindsnet": {
        "LIFNodes": _bindsnet_lif,
        "AdaptiveLIFNodes": _bindsnet_adaptive,
        "IzhikevichNodes": _bindsnet_izhikevich,
    },
    "lava-dl": {
        "ALIF": lambda p: "an adaptive neuron in whole numbers",
        "RF": lambda p: "a resonator in whole numbers",
        "SDNN": lambda p: Ours(SigmaDelta(v_threshold=int(p.threshold * 64) / 64, comparison=">=")),
    },
}
"""By library and name of the neuron there."""


def ours(peer: str, neuron: str, arguments: dict[str, Any]) -> Ours | str:
    """Our neuron for one of theirs, or the reason why there is none."""
    table = OURS[peer] | NEURONS.get(peer, {})
    return table[neuron](SimpleNamespace(**arguments))
