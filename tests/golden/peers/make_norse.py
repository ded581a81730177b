"""Write `norse.npz`; needs norse 1.1.0 and torch.

Recurrences, as read in norse/torch/functional; m = dt tau_mem_inv, c = dt tau_syn_inv, everything strictly above the
threshold, `v = (1 - z) v + z v_reset` where nothing else is said:

    LIFBox      v += m (x + v_leak - v); z = [v > v_th]; reset_value, or reset_subtract: v -= v_th where z
    IAF         v += x; z; reset
    LIF         j = i + x; v += m (v_leak - v + j); i = j - c j; z; reset
    LIFRefrac   as LIF; then, with r the steps left: where r > 0: v as before the step, z = 0;
                r = rho_reset where z, else max(r - [r > 0], 0)
    LIFEx       as LIF with v += m (v_leak - v + delta_T exp((v - v_th) / delta_T) + j)
    LIFAdEx     as LIFEx with ... + j - a; then a += dt tau_ada_inv (adaptation_current (v - v_leak) - a) with the v
                and a of before the step; a += adaptation_spike where z
    LSNN        v += m (v_leak - v + i); i = i - c i + x, after v has used the old i; b += dt tau_adapt_inv (v_th - b);
                z = [v > b]; reset; b += beta where z. b starts at v_th
    Izhikevich  d = dt tau_inv; v' = v + d (sq v^2 + mn v + bias - u + x); u' = u + d a (b v - u); z = [v' > v_th];
                where z: v = c, u += d_parameter
    CobaLIF     g_e += max(x, 0), g_i += max(-x, 0); both decay: g -= dt tau_syn_inv g; then
                v += dt c_m_inv (g_l (v_rest - v) + g_e (e_rev_E - v) + g_i (e_rev_I - v)); z; reset.
                (The recurrent step forgets the input: it takes the old g a second time. The feed-forward one is used.)

The surrogate `super` ignores alpha: its slope is 1 / (|v - v_th| + 1)^2 whatever alpha is, and the feed-forward step
lets the gradient through the reset.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import torch
from vectors import Vectors, drive, output_gradient, small_drive

warnings.simplefilter("ignore", DeprecationWarning)

import norse.torch as norse  # noqa: E402
from norse.torch.functional import coba_lif, izhikevich, lif, lif_adex, lif_ex, lif_refrac, lsnn, reset  # noqa: E402

vectors = Vectors("norse", norse=version("norse"), torch=torch.__version__)
Parameters = dict[str, Any]


def tensors(arguments: Parameters) -> Parameters:
    return {k: torch.tensor(float(v)) for k, v in arguments.items()}


def over(step: Any, x: torch.Tensor, state: Any) -> torch.Tensor:
    spikes = []
    for u in x:
        z, state = step(u, state)
        spikes.append(z)
    return torch.stack(spikes)


def case(name: str, neuron: str, step: Any, state: Any, scale: float, offset: int, arguments: Parameters, **words: str):
    x = torch.from_numpy(drive(scale, offset, name))
    zeros = torch.zeros_like(x[0])
    with torch.no_grad():
        z = over(step, x, state(zeros))
    vectors.add(f"{neuron} {name}", neuron, z, scale, offset, **arguments, **words)


BOX = {
    "exact": ({"tau_mem_inv": 500, "v_leak": 0, "v_th": 1, "v_reset": 0}, 2.0, 30),
    "ordinary": ({"tau_mem_inv": 90, "v_leak": 0.05, "v_th": 0.9, "v_reset": -0.1}, 8.0, 20),
}
METHODS = {"value": reset.reset_value, "subtract": reset.reset_subtract}
for name, (arguments, scale, offset) in BOX.items():
    for method, function in METHODS.items():
        cell = norse.LIFBoxCell(norse.LIFBoxParameters(**tensors(arguments), reset_method=function))
        case(f"{method} {name}", "LIFBox", cell, lambda _: None, scale, offset, arguments, reset_method=method)

arguments = {"v_th": 1, "v_reset": 0}
cell = norse.IAFCell(norse.IAFParameters(**tensors(arguments)))
case("exact", "IAF", cell, lambda _: None, 1.0, 12, arguments)

LIF = {
    "exact": ({"tau_syn_inv": 500, "tau_mem_inv": 500, "v_leak": 0, "v_th": 1, "v_reset": 0}, 2.0, 15),
    "ordinary": ({"tau_syn_inv": 180, "tau_mem_inv": 90, "v_leak": 0.05, "v_th": 0.9, "v_reset": -0.1}, 3.0, 15),
}
for name, (arguments, scale, offset) in LIF.items():
    cell = norse.LIFCell(norse.LIFParameters(**tensors(arguments)))
    case(name, "LIF", cell, lambda _: None, scale, offset, arguments)

arguments, scale, offset = LIF["ordinary"]
lif_parameters = lif.LIFParameters(**tensors(arguments))
parameters = lif_refrac.LIFRefracParameters(lif_parameters, torch.tensor(4.0))
case(
    "ordinary", "LIFRefrac", lambda x, s: lif_refrac.lif_refrac_feed_forward_step(x, s, parameters),
    lambda o: lif_refrac.LIFRefracFeedForwardState(lif.LIFFeedForwardState(o + 0.05, o), o),
    scale, 30, {**arguments, "rho_reset": 4},
)  # fmt: skip

exponential = {**arguments, "delta_T": 0.25}
ex = lif_ex.LIFExParameters(**tensors(exponential))
case(
    "ordinary", "LIFEx", lambda x, s: lif_ex.lif_ex_feed_forward_step(x, s, ex),
    lambda o: lif_ex.LIFExFeedForwardState(o, o), scale, 10, exponential,
)  # fmt: skip

adaptive = {**exponential, "adaptation_current": 0.5, "adaptation_spike": 0.25, "tau_ada_inv": 20}
adex = lif_adex.LIFAdExParameters(**tensors(adaptive))
case(
    "ordinary", "LIFAdEx", lambda x, s: lif_adex.lif_adex_feed_forward_step(x, s, adex),
    lambda o: lif_adex.LIFAdExFeedForwardState(o, o, o), scale, 20, adaptive,
)  # fmt: skip

long = {**arguments, "tau_adapt_inv": 25, "beta": 0.375}
adaptation = lsnn.LSNNParameters(**tensors(long))
case(
    "ordinary", "LSNN", lambda x, s: lsnn.lsnn_feed_forward_step(x, s, adaptation),
    lambda o: lsnn.LSNNFeedForwardState(v=o, i=o, b=o + adaptation.v_th), scale, 20, long,
)  # fmt: skip

tonic = {"a": 0.02, "b": 0.2, "c": -65, "d": 6, "sq": 0.04, "mn": 5, "bias": 140, "v_th": 30, "tau_inv": 250}
spiking = izhikevich.IzhikevichParameters(**{k: float(v) for k, v in tonic.items()})
case(
    "tonic", "Izhikevich", lambda x, s: izhikevich.izhikevich_feed_forward_step(x, s, spiking),
    lambda o: izhikevich.IzhikevichState(o - 70, o - 14), 32.0, 40, {**tonic, "v_start": -70, "u_start": -14},
)  # fmt: skip

conductance = {
    "tau_syn_exc_inv": 200, "tau_syn_inh_inv": 100, "c_m_inv": 5, "g_l": 20, "e_rev_I": -80, "e_rev_E": 20,
    "v_rest": -65, "v_reset": -65, "v_thresh": -50,
}  # fmt: skip
coba = coba_lif.CobaLIFParameters(**tensors(conductance))
case(
    "ordinary", "CobaLIF", lambda x, s: coba_lif.coba_lif_feed_forward_step(x, s, coba),
    lambda o: coba_lif.CobaLIFFeedForwardState(o - 65, o, o), 32.0, 15, {**conductance, "v_start": -65},
)  # fmt: skip

for alpha in (1, 100):
    arguments, scale, offset = BOX["ordinary"]
    box = norse.LIFBoxParameters(**tensors(arguments), alpha=torch.tensor(float(alpha)))
    x = torch.from_numpy(small_drive(scale, offset)).requires_grad_(True)
    z = over(norse.LIFBoxCell(box), x, None)
    (z * torch.from_numpy(output_gradient())).sum().backward()
    words = {"reset_method": "value", "method": "super", "alpha": alpha}
    also = {"gradient": x.grad.numpy()}
    vectors.add(f"LIFBox gradient alpha {alpha}", "LIFBox", z.detach(), scale, offset, also, **arguments, **words)

vectors.write()
